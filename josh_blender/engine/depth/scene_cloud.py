"""The coloured cloud of a solved scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..results import FramesResult, SceneResult
from ..video.reader import open_frames
from .depth_maps import make_undistorter
from .fusion import FusedCloud, fuse
from .lookup import read_depth_map

Array = NDArray[Any]

#: Less certain depth stays out of the cloud; filled ground is let in.
_LEAST_CONFIDENCE = 0.34
#: Depth beyond so many times the median of its map is too coarse to be shown.
_FARTHEST = 8.0


def scene_cloud(frames: FramesResult, scene: SceneResult, scene_folder: Path, most: int = 5_000_000) -> FusedCloud:
    """Points in scene units; ``source`` is the row of ``scene.depth_index`` (0 for sparse points and planes).

    Of a moving camera: the depth maps, thinned to at most ``most`` points; the sparse points where there are none. Of a
    camera that does not travel: the points of its ground plane.
    """
    if scene.camera_kind != "moving" or not len(scene.depth_index):
        return FusedCloud(
            np.asarray(scene.points, np.float64),
            np.asarray(scene.point_color, np.uint8),
            np.ones(len(scene.points), np.float32),
            np.zeros(len(scene.points), np.int32),
        )
    plate = (frames.source.width, frames.source.height)
    maps = []
    with open_frames(frames) as reader:
        for position in (int(value) for value in scene.depth_index):
            found = read_depth_map(frames, scene, scene_folder, position)
            if found is None:
                continue
            width = max(found.depth.shape)
            undistorter = make_undistorter(plate, width, scene.intrinsics[position], scene.distortion)
            color = undistorter.picture(reader.read(position, undistorter.read_size))
            known = found.depth[found.depth > 0.0]
            limit = _FARTHEST * float(np.median(known)) if len(known) else 0.0
            depth = np.where(found.depth < limit, found.depth, 0.0)
            maps.append((depth, found.confidence, found.intrinsics, scene.world_from_camera[position], color))
    return fuse(maps, _LEAST_CONFIDENCE, None, most)
