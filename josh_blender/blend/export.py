"""Hand on: people, camera and place as FBX or USD.

FBX carries people and camera. USD carries the points too: only a POINTCLOUD object becomes a ``Points`` prim, so the
cloud is converted for the time of the export and the file stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np

from ..scene4d.errors import UserError
from .context import object_mode
from .identity import find_parts


@contextmanager
def _only_selected(context: bpy.types.Context, items: list[bpy.types.Object]) -> Iterator[None]:
    with object_mode(context):
        for item in context.view_layer.objects:
            item.select_set(False)
        hidden = []
        for item in items:
            if item.hide_get():
                item.hide_set(False)
                hidden.append(item)
            item.select_set(True)
        try:
            yield
        finally:
            for item in hidden:
                item.hide_set(True)


@contextmanager
def _frame_range(scene: bpy.types.Scene, items: list[bpy.types.Object]) -> Iterator[None]:
    """The range of the people's and camera's own keys for the time of an export."""
    before = scene.frame_start, scene.frame_end, scene.frame_current, scene.frame_subframe
    actions = [item.animation_data.action for item in items if item.animation_data and item.animation_data.action]
    ranges = np.array([action.frame_range for action in actions])
    if len(ranges):
        scene.frame_start, scene.frame_end = int(ranges[:, 0].min()), int(ranges[:, 1].max())
    try:
        yield
    finally:
        scene.frame_start, scene.frame_end = before[:2]
        scene.frame_set(before[2], subframe=before[3])


def export_fbx(context: bpy.types.Context, root: bpy.types.Object, path: Path) -> list[str]:
    """People and camera of a 4D scene as one FBX, every frame as it is; returns warnings."""
    items = [root, *find_parts(root, ("armature", "body", "camera"))]
    with _only_selected(context, items), _frame_range(context.scene, items):
        bpy.ops.export_scene.fbx(
            filepath=str(path),
            use_selection=True,
            object_types={"EMPTY", "ARMATURE", "MESH", "CAMERA"},
            add_leaf_bones=False,
            bake_anim=True,
            # Every key of every frame, and the current action alone.
            bake_anim_simplify_factor=0.0,
            bake_anim_use_all_actions=False,
            bake_anim_use_nla_strips=False,
            bake_anim_force_startend_keying=True,
            use_armature_deform_only=False,
            mesh_smooth_type="FACE",
        )
    if abs(context.scene.render.fps_base - 1.0) > 1e-6:
        return ["FBX knows no fractions of a frame rate: over a long take it drifts by 0.1 %."]
    return []


def _as_points(context: bpy.types.Context, cloud: bpy.types.Object) -> bpy.types.Object:
    """A point cloud object with the colours of a cloud, beside it."""
    mesh = cloud.data.copy()
    points = bpy.data.objects.new(cloud.name, mesh)
    points.parent = cloud.parent
    points.matrix_world = cloud.matrix_world
    context.scene.collection.objects.link(points)
    for item in context.view_layer.objects:
        item.select_set(item is points)
    context.view_layer.objects.active = points
    bpy.ops.object.convert(target="POINTCLOUD")
    converted = context.view_layer.objects.active
    if mesh.users == 0:
        bpy.data.meshes.remove(mesh)
    return converted


def export_usd(context: bpy.types.Context, root: bpy.types.Object, path: Path) -> None:
    """People, camera and points of a 4D scene as USD.

    Raises:
        UserError: this Blender was built without USD.
    """
    if not hasattr(bpy.types, "WM_OT_usd_export") and not bpy.app.build_options.usd:
        raise UserError("no_usd", "This Blender was built without USD.", "Use a Blender from blender.org.")
    items = [root, *find_parts(root, ("armature", "body", "camera"))]
    with object_mode(context):
        points = [_as_points(context, cloud) for cloud in find_parts(root, ("cloud",)) if len(cloud.data.vertices)]
        data = [one.data for one in points]
        try:
            with _only_selected(context, [*items, *points]), _frame_range(context.scene, items):
                bpy.ops.wm.usd_export(
                    filepath=str(path),
                    selected_objects_only=True,
                    export_animation=True,
                    export_armatures=True,
                    export_shapekeys=True,
                    # All points, not the share the viewport shows.
                    evaluation_mode="RENDER",
                )
        finally:
            for one in points:
                bpy.data.objects.remove(one)
            for one in data:
                bpy.data.pointclouds.remove(one)
