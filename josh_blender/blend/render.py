"""A plain picture of an imported scene: people under a soft sky, the points in their own colours."""

from __future__ import annotations

from pathlib import Path

import bpy

from .render_size import shrink_to

_SAMPLES = 24
_LONGEST_SIDE = 1280
_SKY = (0.22, 0.25, 0.29, 1.0)


def _light(scene: bpy.types.Scene) -> None:
    if scene.world is None:
        scene.world = bpy.data.worlds.new("Sky")
    if scene.world.node_tree is None:
        scene.world.use_nodes = True
    for node in scene.world.node_tree.nodes:
        if node.type == "BACKGROUND":
            node.inputs["Color"].default_value = _SKY
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy, sun.data.angle = 2.5, 0.1
    sun.rotation_euler = (0.6, 0.2, 0.8)
    scene.collection.objects.link(sun)


def render_still(scene: bpy.types.Scene, path: Path) -> None:
    """Render the middle frame from the active camera with Cycles, which needs no display.

    It lights the scene and changes render settings: call it after the file is saved.
    """
    _light(scene)
    render = scene.render
    render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples = "CPU", _SAMPLES
    shrink_to(render, _LONGEST_SIDE)
    scene.view_settings.view_transform = "Standard"
    render.image_settings.file_format = "PNG"
    render.filepath = str(path)
    render.use_file_extension = False
    scene.frame_set((scene.frame_start + scene.frame_end) // 2)
    bpy.ops.render.render(write_still=True)
