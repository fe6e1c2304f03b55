"""Keeping what the artist was doing: mode, active object and selection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy


@contextmanager
def object_mode(context: bpy.types.Context) -> Iterator[None]:
    """Object mode inside; the mode, active object and selection of before afterwards."""
    layer = context.view_layer
    active = layer.objects.active
    mode = active.mode if active is not None else "OBJECT"
    selected = [item for item in layer.objects if item.select_get()]
    if mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    try:
        yield
    finally:
        for item in layer.objects:
            item.select_set(False)
        for item in selected:
            item.select_set(True)
        layer.objects.active = active
        if active is not None and mode != "OBJECT":
            bpy.ops.object.mode_set(mode=mode)


@contextmanager
def edit_bones(context: bpy.types.Context, armature: bpy.types.Object) -> Iterator[bpy.types.ArmatureEditBones]:
    """The edit bones of an armature object; call it inside `object_mode`.

    An object in an excluded or hidden collection cannot enter edit mode, so it is linked to the scene's own collection
    for that time.
    """
    layer = context.view_layer
    home = context.scene.collection
    borrowed = armature.name not in home.objects
    if borrowed:
        home.objects.link(armature)
    hidden, unselectable, viewport = armature.hide_get(), armature.hide_select, armature.hide_viewport
    armature.hide_viewport = False
    armature.hide_set(False)
    armature.hide_select = False
    layer.objects.active = armature
    try:
        bpy.ops.object.mode_set(mode="EDIT")
        try:
            yield armature.data.edit_bones
        finally:
            bpy.ops.object.mode_set(mode="OBJECT")
    finally:
        armature.hide_set(hidden)
        armature.hide_select, armature.hide_viewport = unselectable, viewport
        if borrowed:
            home.objects.unlink(armature)
