"""Where the folder of an imported 4D scene is, and what state it is in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy

from ..scene4d.errors import UserError
from ..scene4d.files import SUFFIX
from ..scene4d.scene import Scene4D
from ..scene4d.summary import read_summary, scene_digest
from .clip_files import clip_exists, clip_path
from .identity import PERSON_KEY, SCENE_KEY, find_part, find_parts, source_of
from .plate import find_clip

_FOLDER_KEY = "josh4d_folder"
SOURCE_NAME_KEY = "josh4d_source_name"
SOURCE_KIND_KEY = "josh4d_source_kind"
#: The file in the scene's folder that serves as the plate; empty where the source itself does.
PLATE_KEY = "josh4d_plate"
_DIGEST_KEY = "josh4d_take_digest"


@dataclass(frozen=True)
class SceneState:
    """folder is None where the scene's folder is missing; uncertain names people who are not reliable."""

    folder: Path | None
    plate_missing: bool
    newer_take: bool
    uncertain: tuple[str, ...]


def remember_folder(root: bpy.types.Object, scene4d: Scene4D) -> None:
    """Note where a scene was read from, from which source, and which take it was."""
    root[SOURCE_NAME_KEY], root[SOURCE_KIND_KEY] = scene4d.source.name, scene4d.source.kind
    root[PLATE_KEY] = scene4d.plate or ""
    if scene4d.folder is not None:
        link_folder(root, scene4d.folder)
        root[_DIGEST_KEY] = scene_digest(scene4d.folder)


def link_folder(root: bpy.types.Object, folder: Path) -> None:
    """Let a 4D scene have another folder; `importer.update_scene` brings the take in it."""
    root[_FOLDER_KEY] = str(folder.resolve())


def is_folder_of(root: bpy.types.Object, folder: Path) -> bool:
    """Whether a folder holds a reconstruction of the same video; a folder of another name may hold another take."""
    try:
        return read_summary(folder).source.identity == source_of(root[SCENE_KEY])
    except (UserError, OSError):
        return False


def _candidates(root: bpy.types.Object) -> list[Path]:
    """Where the folder may be: where it was, around its clips (Blender keeps their paths), beside the .blend."""
    noted = Path(root.get(_FOLDER_KEY, ""))
    found = [noted] if noted.name else []
    proxy = find_clip(root[SCENE_KEY], "undistorted")
    if proxy is not None:
        found.append(clip_path(proxy).parent)
    if bpy.data.filepath:
        beside = Path(bpy.data.filepath).parent
        found += [beside / noted.name, beside / (root[SCENE_KEY].rpartition("|")[0] + SUFFIX)]
    return found


def find_folder(root: bpy.types.Object) -> Path | None:
    """The folder of a 4D scene, None where it is in none of the places known."""
    first, *others = _candidates(root) or [Path()]
    if (first / "scene.json").is_file():
        return first
    return next((path for path in others if (path / "scene.json").is_file() and is_folder_of(root, path)), None)


def state_of(root: bpy.types.Object) -> SceneState:
    """What the panel says about a 4D scene; looks at a few files, reads none but ``scene.json``."""
    folder = find_folder(root)
    uncertain = tuple(
        armature.name
        for armature in sorted(find_parts(root, ("armature",)), key=lambda item: item.get(PERSON_KEY, 0))
        if not armature.get("josh4d_reliable", True)
    )
    return SceneState(
        folder,
        plate_missing=find_part(root, "camera") is not None and not clip_exists(find_clip(root[SCENE_KEY], "plate")),
        newer_take=folder is not None and scene_digest(folder) != root.get(_DIGEST_KEY, ""),
        uncertain=uncertain,
    )
