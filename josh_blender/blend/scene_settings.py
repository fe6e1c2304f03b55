"""Settings of the Blender scene that follow from the video; colour management is never among them."""

from __future__ import annotations

import math

import bpy
import numpy as np

from ..scene4d.scene import Scene4D, Source
from .camera import Lens
from .import_options import ImportOptions
from .preview import PREVIEW_KEY


def is_empty(scene: bpy.types.Scene) -> bool:
    """Whether nothing in the scene depends on its settings: no animation and no camera but that of the start file."""
    items = [item for item in scene.objects if not any(PREVIEW_KEY in home for home in item.users_collection)]
    animated = any(item.animation_data is not None for item in items)
    return not animated and sum(item.type == "CAMERA" for item in items) <= 1


def scene_fps(scene: bpy.types.Scene) -> float:
    """Frames per second of a Blender scene."""
    return float(scene.render.fps / scene.render.fps_base)


def runs_at(scene: bpy.types.Scene, source: Source) -> bool:
    """Whether a scene has the video's frame rate."""
    return abs(scene_fps(scene) * source.fps_den / source.fps_num - 1.0) <= 1e-4


def unit_scale(scene: bpy.types.Scene) -> float:
    """Blender units of a metre."""
    units = scene.unit_settings
    return 1.0 / float(units.scale_length) if units.system != "NONE" else 1.0


def rate_text(source: Source) -> str:
    """The video's frame rate for people, "23.976"."""
    return f"{source.fps_num / source.fps_den:.3f}".rstrip("0").rstrip(".")


def resolve(options: ImportOptions, empty: bool) -> tuple[bool, bool, bool, bool]:
    """Whether to set frame rate, range, resolution and active camera, for a scene that is empty or not."""
    rate, extent, size, camera = (
        empty if one is None else one
        for one in (options.frame_rate, options.frame_range, options.resolution, options.active_camera)
    )
    # At the video's own rate there is nothing to retime, and a retimed import is one at the scene's rate.
    return rate and not options.retime, extent, size, camera


def set_frame_rate(scene: bpy.types.Scene, source: Source) -> None:
    """Take the video's frame rate: fps is a whole number in Blender, fps_base carries 1001/1000 and the like."""
    fps = max(1, round(source.fps_num / source.fps_den))
    scene.render.fps = fps
    scene.render.fps_base = fps * source.fps_den / source.fps_num


def set_frame_range(scene: bpy.types.Scene, frames: np.ndarray, empty: bool) -> None:
    """Make room for Blender frames (F,): the range becomes theirs in an empty scene and is extended in another."""
    first, last = math.floor(frames[0]), math.ceil(frames[-1])
    scene.frame_end = last if empty else max(scene.frame_end, last)
    scene.frame_start = first if empty else min(scene.frame_start, first)


def set_resolution(scene: bpy.types.Scene, source: Source, lens: Lens | None) -> None:
    """Take the video's size and, with a lens, its pixel aspect."""
    scene.render.resolution_x, scene.render.resolution_y = source.width, source.height
    scene.render.resolution_percentage = 100
    if lens is not None:
        scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = lens.pixel_aspect


def mismatches(scene: bpy.types.Scene, scene4d: Scene4D, frames: np.ndarray, retimed: bool) -> list[str]:
    """Sentences about settings of the scene that do not fit the video."""
    warnings = []
    render, source = scene.render, scene4d.source
    if not retimed and not runs_at(scene, source):
        warnings.append(
            f"The video runs at {rate_text(source)} frames per second, this scene at another rate: "
            "import with Retime to keep the speed."
        )
    if (render.resolution_x, render.resolution_y) != (source.width, source.height):
        warnings.append(f"The camera matches the plate at {source.width} x {source.height} px.")
    first, last = math.floor(frames[0]), math.ceil(frames[-1])
    if first < scene.frame_start or last > scene.frame_end:
        warnings.append(f"The take runs from frame {first} to {last}, beyond the range of this scene.")
    return warnings
