"""Render a 4D scene in Blender from its own camera, from the side and from above. Runs under a bpy environment.

.venv-bpy52/bin/python tools/scene_views.py SCENE FRAME FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from josh_blender.blend.composite import add_sun  # noqa: E402
from josh_blender.blend.importer import import_scene  # noqa: E402
from josh_blender.scene4d.files import read_scene  # noqa: E402
from josh_blender.scene4d.scene import Scene4D  # noqa: E402

WIDTH = 960


def _look_at(camera: bpy.types.Object, eye: Vector, target: Vector) -> None:
    rotation = (target - eye).to_track_quat("-Z", "Y").to_matrix().to_4x4()
    camera.matrix_world = Matrix.Translation(eye) @ rotation


def _render(scene: bpy.types.Scene, camera: bpy.types.Object, path: Path) -> None:
    scene.camera = camera
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def _prepare(scene: bpy.types.Scene, scene4d: Scene4D) -> None:
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = 12
    scene.cycles.use_denoising = True
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_percentage = round(100 * WIDTH / scene4d.source.width)
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    world = bpy.data.worlds.new("View")
    world.use_nodes = True
    background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (0.75, 0.8, 0.88, 1.0)
    scene.world = world
    add_sun(scene)


def _camera_frame(scene: bpy.types.Scene, camera: bpy.types.Object, size: float = 0.35) -> None:
    """A small wire pyramid where the camera stands on this frame, and its path as a tube."""
    mesh = bpy.data.meshes.new("Frustum")
    corners = [(-1.0, -0.6, -1.5), (1.0, -0.6, -1.5), (1.0, 0.6, -1.5), (-1.0, 0.6, -1.5), (0.0, 0.0, 0.0)]
    faces = [(0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)]
    mesh.from_pydata([tuple(size * value for value in corner) for corner in corners], [], faces)
    shown = bpy.data.objects.new("Frustum", mesh)
    shown.matrix_world = camera.matrix_world
    shown.modifiers.new("Wire", "WIREFRAME").thickness = 0.03
    scene.collection.objects.link(shown)


def _camera_path(scene: bpy.types.Scene, scene4d: Scene4D) -> None:
    curve = bpy.data.curves.new("Camera Path", "CURVE")
    curve.dimensions = "3D"
    curve.bevel_depth = 0.02
    spline = curve.splines.new("POLY")
    centres = scene4d.camera.world_from_camera[:, :3, 3]
    spline.points.add(len(centres) - 1)
    spline.points.foreach_set("co", np.concatenate([centres, np.ones((len(centres), 1))], 1).ravel())
    material = bpy.data.materials.new("Camera Path")
    material.diffuse_color = (0.9, 0.3, 0.05, 1.0)
    scene.collection.objects.link(bpy.data.objects.new("Camera Path", curve))


def main(scene_path: Path, frame_offset: int, folder: Path) -> None:
    scene4d = read_scene(scene_path)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    report = import_scene(bpy.context, scene4d)
    print(report.warnings)
    _prepare(scene, scene4d)
    folder.mkdir(parents=True, exist_ok=True)
    frame = scene.frame_start + frame_offset
    scene.frame_set(frame)
    own = scene.camera
    clouds = [item for item in bpy.data.objects if item.get("josh4d_kind") == "cloud"]
    for cloud in clouds:
        cloud.hide_render = True
    scene.render.film_transparent = True
    _render(scene, own, folder / "people.png")
    for cloud in clouds:
        cloud.hide_render = False
    scene.render.film_transparent = False
    _camera_frame(scene, own)
    _camera_path(scene, scene4d)
    row = min(frame_offset, len(scene4d.camera.frame) - 1)
    pose = scene4d.camera.world_from_camera[row]
    eye, forward = Vector(pose[:3, 3]), Vector(pose[:3, 2])
    forward.z = 0.0
    forward.normalize()
    right = Vector((forward.y, -forward.x, 0.0))
    roots = [person.trans.mean(axis=0) for person in scene4d.people] or [np.array(eye + 5.0 * forward)]
    middle = Vector(np.median(roots, axis=0))
    middle.z = 0.8
    distance = max(4.0, (middle - eye).length)
    data = bpy.data.cameras.new("View")
    data.lens = 28.0
    view = bpy.data.objects.new("View", data)
    scene.collection.objects.link(view)
    target = eye.lerp(middle, 0.7)
    target.z = 0.8
    _look_at(view, target - 0.9 * distance * forward + 0.9 * distance * right + Vector((0, 0, 0.6 * distance)), target)
    _render(scene, view, folder / "oblique.png")
    _look_at(view, target + 1.3 * distance * right + Vector((0.0, 0.0, 0.15 * distance)), target)
    _render(scene, view, folder / "side.png")
    data.type = "ORTHO"
    data.ortho_scale = 2.6 * distance
    view.matrix_world = Matrix.Translation(target + Vector((0.0, 0.0, 60.0)))
    data.clip_end = 200.0
    _render(scene, view, folder / "top.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
