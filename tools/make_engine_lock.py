"""Writes ``josh_blender/jobs/set_up/engine_lock.json``: what Set Up Engine installs, for every system and Python.

``.venv/bin/python tools/make_engine_lock.py [--torch-wheel FILE ...]``

Versions come from ``pyproject.toml``; hashes and sizes from the package index that pip itself uses by default; what a
wheel depends on and how large it becomes is read out of the wheel, of which only the needed bytes are fetched. Builds
of torch that only PyTorch's own index has are asked for there; where that cannot be reached, the lock keeps what it had
about them, or takes the sizes (never the hash: only the index vouches for it) from ``--torch-wheel``.
"""

from __future__ import annotations

import argparse
import html.parser
import io
import json
import sys
import tomllib
import urllib.parse
import urllib.request
import zipfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from email.parser import BytesParser
from functools import cache
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version
from pip._internal.models.index import PyPI

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from josh_blender.engine.detection.fetch_models import WHEEL as MODELS  # noqa: E402
from josh_blender.jobs.set_up.lock import FORMAT, LOCK_FILE  # noqa: E402
from josh_blender.jobs.set_up.target import PYTHONS, SYSTEMS, Target  # noqa: E402
from josh_blender.jobs.torch_builds import TORCH_BUILDS, WHEEL_INDEX, version_label  # noqa: E402

#: What pip must not be older than: it tells its progress in a form for programs.
PIP = "pip>=25.1"
_BLOCK = 4096
#: Windows' CUDA build, where its index cannot be asked: bytes to download and on the disk, rounded up from builds of
#: its size. The lock is made anew before a release on a machine that can ask.
_GUESSED_CUDA = (2_000_000_000, 3_800_000_000)
_MARKERS = {
    "linux-x86_64": ("linux", "Linux", "x86_64", "posix"),
    "windows-amd64": ("win32", "Windows", "AMD64", "nt"),
    "macos-arm64": ("darwin", "Darwin", "arm64", "posix"),
}
_MARKER_NAMES = ("sys_platform", "platform_system", "platform_machine", "os_name")


@dataclass(frozen=True)
class Remote:
    """A wheel of an index."""

    name: str
    url: str
    sha256: str
    size: int
    pythons: SpecifierSet


class RangeFile(io.RawIOBase):
    """A file on a server, of which only what is read is fetched."""

    def __init__(self, url: str, size: int) -> None:
        self._url, self._size, self._at = url, size, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, count: int = -1) -> bytes:
        end = self._size if count < 0 else min(self._at + count, self._size)
        if end <= self._at:
            return b""
        request = urllib.request.Request(self._url, headers={"Range": f"bytes={self._at}-{end - 1}"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            if answer.status != 206:
                raise OSError(f"the server of {self._url} does not give parts of files")
            data: bytes = answer.read()
        self._at += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


@cache
def index_of(name: str) -> dict[Version, list[Remote]]:
    """The wheels of a package on pip's default index, by version; yanked ones are left out."""
    url = f"{PyPI.simple_url}/{canonicalize_name(name)}/"
    request = urllib.request.Request(url, headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        files = json.load(answer)["files"]
    found: dict[Version, list[Remote]] = defaultdict(list)
    for file in files:
        if not file["filename"].endswith(".whl") or file.get("yanked"):
            continue
        try:
            version = parse_wheel_filename(file["filename"])[1]
        except ValueError:
            continue
        address = urllib.parse.urljoin(url, file["url"])
        pythons = SpecifierSet(file.get("requires-python") or "")
        found[version].append(Remote(file["filename"], address, file["hashes"]["sha256"], file["size"], pythons))
    return found


@cache
def opened(url: str, size: int) -> zipfile.ZipFile:
    """A wheel on a server, its directory read."""
    return zipfile.ZipFile(io.BufferedReader(RangeFile(url, size), 1 << 18))


def disk_size(archive: zipfile.ZipFile) -> int:
    """Bytes that a wheel's files take on a disk that gives whole blocks."""
    return sum(-(-item.file_size // _BLOCK) * _BLOCK for item in archive.infolist() if not item.is_dir())


def dependencies(wheel: Remote) -> list[Requirement]:
    """What a wheel needs."""
    archive = opened(wheel.url, wheel.size)
    name = next(item for item in archive.namelist() if item.endswith(".dist-info/METADATA") and item.count("/") == 1)
    return [Requirement(text) for text in BytesParser().parsebytes(archive.read(name)).get_all("Requires-Dist", [])]


def markers(target: Target) -> dict[str, str]:
    """What a target answers to the markers of requirements."""
    version = f"{target.python[0]}.{target.python[1]}"
    python = {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
    system = dict(zip(_MARKER_NAMES, _MARKERS[target.system], strict=True))
    return {**system, **python, "python_version": version, "python_full_version": f"{version}.0"}


def suited(target: Target, wheels: list[Remote]) -> list[Remote]:
    """The wheels that install on a target."""
    python = f"{target.python[0]}.{target.python[1]}"
    return [wheel for wheel in wheels if target.suits(wheel.name) and wheel.pythons.contains(python)]


def is_unneeded(requirement: Requirement, target: Target) -> bool:
    """Whether a requirement of torch's general build belongs to CUDA, which another build of it does not have."""
    name = canonicalize_name(requirement.name)
    return target.device == "cpu" and name.startswith(("nvidia-", "cuda-", "triton"))


def resolve(roots: list[Requirement], targets: list[Target], say: Callable[[str], None]) -> dict[Target, set[str]]:
    """Names needed by each target; `index_of` and one version per package serve them all, newest first.

    Raises:
        LookupError: no version serves every target.
    """
    specifiers: dict[str, SpecifierSet] = defaultdict(SpecifierSet)
    while True:
        before = dict(specifiers)
        needed: dict[Target, set[str]] = {}
        for target in targets:
            names: set[str] = set()
            waiting = list(roots)
            seen: set[tuple[str, frozenset[str]]] = set()
            while waiting:
                requirement = waiting.pop()
                name = canonicalize_name(requirement.name)
                specifiers[name] &= requirement.specifier
                key = (name, frozenset(requirement.extras))
                if key in seen:
                    continue
                seen.add(key)
                names.add(name)
                wheel = suited(target, index_of(name)[choose(name, specifiers[name], targets)])[0]
                for dependency in dependencies(wheel):
                    if name == "torch" and is_unneeded(dependency, target):
                        continue
                    environment = markers(target)
                    if dependency.marker is None or any(
                        dependency.marker.evaluate({**environment, "extra": extra})
                        for extra in ("", *requirement.extras)
                    ):
                        waiting.append(dependency)
            needed[target] = names
        if dict(specifiers) == before:
            CHOSEN.update({name: choose(name, specifiers[name], targets) for name in specifiers})
            return needed
        say(f"{len(specifiers)} packages")


#: The version of every package, by name.
CHOSEN: dict[str, Version] = {}


def choose(name: str, specifier: SpecifierSet, targets: list[Target]) -> Version:
    """The newest final version that has a wheel for every target, or for every one on Linux (CUDA's own packages).

    Raises:
        LookupError: there is none.
    """
    linux = [target for target in targets if target.system.startswith("linux")]
    for wanted in (targets, linux):
        for version in sorted(index_of(name), reverse=True):
            if version.is_prerelease or version not in specifier:
                continue
            if all(suited(target, index_of(name)[version]) for target in wanted):
                return version
    raise LookupError(f"no version of {name} ({specifier}) has wheels for every system")


def wheel_entry(wheel: Remote) -> dict[str, Any]:
    """A wheel's line of the lock."""
    disk = disk_size(opened(wheel.url, wheel.size))
    return {"name": wheel.name, "sha256": wheel.sha256, "download": wheel.size, "disk": disk}


class _Links(html.parser.HTMLParser):
    """The addresses on a page of an index."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attributes if tag == "a" and name == "href" and value]


def torch_wheels(index: str, version: str) -> list[Remote]:
    """The wheels of one build of torch on PyTorch's index; empty where that cannot be reached."""
    address = f"{WHEEL_INDEX[index]}/torch/"
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:
            page = answer.read().decode()
    except OSError:
        return []
    links = _Links()
    links.feed(page)
    found = []
    for link in links.found:
        url, _, fragment = urllib.parse.urljoin(address, link).partition("#")
        name = urllib.parse.unquote(url.rsplit("/", 1)[-1])
        if name.startswith(f"torch-{version}-") and fragment.startswith("sha256="):
            head = urllib.request.Request(url, method="HEAD")
            with urllib.request.urlopen(head, timeout=60) as answer:
                found.append(
                    Remote(
                        name,
                        url,
                        fragment.removeprefix("sha256="),
                        int(answer.headers["Content-Length"]),
                        SpecifierSet(),
                    )
                )
    return found


def torch_entries(
    requirement: str, index: str, targets: list[Target], earlier: list[dict[str, Any]], local: list[Path]
) -> list[dict[str, Any]]:
    """The lines of a build that only PyTorch's index has, for the Pythons of ``targets``."""
    version = requirement.split("==")[1]
    remote = [wheel for wheel in torch_wheels(index, version) if any(target.suits(wheel.name) for target in targets)]
    if remote:
        return [wheel_entry(wheel) for wheel in remote]
    if earlier and not local:
        return earlier
    sizes = _GUESSED_CUDA
    for path in local:
        if path.name.startswith(f"torch-{version}-"):
            with zipfile.ZipFile(path) as archive:
                sizes = (path.stat().st_size, disk_size(archive))
    tag = "win_amd64" if targets[0].system.startswith("windows") else "manylinux_2_28_x86_64"
    pythons = sorted({f"cp{target.python[0]}{target.python[1]}" for target in targets})
    names = [f"torch-{version}-{python}-{python}-{tag}.whl" for python in pythons]
    return [{"name": name, "sha256": None, "download": sizes[0], "disk": sizes[1]} for name in names]


def make(local: list[Path], say: Callable[[str], None]) -> dict[str, Any]:
    """The whole lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    try:
        earlier = json.loads(LOCK_FILE.read_text(encoding="utf-8"))["packages"]
    except (OSError, ValueError, KeyError):
        earlier = {}
    targets = [
        Target(system, python, device)
        for system in SYSTEMS.values()
        for python in PYTHONS
        for device in ("cpu", "cuda")
        if (system, device) in TORCH_BUILDS
    ]
    needed = resolve([Requirement(text) for text in project["dependencies"]], targets, say)
    packages: dict[str, list[dict[str, Any]]] = {}
    lists: dict[str, list[str]] = {}
    for target, names in needed.items():
        lists[target.key] = []
        for name in sorted(names):
            build = TORCH_BUILDS[target.system, target.device] if name == "torch" else ""
            requirement = f"{name}=={CHOSEN[name]}{version_label(build)}"
            lists[target.key].append(requirement)
            if requirement in packages:
                continue
            users = [other for other in targets if name in needed[other]]
            if build:
                users = [other for other in users if TORCH_BUILDS[other.system, other.device] == build]
                packages[requirement] = torch_entries(requirement, build, users, earlier.get(requirement, []), local)
                continue
            if name == "torch":
                users = [other for other in users if not TORCH_BUILDS[other.system, other.device]]
            wheels = [w for w in index_of(name)[CHOSEN[name]] if any(suited(user, [w]) for user in users)]
            say(f"{requirement}: {len(wheels)} wheels")
            packages[requirement] = [wheel_entry(wheel) for wheel in wheels]
    pip_version = choose("pip", Requirement(PIP).specifier, targets)
    pip = f"pip=={pip_version}"
    packages[pip] = [wheel_entry(wheel) for wheel in index_of("pip")[pip_version]]
    models = Requirement(MODELS)
    (version,) = [version for version in index_of(models.name) if version in models.specifier]
    wanted = Target("linux-x86_64", (3, 11), "cpu")
    packages[MODELS] = [wheel_entry(wheel) for wheel in suited(wanted, index_of(models.name)[version])]
    return {
        "format": FORMAT,
        "dependencies": project["dependencies"],
        "pip": pip,
        "models": MODELS,
        "packages": {name: sorted(packages[name], key=lambda entry: entry["name"]) for name in sorted(packages)},
        "targets": lists,
    }


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--torch-wheel", type=Path, action="append", default=[], help="a build to take sizes from")
    lock = make(parser.parse_args().torch_wheel, lambda text: print(text, flush=True))
    unknown = sorted(name for name, wheels in lock["packages"].items() if any(not w["sha256"] for w in wheels))
    LOCK_FILE.write_text(json.dumps(lock, indent=1) + "\n", encoding="utf-8")
    print(f"{LOCK_FILE.relative_to(ROOT)}: {len(lock['packages'])} packages, {len(lock['targets'])} targets.")
    if unknown:
        print(f"Without hashes, since PyTorch's index did not answer: {', '.join(unknown)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
