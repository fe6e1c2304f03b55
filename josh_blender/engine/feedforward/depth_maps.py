"""Point maps of the network as the depth maps of a scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..depth.depth_maps import save_depth_map
from ..results import FramesResult

Array = NDArray[Any]

#: Beyond this many times the median depth a point map is sky or guesswork.
_FARTHEST = 10.0


def keep_depth(
    folder: Path, frames: FramesResult, index: int, points: Array, confidence: Array, people: Array, intrinsics: Array
) -> None:
    """Write the z of points (h,w,3) in metres as the depth map of a frame; people (h,w) are not part of the place.

    A confidence C >= 1 of the network becomes 1 - 1/C. intrinsics (4,) are those of the network's picture.
    """
    depth = np.array(points[..., 2], np.float64)
    depth[~np.isfinite(depth) | (depth <= 0.0) | (people > 0)] = 0.0
    known = depth[depth > 0.0]
    if len(known):
        depth[depth > _FARTHEST * np.median(known)] = 0.0
    save_depth_map(folder, frames, index, depth, np.where(depth > 0.0, 1.0 - 1.0 / confidence, 0.0), intrinsics)
