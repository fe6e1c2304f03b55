"""Taking a 4D scene out of the file: everything of ours, nothing of the artist's."""

from __future__ import annotations

import bpy

from .animation import is_edited, is_written
from .identity import KIND_KEY, PERSON_KEY, SCENE_KEY, check_local, find_part, find_parts
from .takes import dismiss_new_take

_KINDS = ("root", "armature", "body", "camera", "cloud")


def _originals(root: bpy.types.Object) -> set[bpy.types.Object]:
    """The parts of a 4D scene without the artist's duplicates of them."""
    return {find_part(root, item[KIND_KEY], item[PERSON_KEY]) for item in find_parts(root, _KINDS)}


def guests(root: bpy.types.Object) -> list[bpy.types.Object]:
    """Objects of the artist that hang on parts of a 4D scene, duplicates of parts among them."""
    parts = _originals(root)
    return [item for scene in root.users_scene for item in scene.objects if item.parent in parts and item not in parts]


def _actions(block: bpy.types.ID) -> set[bpy.types.Action]:
    data = block.animation_data
    if data is None:
        return set()
    used = {data.action, *(strip.action for track in data.nla_tracks for strip in track.strips)}
    return {action for action in used if action is not None}


def _free(item: bpy.types.Object) -> None:
    """Let go of the parent, and stay where it is at this frame."""
    world = item.matrix_world.copy()
    item.parent = None
    item.matrix_world = world


def _settle_actions(blocks: list[bpy.types.ID]) -> set[bpy.types.Action]:
    """The takes that go with their owners; keys of the artist's are kept in the file by a fake user."""
    ours = set()
    for block in blocks:
        dismiss_new_take(block)
        for action in _actions(block):
            if is_written(action) and not is_edited(action, block):
                ours.add(action)
            else:
                action.use_fake_user = True
    return ours


def remove_scene(root: bpy.types.Object) -> list[str]:
    """Remove a 4D scene; returns the names of the artist's objects that hung on it and stay where they are.

    Actions that the artist made or edited, and their materials, stay in the file. Collections go when nothing else is
    in them.

    Raises:
        UserError: the 4D scene is linked from another file.
    """
    check_local(root)
    identity = root[SCENE_KEY]
    kept = guests(root)
    for item in kept:
        _free(item)
    names = [item.name for item in kept]
    collections = [
        one
        for scene in root.users_scene
        for one in scene.collection.children_recursive
        if one.get(SCENE_KEY) == identity
    ]
    parts = list(_originals(root))
    for duplicate in set(find_parts(root, _KINDS)) - set(parts):
        for key in (SCENE_KEY, KIND_KEY, PERSON_KEY):
            del duplicate[key]
    data = {item.data for item in parts if item.data is not None}
    blocks: list[bpy.types.ID] = [*parts, *data]
    actions = _settle_actions(blocks)
    materials = {slot for block in data if isinstance(block, bpy.types.Mesh) for slot in block.materials}
    groups = {modifier.node_group for item in parts for modifier in item.modifiers if modifier.type == "NODES"}
    bpy.data.batch_remove(parts)
    _purge(data)
    _purge(actions)
    looks = {one for one in materials | groups if one is not None}
    ours = {one for one in looks if _is_ours(one)}
    _purge(ours)
    for look in looks - ours:
        look.use_fake_user = look.use_fake_user or look.users == 0
    for collection in reversed(collections):
        _dissolve(collection)
    _purge({clip for clip in bpy.data.movieclips if clip.get(SCENE_KEY) == identity})
    return names


def _is_ours(block: bpy.types.ID) -> bool:
    return any(key.startswith("josh4d_") for key in block.keys())  # noqa: SIM118


def _purge(blocks: set[bpy.types.ID]) -> None:
    unused = [block for block in blocks if block.users - int(block.use_fake_user) <= 0]
    if unused:
        bpy.data.batch_remove(unused)


def _dissolve(collection: bpy.types.Collection) -> None:
    """Remove a collection that is empty; one with things of the artist's in it is theirs from now on."""
    if not collection.objects and not collection.children:
        bpy.data.collections.remove(collection)
        return
    del collection[SCENE_KEY], collection[KIND_KEY]
