"""Renders a prepared shot: ``python render.py WORK --engine workbench|cycles``, run by a Python that has bpy.

WORK holds ``shot.npz`` and ``textures/`` as `sequence.prepare` writes them; pictures go to ``WORK/frames/FFFFFF.png``.
Frames that are there already are kept, so an interrupted render continues.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector


def _linear(color: np.ndarray) -> np.ndarray:
    """sRGB 0..255 to linear 0..1."""
    value = np.asarray(color, float) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _material(name: str, color: np.ndarray, roughness: float, picture: Path | None = None) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    linear = (*_linear(color), 1.0)
    material.diffuse_color = linear
    material.use_nodes = True
    tree = material.node_tree
    shader = tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = linear
    shader.inputs["Roughness"].default_value = roughness
    shader.inputs["Specular IOR Level"].default_value = 0.2
    if picture is not None:
        node = tree.nodes.new("ShaderNodeTexImage")
        node.image = bpy.data.images.load(str(picture))
        tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
        tree.nodes.active = node
    return material


def _add_place(shot: np.lib.npyio.NpzFile, textures: Path) -> None:
    names = [str(name) for name in shot["quad_texture"]]
    for texture in sorted(set(names)):
        chosen = [number for number, name in enumerate(names) if name == texture]
        corners, uvs = [], []
        for number in chosen:
            origin, u, v = shot["quad_origin"][number], shot["quad_u"][number], shot["quad_v"][number]
            start, size = shot["quad_uv_origin"][number], shot["quad_uv_size"][number]
            for a, b in ((0, 0), (1, 0), (1, 1), (0, 1)):
                corners.append(origin + a * u + b * v)
                uvs.append(start + size * (a, b))
        mesh = bpy.data.meshes.new(texture)
        mesh.from_pydata([tuple(c) for c in corners], [], [tuple(range(4 * k, 4 * k + 4)) for k in range(len(chosen))])
        mesh.uv_layers.new().uv.foreach_set("vector", np.asarray(uvs, np.float32).ravel())
        picture = textures / (texture.replace(":", "_") + ".png")
        mesh.materials.append(_material(texture, np.array((150, 150, 150)), 0.9, picture))
        bpy.context.scene.collection.objects.link(bpy.data.objects.new(texture, mesh))


def _add_person(shot: np.lib.npyio.NpzFile, number: int) -> bpy.types.Mesh:
    mesh = bpy.data.meshes.new(f"person{number}")
    mesh.from_pydata(shot[f"vertices{number}"][0].tolist(), [], shot["triangles"].tolist())
    for name, color in zip(shot["part_names"], shot[f"part_colors{number}"], strict=True):
        mesh.materials.append(_material(f"{number}.{name}", color, 0.45 if name in ("eye", "white") else 0.8))
    mesh.polygons.foreach_set("material_index", shot[f"parts{number}"].astype(np.int32))
    mesh.polygons.foreach_set("use_smooth", np.ones(len(mesh.polygons), bool))
    bpy.context.scene.collection.objects.link(bpy.data.objects.new(mesh.name, mesh))
    return mesh


def _add_light(shot: np.lib.npyio.NpzFile) -> None:
    lamp = bpy.data.lights.new("sun", "SUN")
    lamp.energy, lamp.angle, lamp.color = 3.6, 0.02, (1.0, 0.95, 0.87)
    sun = bpy.data.objects.new("sun", lamp)
    sun.rotation_mode = "QUATERNION"
    sun.rotation_quaternion = Vector(tuple(shot["sun"])).to_track_quat("Z", "Y")
    bpy.context.scene.collection.objects.link(sun)
    world = bpy.data.worlds.new("sky")
    # Workbench takes its background from here.
    world.color = tuple(shot["sky"])
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (*shot["sky"], 1.0)
    background.inputs["Strength"].default_value = 0.85
    bpy.context.scene.world = world


def _add_camera(shot: np.lib.npyio.NpzFile, width: int, height: int) -> bpy.types.Object:
    data = bpy.data.cameras.new("camera")
    fx, fy, cx, cy = shot["intrinsics"].T
    if not np.allclose(fx, fy):
        raise ValueError("pixels must be square")
    side = max(width, height)
    data.sensor_fit, data.sensor_width, data.clip_start = "AUTO", 36.0, 0.05
    data.shift_x, data.shift_y = (width / 2 - cx[0]) / side, (cy[0] - height / 2) / side
    camera = bpy.data.objects.new("camera", data)
    bpy.context.scene.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    return camera


def _set_engine(scene: bpy.types.Scene, engine: str, samples: int) -> None:
    scene.view_settings.view_transform = "Standard"
    scene.render.dither_intensity = 0.0
    if engine == "cycles":
        scene.render.engine = "CYCLES"
        cycles = scene.cycles
        cycles.device, cycles.samples, cycles.use_denoising = "CPU", samples, True
        cycles.denoiser, cycles.use_adaptive_sampling = "OPENIMAGEDENOISE", False
        cycles.denoising_prefilter = "FAST"
        cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 2, 2, 1
        cycles.caustics_reflective = cycles.caustics_refractive = False
        scene.render.use_persistent_data = True
        return
    scene.render.engine = "BLENDER_WORKBENCH"
    shading = scene.display.shading
    shading.light, shading.color_type, shading.show_shadows = "STUDIO", "TEXTURE", False
    shading.show_specular_highlight = False
    scene.view_settings.exposure = 0.7
    scene.display.render_aa = "8"


def render(work: Path, engine: str, samples: int, only: list[int] | None = None) -> None:
    """Render the frames that are not there yet (all, or those in ``only``)."""
    shot = np.load(work / "shot.npz")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    width, height = (int(value) for value in shot["size"])
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = width, height, 100
    scene.render.image_settings.file_format, scene.render.image_settings.compression = "PNG", 30
    _set_engine(scene, engine, samples)
    _add_place(shot, work / "textures")
    people = [_add_person(shot, number) for number in range(int(shot["people"]))]
    _add_light(shot)
    camera = _add_camera(shot, width, height)
    folder = work / "frames"
    folder.mkdir(exist_ok=True)
    poses = shot["world_from_camera"] @ np.diag([1.0, -1.0, -1.0, 1.0])
    vertices = [shot[f"vertices{number}"] for number in range(len(people))]
    for frame in range(len(poses)) if only is None else only:
        target = folder / f"{frame:06d}.png"
        if target.exists():
            continue
        for mesh, track in zip(people, vertices, strict=True):
            mesh.vertices.foreach_set("co", track[frame].astype(np.float32).ravel())
            mesh.update()
        camera.matrix_world = Matrix(poses[frame].tolist())
        camera.data.lens = float(shot["intrinsics"][frame, 0]) * 36.0 / max(width, height)
        partial = folder / f"partial_{frame:06d}.png"
        scene.render.filepath = str(partial)
        bpy.ops.render.render(write_still=True)
        partial.replace(target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--engine", choices=("workbench", "cycles"), default="workbench")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--only", type=int, nargs="*")
    arguments = parser.parse_args()
    render(arguments.work.resolve(), arguments.engine, arguments.samples, arguments.only)
