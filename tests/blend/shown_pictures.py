"""What Blender really shows for each frame of a video: through the movie clip, the image and the sequencer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import bpy
import numpy as np


def _output_socket(scene: bpy.types.Scene) -> tuple[bpy.types.NodeTree, bpy.types.NodeSocket]:
    """The compositing tree of a scene and the socket whose colour is rendered, in Blender 4.5 and 5."""
    if hasattr(scene, "compositing_node_group"):
        tree = bpy.data.node_groups.new("Shown", "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        scene.compositing_node_group = tree
        return tree, tree.nodes.new("NodeGroupOutput").inputs[0]
    scene.use_nodes = True
    scene.node_tree.nodes.clear()
    return scene.node_tree, scene.node_tree.nodes.new("CompositorNodeComposite").inputs[0]


def shown(path: Path, by: str, numbers: Sequence[int], folder: Path) -> list[np.ndarray]:
    """The pictures (height, width, 4) float, top row first, that a scene shows for the picture ``numbers`` of a video.

    They are asked for in the order given. ``by``: "clip" (movie clip), "image" (movie image) or "strip" (sequencer).
    """
    scene = bpy.data.scenes.new("Shown")
    clip = bpy.data.movieclips.load(str(path))
    render = scene.render
    render.resolution_x, render.resolution_y = clip.size
    render.resolution_percentage = 100
    render.fps, render.fps_base = round(clip.fps), round(clip.fps) / clip.fps
    render.image_settings.file_format = "PNG"
    render.image_settings.color_mode = "RGB"
    render.use_file_extension = True
    scene.view_settings.view_transform = "Standard"
    count = max(numbers) + 1
    if by == "strip":
        editor = scene.sequence_editor_create()
        strips = editor.strips if hasattr(editor, "strips") else editor.sequences
        strips.new_movie("plate", str(path), channel=1, frame_start=1)
    else:
        tree, output = _output_socket(scene)
        if by == "clip":
            node = tree.nodes.new("CompositorNodeMovieClip")
            node.clip = clip
        else:
            node = tree.nodes.new("CompositorNodeImage")
            node.image = bpy.data.images.load(str(path))
            node.frame_duration, node.frame_start, node.frame_offset = count, 1, 0
            node.use_auto_refresh = True
        tree.links.new(node.outputs["Image"], output)
    pictures = []
    for number in numbers:
        scene.frame_start = scene.frame_end = 1 + number
        render.filepath = str(folder / f"{by}_")
        bpy.ops.render.render(animation=True, scene=scene.name)
        pictures.append(_read(folder / f"{by}_{1 + number:04d}.png"))
    bpy.data.scenes.remove(scene)
    return pictures


def _read(path: Path) -> np.ndarray:
    image = bpy.data.images.load(str(path))
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[::-1]
