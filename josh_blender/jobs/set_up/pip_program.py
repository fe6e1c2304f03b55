"""pip as a child process: found in a Python that may not have it, and heard while it works."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sysconfig
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .failure import SetUpError
from .target import PYTHONS_TEXT

#: The end of what pip said that is kept to explain a failure, in lines.
_LAST_WORDS = 60
_PROGRESS = re.compile(r"^Progress (\d+) of (\d+)")
#: Settings of a user that would send packages elsewhere than into the environment.
_NOT_OURS = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PYTHONHOME", "PYTHONPATH")


class PipFailed(Exception):
    """pip ended with a fault; ``output`` are its last words."""

    def __init__(self, output: str) -> None:
        super().__init__(output)
        self.output = output


@dataclass(frozen=True)
class Pip:
    """A pip.

    Attributes:
        python: the interpreter that runs it, and into whose environment it installs.
        library: folder or wheel that holds it; None where it is installed in ``python``.
        temporary: folder for its temporary files, so that they lie on the disk that has the room.
        log: where its words go.
    """

    python: Path
    library: Path | None
    temporary: Path
    log: IO[str]

    def run(
        self,
        arguments: Sequence[str],
        on_progress: Callable[[int, int], None] = lambda done, total: None,
        use_settings: bool = True,
    ) -> None:
        """Run a command of pip; ``on_progress`` gets bytes done and in all of a download.

        ``use_settings`` False leaves the user's settings of pip aside.

        Raises:
            PipFailed: it ended with a fault.
            OSError: it cannot be started.
        """
        command = [str(self.python), "-s", "-P", "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
        last: list[str] = []
        self.temporary.mkdir(parents=True, exist_ok=True)
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._variables(os.environ, use_settings),
            encoding="utf-8",
            errors="replace",
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                progress = _PROGRESS.match(line)
                if progress:
                    on_progress(int(progress[1]), int(progress[2]))
                    continue
                self.log.write(line)
                last = [*last[-_LAST_WORDS:], line]
            self.log.flush()
        if child.returncode != 0:
            raise PipFailed("".join(last))

    def _variables(self, given: Mapping[str, str], use_settings: bool) -> dict[str, str]:
        kept = {
            name: value
            for name, value in given.items()
            if name not in _NOT_OURS and (use_settings or not name.startswith("PIP_"))
        }
        # What is wanted is pinned: a user's own constraints must not refuse it. An empty value would not do, since pip
        # passes over it.
        ours = {"PYTHONUTF8": "1", "PIP_USER": "0", "PIP_CONSTRAINT": os.devnull}
        if self.library is not None:
            ours["PYTHONPATH"] = str(self.library)
        if not use_settings:
            ours["PIP_CONFIG_FILE"] = os.devnull
        temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self.temporary))
        return {**kept, **temporary, **ours}


def bundled_pip() -> Path | None:
    """The wheel of pip that comes with Python's ``ensurepip``; some systems keep it elsewhere or leave it out."""
    found = importlib.util.find_spec("ensurepip")
    folders = [Path(place) / "_bundled" for place in (found.submodule_search_locations or [])] if found else []
    shared = sysconfig.get_config_var("WHEEL_PKG_DIR")
    if shared:
        folders.append(Path(shared))
    return next((wheel for folder in folders for wheel in sorted(folder.glob("pip-*.whl"))), None)


def first_pip(python: Path, temporary: Path, log: IO[str]) -> Pip:
    """Any pip of the running Python, good enough to download the pinned one.

    Raises:
        SetUpError: ``no_pip``.
    """
    if importlib.util.find_spec("pip") is not None:
        return Pip(python, None, temporary, log)
    wheel = bundled_pip()
    if wheel is None:
        raise SetUpError(
            "no_pip",
            "The Python of this Blender has no pip, which downloads the engine's packages.",
            f"Install it (on Debian: python3-venv), name another Python ({PYTHONS_TEXT}) as Python for Set Up in the "
            "preferences, or use the Blender of blender.org.",
        )
    return Pip(python, wheel, temporary, log)


def unpacked_pip(wheel: Path, folder: Path) -> Path:
    """The pinned pip, unpacked beside its wheel, so that it starts quickly; returns what goes on Python's path."""
    place = folder / wheel.stem
    if not place.is_dir():
        partial = place.with_name(f"{place.name}.partial")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(partial)
        partial.replace(place)
    return place
