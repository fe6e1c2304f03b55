"""Reading what Blender evaluates."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from josh_blender.scene4d.conventions import JOINT_NAMES
from josh_blender.scene4d.scene import Person, Scene4D


def part(kind: str, person: int = 0, scene_key: str | None = None) -> bpy.types.Object:
    """An imported object by its id properties."""
    found = [
        item
        for item in bpy.data.objects
        if item.get("josh4d_kind") == kind
        and item.get("josh4d_person") == person
        and (scene_key is None or item["josh4d_scene"] == scene_key)
    ]
    assert len(found) == 1, f"{len(found)} objects of kind {kind} for person {person}"
    return found[0]


def evaluated_vertices(item: bpy.types.Object) -> np.ndarray:
    """World vertices (V,3) of a mesh object at the current frame."""
    evaluated = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.to_mesh()
    positions = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", positions)
    world = np.array(evaluated.matrix_world, dtype=np.float64)
    evaluated.to_mesh_clear()
    return positions.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]


def bone_matrices(armature: bpy.types.Object, names: tuple[str, ...] = JOINT_NAMES) -> np.ndarray:
    """World matrices (J,4,4) of posed bones at the current frame."""
    evaluated = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
    world = np.array(evaluated.matrix_world, dtype=np.float64)
    return np.stack([world @ np.array(evaluated.pose.bones[name].matrix, dtype=np.float64) for name in names])


def angle_between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Angles (...) in degrees between rotations (...,3,3), accurate for small ones."""
    difference = np.linalg.norm(first - second, axis=(-2, -1))
    return np.degrees(2.0 * np.arcsin(np.clip(difference / (2.0 * np.sqrt(2.0)), 0.0, 1.0)))


def camera_pixels(camera: bpy.types.Object, points: np.ndarray, width: int, height: int) -> np.ndarray:
    """Pixels (N,2), origin at the top left corner, of world points through a Blender camera at the current frame."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    render = bpy.context.scene.render
    evaluated = camera.evaluated_get(depsgraph)
    projection = np.array(
        evaluated.calc_matrix_camera(
            depsgraph, x=width, y=height, scale_x=render.pixel_aspect_x, scale_y=render.pixel_aspect_y
        ),
        dtype=np.float64,
    )
    view = np.linalg.inv(np.array(evaluated.matrix_world, dtype=np.float64))
    clip = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ (projection @ view).T
    ndc = clip[:, :2] / clip[:, 3:]
    return np.stack([(ndc[:, 0] + 1.0) / 2.0 * width, (1.0 - ndc[:, 1]) / 2.0 * height], axis=1)


def blender_frame(scene4d: Scene4D, person: Person, row: int, start: int = 1) -> int:
    """The Blender frame of a row of a person's motion."""
    return int(person.frame[row]) - int(scene4d.camera.frame[0]) + start


def make_plate(folder: Path, width: int, height: int, count: int = 1) -> Path:
    """A plate as an image sequence; returns its folder."""
    image = bpy.data.images.new("plate", width, height)
    image.file_format = "PNG"
    for number in range(count):
        image.filepath_raw = str(folder / f"plate_{number:04d}.png")
        image.save()
    return folder
