"""Finding the video or the folder of a 4D scene again after it was moved."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..scene4d.errors import UserError
from ..scene4d.files import SUFFIX, resolve_scene_folder
from ..scene4d.locate import find_scenes_below, find_source_below
from ..scene4d.sequence import is_image
from ..scene4d.source_identity import is_source
from .clip_files import clip_exists, clip_path, link_file
from .identity import SCENE_KEY, check_local, source_of
from .plate import find_clip, first_picture, show_plate_file
from .scene_folder import PLATE_KEY, SOURCE_KIND_KEY, SOURCE_NAME_KEY, is_folder_of, link_folder


def find_plate(root: bpy.types.Object, path: Path, use_anyway: bool = False) -> Path:
    """Link the plate of a 4D scene to a file, or to what is found in a folder and below it; returns the file.

    Raises:
        UserError: it is not there, cannot be read, or is another video and not to be used anyway.
    """
    check_local(root)
    name, kind = root.get(SOURCE_NAME_KEY, "the video"), root.get(SOURCE_KIND_KEY, "video")
    plate = root.get(PLATE_KEY, "")
    if not path.exists():
        raise UserError("missing_video", f"There is no {path.name}.", "Choose a file or a folder.")
    if path.is_dir():
        found = _plate_below(root, path, plate) if plate else _source_below(root, path, name, kind)
        if found is None:
            raise UserError(
                "missing_video", f"{plate or name} is not in {path.name} or below it.", "Choose another folder."
            )
        path = found
    elif not use_anyway and not _is_plate(root, path, plate):
        raise UserError(
            "wrong_video",
            f"{path.name} is not the video that {root.name} was made from.",
            f"Choose {plate or name}, or tick Use Anyway.",
        )
    if not plate and is_image(path):
        path = first_picture(path.parent, int(root.get("josh4d_first_frame", 0))) or path
    show_plate_file(root, path, is_cut=bool(plate) or is_image(path))
    return path


def _is_plate(root: bpy.types.Object, path: Path, plate: str) -> bool:
    if plate:
        return path.name == plate and is_folder_of(root, path.parent)
    return is_source(path, source_of(root[SCENE_KEY]))


def _source_below(root: bpy.types.Object, folder: Path, name: str, kind: str) -> Path | None:
    return find_source_below(folder, name, kind, source_of(root[SCENE_KEY]))


def _plate_below(root: bpy.types.Object, folder: Path, plate: str) -> Path | None:
    found = _scene_below(root, folder)
    return found / plate if found is not None and (found / plate).is_file() else None


def _scene_below(root: bpy.types.Object, folder: Path) -> Path | None:
    name = root[SCENE_KEY].rpartition("|")[0] + SUFFIX
    return find_scenes_below(folder, name, lambda one: is_folder_of(root, one))


def find_scene(root: bpy.types.Object, path: Path, use_anyway: bool = False) -> Path:
    """Link a 4D scene to its folder (or pointer file), or to what is found below a folder; returns the folder.

    Clips of files that lie in the folder are linked as well. The take in it comes with the next update.

    Raises:
        UserError: it is not there, is no 4D scene, or is of another video and not to be used anyway.
    """
    check_local(root)
    if path.is_dir() and not (path / "scene.json").is_file():
        found = _scene_below(root, path)
        if found is None:
            raise UserError(
                "missing_scene",
                f"The folder of {root.name} is not in {path.name} or below it.",
                "Choose another folder.",
            )
        path = found
    folder = resolve_scene_folder(path)
    if not use_anyway and not is_folder_of(root, folder):
        raise UserError(
            "wrong_scene",
            f"{folder.name} is not a reconstruction of the video of {root.name}.",
            "Choose the folder that belongs to it, or tick Use Anyway.",
        )
    link_folder(root, folder)
    for kind in ("plate", "undistorted"):
        clip = find_clip(root[SCENE_KEY], kind)
        if clip is not None and not clip_exists(clip) and (folder / clip_path(clip).name).is_file():
            link_file(clip, folder / clip_path(clip).name)
    return folder
