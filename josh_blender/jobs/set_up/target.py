"""What an environment is made for: system, Python and device; and which wheels suit it."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path

#: Systems for which every package of the engine has a wheel, by ``sys.platform`` and machine.
SYSTEMS = {
    ("linux", "x86_64"): "linux-x86_64",
    ("win32", "amd64"): "windows-amd64",
    ("darwin", "arm64"): "macos-arm64",
}
PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))
#: The same for people.
PYTHONS_TEXT = f"{PYTHONS[0][0]}.{PYTHONS[0][1]} to {PYTHONS[-1][0]}.{PYTHONS[-1][1]}"
DEVICES = ("cpu", "cuda")

_PLATFORMS = {
    "linux-x86_64": re.compile(r"manylinux\w*_x86_64$"),
    "windows-amd64": re.compile(r"win_amd64$"),
    "macos-arm64": re.compile(r"macosx_\w*_(arm64|universal2)$"),
}
#: The driver's major version that CUDA 13 needs.
_OLDEST_NVIDIA_DRIVER = 580


@dataclass(frozen=True)
class Target:
    """A system of `SYSTEMS`, a Python's major and minor version, and a device of `DEVICES`."""

    system: str
    python: tuple[int, int]
    device: str

    @property
    def key(self) -> str:
        """As in the lock: ``linux-x86_64-3.11-cpu``."""
        return f"{self.system}-{self.python[0]}.{self.python[1]}-{self.device}"

    @classmethod
    def of(cls, key: str) -> Target | None:
        """The target of a key; None where it is not one."""
        found = re.fullmatch(r"([a-z]+-\w+)-(\d+)\.(\d+)-(\w+)", key)
        if not found or found[1] not in _PLATFORMS or found[4] not in DEVICES:
            return None
        return cls(found[1], (int(found[2]), int(found[3])), found[4])

    def suits(self, wheel: str) -> bool:
        """Whether a wheel installs here, by its file name; the age of the system is left to pip."""
        python_tags, abis, platforms = wheel.removesuffix(".whl").split("-")[-3:]
        return any(map(self._platform_suits, platforms.split("."))) and any(
            self._python_suits(tag, abi) for tag in python_tags.split(".") for abi in abis.split(".")
        )

    def _platform_suits(self, platform_tag: str) -> bool:
        return platform_tag == "any" or _PLATFORMS[self.system].match(platform_tag) is not None

    def _python_suits(self, tag: str, abi: str) -> bool:
        major, minor = self.python
        own = f"cp{major}{minor}"
        if abi == "abi3":
            found = re.fullmatch(rf"cp{major}(\d+)", tag)
            return found is not None and int(found[1]) <= minor
        return (tag == own and abi in (own, "none")) or (tag in (f"py{major}", f"py{major}{minor}") and abi == "none")


def this_system() -> str | None:
    """The name of this system, None where the engine cannot be installed."""
    return SYSTEMS.get((sys.platform, platform.machine().lower()))


def driver_version(text: str) -> int | None:
    """The major version in the text of the NVIDIA driver's version file; None where there is none."""
    found = re.search(r"NVRM version:.*?\s(\d+)\.\d+", text)
    return int(found[1]) if found else None


def best_device(
    driver_file: Path = Path("/proc/driver/nvidia/version"),
    library: Path = Path("C:/Windows/System32/nvcuda.dll"),
    system: str | None = None,
) -> str:
    """``cuda`` where an NVIDIA driver that is new enough is installed, else ``cpu``; a look at files, nothing is run.

    On Windows the driver's version is not looked at: only loading it would tell.
    """
    system = system or this_system()
    if system == "windows-amd64":
        return "cuda" if library.exists() else "cpu"
    if system != "linux-x86_64":
        return "cpu"
    try:
        version = driver_version(driver_file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return "cpu"
    return "cuda" if version is not None and version >= _OLDEST_NVIDIA_DRIVER else "cpu"


def target_for(device: str, python: tuple[int, int] | None = None) -> Target | None:
    """This machine's target for ``auto``, ``cpu`` or ``cuda``; None on a system or Python the engine cannot have.

    macOS has one build for everything, so every device means ``cpu`` there.
    """
    system = this_system()
    python = python or (sys.version_info.major, sys.version_info.minor)
    if system is None or python not in PYTHONS:
        return None
    if system == "macos-arm64":
        device = "cpu"
    return Target(system, python, best_device() if device == "auto" else device)
