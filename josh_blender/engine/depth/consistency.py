"""Do depth maps of neighbouring pictures agree?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...scene4d.camera import invert_rigid, project, transform, unproject
from .plane_sweep import View

Array = NDArray[Any]

#: Two maps agree where the depths differ by less than this share, and the point comes back to within so many px.
_RELATIVE = 0.05
_RETURN_PX = 1.2
#: Steps of log depth that speckles are told apart by.
_LOG_STEPS = 1000.0


@dataclass(frozen=True)
class Agreement:
    """count (h,w) int: other maps that agree; depth (h,w): mean of the agreeing ones, harmonic, as errors are even in
    inverse depth."""

    count: Array
    depth: Array


def pixel_grid(height: int, width: int) -> Array:
    """Centres (h,w,2) of all pixels."""
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([columns, rows], axis=-1)


def agree(depth: Array, view: View, others: list[tuple[Array, View]]) -> Agreement:
    """Compare a depth map (h,w), 0 = none, with those of other views of the same size."""
    height, width = depth.shape
    grid = pixel_grid(height, width)
    rays = unproject(grid, view.intrinsics)
    known = depth > 0.0
    world = transform(view.world_from_camera, (rays * depth[..., None])[known])
    count = np.zeros(int(known.sum()), dtype=np.int32)
    inverse = 1.0 / depth[known]
    total = inverse.copy()
    for other_depth, other in others:
        local = transform(invert_rigid(other.world_from_camera), world)
        pixels = project(local, other.intrinsics)
        column, row = np.floor(pixels[:, 0]).astype(int), np.floor(pixels[:, 1]).astype(int)
        inside = (local[:, 2] > 0.0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
        there = np.where(inside, other_depth[np.where(inside, row, 0), np.where(inside, column, 0)], 0.0)
        back = transform(
            invert_rigid(view.world_from_camera) @ other.world_from_camera,
            unproject(pixels, other.intrinsics) * there[:, None],
        )
        returned = np.linalg.norm(project(back, view.intrinsics) - grid[known], axis=1)
        close = np.abs(there - local[:, 2]) < _RELATIVE * local[:, 2]
        good = inside & (there > 0.0) & close & (returned < _RETURN_PX) & (back[:, 2] > 0.0)
        count += good
        total += np.where(good, 1.0 / np.where(good, back[:, 2], 1.0), 0.0)
    counts = np.zeros(depth.shape, dtype=np.int32)
    counts[known] = count
    mean = np.zeros(depth.shape, dtype=np.float32)
    mean[known] = (1 + count) / total
    return Agreement(counts, mean)


def drop_speckles(depth: Array, least: int) -> Array:
    """The depth map (h,w) without patches of fewer than ``least`` pixels that hang together to 5 % of their depth."""
    known = depth > 0.0
    if not known.any():
        return depth
    steps = np.where(known, 1.0 + _LOG_STEPS * np.log(np.maximum(depth, 1e-9) / depth[known].min()), 0.0)
    labels = np.clip(steps, 0.0, 32_000.0).astype(np.int16)
    cv2.filterSpeckles(labels, 0, least, _LOG_STEPS * _RELATIVE)
    return np.where(labels > 0, depth, 0.0).astype(np.float32)
