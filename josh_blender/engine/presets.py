"""Presets, the backends they name, and whether these can run here.

Adding a backend is adding its module next to its stage and its line to `BACKENDS`.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from ..scene4d.errors import UserError

STAGES = ("frames", "people", "scene", "bodies", "contact", "joint", "world")
#: JOSH3R finds the path of camera and people by network passes over pairs of frames; with a plus, the joint solve
#: begins where it ended.
_JOSH3R = ("frames", "people", "lens", "bodies", "motion", "contact", "world")
_JOSH3R_PLUS = (*_JOSH3R[:-1], "joint", "world")
_STAGES_OF_MODE = {"josh": STAGES, "josh3r": _JOSH3R, "josh3r+": _JOSH3R_PLUS}
MODES = tuple(_STAGES_OF_MODE)


@dataclass(frozen=True)
class Backend:
    """What a backend of a stage needs: importable packages."""

    packages: tuple[str, ...]


#: Backends that this version has, by stage and name.
BACKENDS: dict[tuple[str, str], Backend] = {
    ("frames", "pyav"): Backend(("numpy", "av", "cv2")),
    ("people", "mediapipe"): Backend(("numpy", "cv2", "scipy", "ai_edge_litert")),
    ("scene", "colmap"): Backend(("numpy", "cv2", "pycolmap", "torch")),
    ("scene", "mast3r"): Backend(("numpy", "cv2", "pycolmap", "torch", "safetensors")),
    ("bodies", "landmarks"): Backend(("numpy", "torch")),
    ("contact", "kinematic"): Backend(("numpy",)),
    ("joint", "lm"): Backend(("numpy", "scipy")),
    ("world", "world"): Backend(("numpy", "cv2")),
}

#: The first backend of each stage needs nothing beyond the set-up.
_PREVIEW = {stage: next(name for other, name in BACKENDS if other == stage) for stage in STAGES}

#: One backend per stage.
PRESETS: dict[str, dict[str, str]] = {
    "preview": _PREVIEW,
    "mast3r": {**_PREVIEW, "scene": "mast3r"},
    "quality": {**_PREVIEW, "people": "rtdetr-sam2-vitpose", "scene": "pi3x"},
    "paper": {**_PREVIEW, "people": "rtdetr-sam2-vitpose", "scene": "mast3r", "bodies": "vimo", "contact": "deco"},
}

_SET_UP = "Set the engine's environment up again (`make env`, or Set Up in the extension's preferences)."


def preset_problem(preset: str) -> UserError | None:
    """Why a preset cannot run here, None where it can; nothing is imported.

    Raises:
        UserError: there is no such preset.
    """
    if preset not in PRESETS:
        raise UserError("unknown_preset", f"There is no preset “{preset}”.", f"Choose one of {', '.join(PRESETS)}.")
    absent = [f"{name} ({stage})" for stage, name in PRESETS[preset].items() if (stage, name) not in BACKENDS]
    if absent:
        return UserError(
            "unavailable_preset",
            f"The preset “{preset}” needs backends that this version does not have: {', '.join(absent)}.",
            "Use the preset “preview”.",
        )
    packages = {package for stage in PRESETS[preset].items() for package in BACKENDS[stage].packages}
    missing = sorted(package for package in packages if importlib.util.find_spec(package) is None)
    if missing:
        return UserError("missing_package", f"The engine's environment has no {', '.join(missing)}.", _SET_UP)
    return None


def stages_of(mode: str) -> tuple[str, ...]:
    """The stages of a mode in their order."""
    return _STAGES_OF_MODE[mode]


def missing_package_error(error: ImportError) -> UserError:
    """The user's version of an import that failed in the middle of a run."""
    return UserError("missing_package", f"The engine's environment cannot load {error.name or error}.", _SET_UP)


def choose_device(name: str) -> str:
    """The torch device of ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        UserError: that device is not here.
    """
    if name == "cpu":
        return name
    import torch

    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return "cuda" if here["cuda"] else "cpu"
    if not here.get(name, False):
        raise UserError("no_device", f"There is no {name.upper()} device that torch can use.", "Use --device cpu.")
    return name
