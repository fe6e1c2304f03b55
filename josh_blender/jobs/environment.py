"""Where the engine's own Python is, and in what state."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .job import engine_environment
from .set_up.lock import Recipe, recipe
from .set_up.stamp import ALWAYS, DOWNLOADS, LOG, Stamp, environment_variables, read_stamp
from .set_up.target import PYTHONS, Target, target_for

#: Environment variable that names the engine's Python.
PYTHON_VARIABLE = "JOSH4D_PYTHON"

Kind = Literal["ready", "missing", "partial", "broken", "outdated"]


@dataclass(frozen=True)
class EngineState:
    """Whether the engine can run, and how.

    Attributes:
        kind: ``ready``; ``missing``; ``partial``: a set-up was not finished; ``broken``: what it stands on is gone;
            ``outdated``: this version of the extension needs other packages.
        python: the interpreter; None unless ``ready``.
        message, remedy: for people, what is and what to do about it.
        variables: environment variables to start the interpreter with; complete.
        device: ``cpu`` or ``cuda``, for which it was made; empty where that is not known.
    """

    kind: Kind
    python: Path | None
    message: str
    remedy: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    device: str = ""


def engine_state(folder: Path | None, python: Path | None = None) -> EngineState:
    """The state of the engine: of an existing ``python`` where that is given, else of the engine in ``folder``.

    Where neither has one, that of ``JOSH4D_PYTHON`` or of ``.venv`` beside the package is taken. Only looks at a few
    files, so that a panel may ask at every drawing.
    """
    if python is not None:
        found = _interpreter(python)
        if found is None:
            return EngineState(
                "missing", None, f"There is no Python at “{python}”.", "Choose another one, or clear the field."
            )
        return EngineState(
            "ready", found, "The engine runs in your own Python.", variables={**engine_environment(), **ALWAYS}
        )
    stamp = read_stamp(folder) if folder is not None else None
    if folder is not None and stamp is not None and stamp.complete:
        return _state_of(folder, stamp)
    other = find_engine_python()
    if other is not None:
        return EngineState("ready", other, f"The engine runs in {other}.", variables={**engine_environment(), **ALWAYS})
    if folder is not None and (stamp is not None or (folder / DOWNLOADS).is_dir()):
        return EngineState(
            "partial",
            None,
            "The engine's set-up was not finished.",
            "Press Set Up Engine: what was downloaded is kept.",
        )
    return EngineState(
        "missing", None, "The engine is not set up yet.", "Press Set Up Engine, or choose an existing Python."
    )


def _state_of(folder: Path, stamp: Stamp) -> EngineState:
    python = stamp.interpreter(folder)
    target = Target.of(stamp.target)
    if not python.exists() or not all(Path(name).exists() for name in stamp.base_files):
        return EngineState(
            "broken",
            None,
            "The engine does not run any more: the Blender it was made with has moved or was updated.",
            "Press Repair Engine: it is made again with this Blender.",
        )
    try:
        current = recipe(target) if target is not None else None
    except (OSError, ValueError, KeyError):
        current = None
    if target is None or current is None or current.hash != stamp.recipe:
        return EngineState(
            "outdated",
            None,
            "The engine was set up for another version of this extension.",
            "Press Update Engine.",
        )
    torch = next((name for name in stamp.packages if name.startswith("torch==")), "")
    text = f"The engine is ready ({torch.replace('==', ' ')}, Python {target.python[0]}.{target.python[1]})."
    return EngineState(
        "ready", python, text, variables=environment_variables(folder, stamp.is_virtual), device=target.device
    )


def set_up_command(python: Path, folder: Path, device: str) -> list[str]:
    """The job that makes the engine's environment; it speaks the job protocol.

    ``python`` is Blender's own, ``device`` is ``auto``, ``cpu`` or ``cuda``. Start it with `engine_environment`.
    """
    words = ["--folder", str(folder), "--device", device.lower(), "--json"]
    return [str(python), "-s", "-P", "-m", "josh_blender.jobs.set_up", *words]


def engine_recipe(device: str) -> Recipe | None:
    """What a set-up installs, and its sizes; None where the engine cannot be had on this system.

    ``device`` is as in `set_up_command`. Where the running Python is none that the engine can have, another one makes
    it: the sizes are those of the newest.
    """
    running = (sys.version_info.major, sys.version_info.minor)
    target = target_for(device.lower(), running if running in PYTHONS else PYTHONS[-1])
    return recipe(target) if target is not None else None


def set_up_log(folder: Path) -> Path:
    """The log of a set-up."""
    return folder / LOG


def default_engine_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the engine goes unless the user says otherwise: one place for every Blender of this user."""
    home = Path.home()
    if sys.platform == "win32":
        place = Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        place = home / "Library" / "Application Support"
    else:
        place = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    return place / "josh4d" / "engine"


def python_of_environment(folder: Path) -> Path:
    """The interpreter of a virtual environment."""
    return folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python"


def find_engine_python() -> Path | None:
    """The engine's Python without Set Up: that of ``JOSH4D_PYTHON``, or of ``.venv`` beside the package; else None.

    The variable may name an interpreter or the folder of an environment.
    """
    root = Path(__file__).resolve().parents[2]
    variable = os.environ.get(PYTHON_VARIABLE)
    candidates = (Path(variable) if variable else None, root / ".venv")
    return next((found for one in candidates if one is not None and (found := _interpreter(one)) is not None), None)


def _interpreter(place: Path) -> Path | None:
    """An interpreter, or that of an environment's folder."""
    python = python_of_environment(place) if place.is_dir() else place
    return python if python.is_file() else None
