"""What an engine at work shows: its camera, sparse points and boxes for people, in one collection called Preview.

The file is the engine's ``preview.npz``: ``frame (F,)``, ``world_from_camera (F,4,4)``, ``intrinsics (F,4)``,
``size (2,)`` px, ``points (P,3)``, ``color (P,3)``, ``person (N,)``, ``height (N,)`` m and ``place (N,F,3)``, where a
person stands, NaN while nobody is there. Z is up; sizes are about metres.
"""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from ..scene4d.arrays import read_npz
from ..scene4d.errors import SceneFormatError
from ..scene4d.scene import CameraPath, PointCloud
from .animation import Channel
from .camera import create_camera, write_camera
from .cloud import create_cloud
from .takes import animate

PREVIEW_KEY = "josh4d_preview"
_NAME = "Preview"
_SHAPES = {
    "frame": (None,),
    "world_from_camera": (None, 4, 4),
    "intrinsics": (None, 4),
    "size": (2,),
    "points": (None, 3),
    "color": (None, 3),
    "person": (None,),
    "height": (None,),
    "place": (None, None, 3),
}
_BOX_WIDTH = 0.5


def read_preview(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a preview.

    Raises:
        SceneFormatError: missing, damaged, or not of the documented shapes.
    """
    arrays = read_npz(path, tuple(_SHAPES))
    for name, shape in _SHAPES.items():
        found = arrays[name].shape if name in arrays else ()
        if len(found) != len(shape) or any(b is not None and a != b for a, b in zip(found, shape, strict=True)):
            raise SceneFormatError(f"{path.name} has no {name} of the right shape.")
    frames, people = len(arrays["frame"]), len(arrays["person"])
    whole = (
        frames > 0
        and len(arrays["world_from_camera"]) == len(arrays["intrinsics"]) == frames
        and arrays["place"].shape[:2] == (people, frames)
        and len(arrays["height"]) == people
        and len(arrays["points"]) == len(arrays["color"])
    )
    if not whole or not all(np.isfinite(arrays[name]).all() for name in ("world_from_camera", "intrinsics", "points")):
        raise SceneFormatError(f"{path.name} is damaged.")
    return arrays


def show_preview(scene: bpy.types.Scene, arrays: dict[str, np.ndarray], key: str, start_frame: int) -> None:
    """Show a preview in place of an earlier one with the same key; nothing else in the file changes."""
    remove_preview(key)
    home = bpy.data.collections.new(_NAME)
    home[PREVIEW_KEY] = key
    scene.collection.children.link(home)
    frames = arrays["frame"].astype(np.float64) - float(arrays["frame"][0]) + start_frame
    width, height = (int(side) for side in arrays["size"])
    camera = create_camera("Preview camera")
    path = CameraPath(
        arrays["frame"], frames, arrays["world_from_camera"], arrays["intrinsics"], np.zeros(5), arrays["frame"][:0]
    )
    write_camera(camera, path, frames, width, height)
    home.objects.link(camera)
    if len(arrays["points"]):
        count = len(arrays["points"])
        points = PointCloud(
            arrays["points"].astype(np.float32),
            arrays["color"].astype(np.uint8),
            np.ones(count, np.float32),
            np.zeros(count, np.uint16),
        )
        home.objects.link(create_cloud("Preview points", points))
    for number, size, place in zip(arrays["person"], arrays["height"], arrays["place"], strict=True):
        seen = np.isfinite(place).all(axis=1)
        if seen.any():
            box = bpy.data.objects.new(f"Preview person {int(number)}", _box(float(size)))
            box.display_type = "WIRE"
            box.show_name = True
            animate(box, box.name, frames[seen], [Channel("location", place[seen], "Transform")])
            home.objects.link(box)


def preview_keys() -> set[str]:
    """The keys of all previews of the file."""
    return {one[PREVIEW_KEY] for one in bpy.data.collections if PREVIEW_KEY in one and one.library is None}


def remove_preview(key: str) -> bool:
    """Remove the preview with this key, with everything made for it; says whether there was one."""
    found = [collection for collection in bpy.data.collections if collection.get(PREVIEW_KEY) == key]
    for collection in found:
        for item in list(collection.objects):
            data = item.data
            actions = {
                block.animation_data.action
                for block in (item, data)
                if block.animation_data is not None and block.animation_data.action is not None
            }
            bpy.data.objects.remove(item)
            for block in (data, *actions):
                if block.users == 0:
                    bpy.data.batch_remove([block])
        bpy.data.collections.remove(collection)
    return bool(found)


def _box(height: float) -> bpy.types.Mesh:
    """A box that stands on its origin."""
    half = _BOX_WIDTH / 2.0
    corners = [
        (x, y, z) for z in (0.0, height) for x, y in ((-half, -half), (half, -half), (half, half), (-half, half))
    ]
    faces = [(0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)]
    mesh = bpy.data.meshes.new("Preview person")
    mesh.from_pydata(corners, [], faces)
    return mesh
