"""What is known of an engine's folder without starting anything: a small file in it."""

from __future__ import annotations

import json
import os
import sysconfig
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

STAMP = "josh4d-engine.json"
FORMAT = 1
#: Folders of an engine's folder: what was made, and what is being downloaded.
ENVIRONMENT = "environment"
DOWNLOADS = "downloads"
LOG = "set_up.log"
#: Within the environment, where there are no virtual environments: what goes on Python's path.
SITE = "site"
#: Every Python of ours: UTF-8 everywhere, and never a module from the folder that Blender happens to be started in.
ALWAYS = {"PYTHONUTF8": "1", "PYTHONSAFEPATH": "1"}
#: The root of the packages: the engine that runs is the one of this very installation.
_ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Stamp:
    """The state of an engine's folder.

    Attributes:
        complete: False from the first change until everything was installed and tried.
        target: the key of the target it is made for.
        recipe: hash of what it is made from.
        python: the interpreter to run; relative to the folder for a virtual environment, that of Blender otherwise.
        base: the Python it was made with; ``base_files`` are files of it without which it cannot run.
        packages: what is installed, as pinned.
    """

    complete: bool
    target: str
    recipe: str
    python: str
    base: str
    base_files: tuple[str, ...]
    packages: tuple[str, ...]
    format: int = FORMAT

    @property
    def is_virtual(self) -> bool:
        """Whether this is a virtual environment."""
        return not Path(self.python).is_absolute()

    def interpreter(self, folder: Path) -> Path:
        """The interpreter to run."""
        return folder / self.python


def read_stamp(folder: Path) -> Stamp | None:
    """The stamp of a folder; None where there is none that can be read."""
    try:
        data: Any = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        for name in ("base_files", "packages"):
            data[name] = tuple(map(str, data[name]))
        stamp = Stamp(**data)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    texts = (stamp.target, stamp.recipe, stamp.python, stamp.base)
    right = stamp.format == FORMAT and stamp.complete in (True, False) and all(isinstance(one, str) for one in texts)
    return stamp if right else None


def write_stamp(folder: Path, stamp: Stamp) -> None:
    """Write the stamp whole or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    partial = folder / f"{STAMP}.partial"
    partial.write_text(json.dumps(asdict(stamp), indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / STAMP)


def files_of_base(base: Path) -> tuple[str, ...]:
    """Files of the running Python that go when its Blender moves, is removed or gets another minor version."""
    return (str(base), str(Path(sysconfig.get_path("stdlib")) / "os.py"))


def environment_variables(folder: Path, is_virtual: bool) -> dict[str, str]:
    """Variables with which the engine's interpreter finds this installation and the environment's packages.

    Without a virtual environment Python is Blender's own, and everything that belongs to the engine is named.
    """
    if is_virtual:
        return {"PYTHONPATH": str(_ROOT), **ALWAYS}
    environment = folder / ENVIRONMENT
    return {
        "PYTHONPATH": os.pathsep.join([str(_ROOT), str(environment / SITE)]),
        "PYTHONNOUSERSITE": "1",
        "JOSH4D_MODELS": str(environment / "models"),
        **ALWAYS,
    }
