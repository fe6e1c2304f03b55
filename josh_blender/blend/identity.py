"""How datablocks are known again: by id properties, never by name."""

from __future__ import annotations

import bpy

from ..scene4d.scene import Scene4D

SCENE_KEY = "josh4d_scene"
KIND_KEY = "josh4d_kind"
PERSON_KEY = "josh4d_person"


def scene_identity(scene4d: Scene4D) -> str:
    """What makes two imports the same scene: its name and its video."""
    return f"{scene4d.name}|{scene4d.source.identity}"


def mark(block: bpy.types.ID, identity: str, kind: str, person: int = 0) -> None:
    """Write the id properties; person 0 is nobody."""
    block[SCENE_KEY] = identity
    block[KIND_KEY] = kind
    block[PERSON_KEY] = person


def roots(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The root empties of all 4D scenes in a Blender scene."""
    return [item for item in scene.objects if item.get(KIND_KEY) == "root"]


def find_root(scene: bpy.types.Scene, identity: str) -> bpy.types.Object | None:
    """The root of a 4D scene, None where it was not imported yet."""
    return next((root for root in roots(scene) if root.get(SCENE_KEY) == identity), None)


def find_part(root: bpy.types.Object, kind: str, person: int = 0) -> bpy.types.Object | None:
    """An object of a 4D scene, None where it was deleted."""
    return next((item for item in find_parts(root, (kind,)) if item.get(PERSON_KEY) == person), None)


def find_parts(root: bpy.types.Object, kinds: tuple[str, ...]) -> list[bpy.types.Object]:
    """The objects of a 4D scene of some kinds, wherever the artist moved them within the Blender scene."""
    return [
        item
        for scene in root.users_scene
        for item in scene.objects
        if item.get(SCENE_KEY) == root[SCENE_KEY] and item.get(KIND_KEY) in kinds
    ]


def root_of(item: bpy.types.Object | None) -> bpy.types.Object | None:
    """The root of the 4D scene an object belongs to."""
    while item is not None and item.get(KIND_KEY) != "root":
        item = item.parent
    return item
