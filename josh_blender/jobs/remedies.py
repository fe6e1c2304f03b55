"""Which button of Blender does what an error's remedy says, by the kind of the error (docs/errors.md)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Remedy:
    """A button: the operator's ``bl_idname`` and what is written on it."""

    operator: str
    label: str


_CHOOSE_OUTPUT = Remedy("josh4d.choose_output", "Choose Output Folder")
_CHOOSE_VIDEO = Remedy("josh4d.video_as_scene", "Choose Video")
_CHOOSE_WEIGHTS = Remedy("josh4d.choose_weights", "Choose Weights")
_DETECT = Remedy("josh4d.detect_people", "Detect First")
_DOCTOR = Remedy("josh4d.doctor", "Doctor")
_FIND_PLATE = Remedy("josh4d.find_plate", "Find Plate")
_FIND_SCENE = Remedy("josh4d.find_scene", "Find Scene")
_SET_UP = Remedy("josh4d.set_up_engine", "Set Up Engine")

REMEDIES: dict[str, Remedy] = {
    "bad_output": _CHOOSE_OUTPUT,
    "disk_full": _CHOOSE_OUTPUT,
    "empty_video": _CHOOSE_VIDEO,
    "engine_not_started": _SET_UP,
    "engine_stopped": _DOCTOR,
    "is_a_folder": _CHOOSE_VIDEO,
    "missing_litert": _SET_UP,
    "missing_models": _SET_UP,
    "missing_package": _SET_UP,
    "missing_scene": _FIND_SCENE,
    "missing_video": _CHOOSE_VIDEO,
    "missing_weights": _CHOOSE_WEIGHTS,
    "mixed_sizes": _CHOOSE_VIDEO,
    "no_device": _DOCTOR,
    "no_room": _CHOOSE_OUTPUT,
    "not_a_video": _CHOOSE_VIDEO,
    "permission_denied": _CHOOSE_OUTPUT,
    "scene_in_use": _CHOOSE_OUTPUT,
    "unknown_person": _DETECT,
    "wrong_models": _SET_UP,
    "wrong_scene": _FIND_SCENE,
    "wrong_video": _FIND_PLATE,
    "wrong_weights": _CHOOSE_WEIGHTS,
}

#: Of a set-up the same kind has another button: its dialog is where the engine's folder is chosen.
REMEDIES_OF_SET_UP: dict[str, Remedy] = {
    "cannot_write": _SET_UP,
    "engine_does_not_run": _DOCTOR,
    "folder_in_use": _SET_UP,
    "no_pip": _DOCTOR,
    "no_room": _SET_UP,
    "unsupported_python": _DOCTOR,
}


def remedy_of(kind: str, of_set_up: bool = False) -> Remedy | None:
    """The button for an error of this kind, None where there is none."""
    return (REMEDIES_OF_SET_UP if of_set_up else REMEDIES).get(kind)
