"""How datablocks are known again: by id properties, never by name."""

from __future__ import annotations

import bpy

from ..scene4d.errors import UserError
from ..scene4d.scene import Scene4D

SCENE_KEY = "josh4d_scene"
KIND_KEY = "josh4d_kind"
PERSON_KEY = "josh4d_person"


def scene_identity(scene4d: Scene4D) -> str:
    """What makes two imports the same scene: its name and its video."""
    return identity_of(scene4d.name, scene4d.source.identity)


def identity_of(name: str, source_identity: str) -> str:
    """The identity of the scene with this name and source."""
    return f"{name}|{source_identity}"


def source_of(identity: str) -> str:
    """The source's part of a scene's identity."""
    return identity.rpartition("|")[2]


def mark(block: bpy.types.ID, identity: str, kind: str, person: int = 0) -> None:
    """Write the id properties; person 0 is nobody."""
    block[SCENE_KEY] = identity
    block[KIND_KEY] = kind
    block[PERSON_KEY] = person


def roots(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The root empties of all 4D scenes in a Blender scene."""
    return [item for item in scene.objects if item.get(KIND_KEY) == "root"]


def _originals_first(item: bpy.types.Object) -> tuple[bool, int, str]:
    # A duplicate carries the same properties; Blender numbers its name.
    return not is_local(item), len(item.name), item.name


def find_root(scene: bpy.types.Scene, identity: str) -> bpy.types.Object | None:
    """The root of a 4D scene, None where it was not imported yet."""
    found = [root for root in roots(scene) if root.get(SCENE_KEY) == identity]
    return min(found, key=_originals_first, default=None)


def find_part(root: bpy.types.Object, kind: str, person: int = 0) -> bpy.types.Object | None:
    """An object of a 4D scene, None where it was deleted; the original where the artist duplicated it."""
    found = [item for item in find_parts(root, (kind,)) if item.get(PERSON_KEY) == person]
    return min(found, key=_originals_first, default=None)


def find_parts(root: bpy.types.Object, kinds: tuple[str, ...]) -> list[bpy.types.Object]:
    """The objects of a 4D scene of some kinds, wherever the artist moved them within the Blender scene."""
    return [
        item
        for scene in root.users_scene
        for item in scene.objects
        if item.get(SCENE_KEY) == root[SCENE_KEY] and item.get(KIND_KEY) in kinds
    ]


def root_of(item: bpy.types.Object | None) -> bpy.types.Object | None:
    """The root of the 4D scene an object belongs to, also where the artist parented it to something else."""
    while item is not None:
        if item.get(KIND_KEY) == "root":
            return item
        identity = item.get(SCENE_KEY)
        if identity is not None:
            found = (find_root(scene, identity) for scene in item.users_scene)
            return next((root for root in found if root is not None), None)
        item = item.parent
    return None


def active_root(context: bpy.types.Context) -> bpy.types.Object | None:
    """The 4D scene of the active object, or the only one there is."""
    root = root_of(context.active_object)
    if root is not None and context.scene in root.users_scene:
        return root
    found = roots(context.scene)
    return found[0] if len(found) == 1 else None


def select_only(context: bpy.types.Context, item: bpy.types.Object) -> bool:
    """Make an object the active and only selected one; False where it is not in the view layer."""
    if item.name not in context.view_layer.objects:
        return False
    for other in context.selected_objects:
        other.select_set(False)
    item.hide_set(False)
    item.select_set(True)
    context.view_layer.objects.active = item
    return True


def is_local(item: bpy.types.ID) -> bool:
    """Whether an item belongs to this file: neither linked nor an override of something linked."""
    return item.library is None and item.override_library is None


def check_local(root: bpy.types.Object) -> None:
    """Raises:
    UserError: the 4D scene belongs to another file.
    """
    if is_local(root):
        return
    library = root.library or root.override_library.reference.library
    name = bpy.path.basename(library.filepath) if library is not None else "another file"
    raise UserError(
        "linked_scene",
        f"{root.name} is linked from {name}.",
        "Update it in that file: what you changed here stays, and the new take comes when this file is opened again.",
    )
