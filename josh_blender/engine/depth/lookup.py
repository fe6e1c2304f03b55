"""Depth maps on disk, and the depth at a pixel of the plate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.camera import project, unproject
from ..results import FramesResult, SceneResult

Array = NDArray[Any]


@dataclass(frozen=True)
class DepthOnDisk:
    """depth (h,w) along z in scene units, 0 = none; confidence (h,w) 0..1; intrinsics (4,) of their pinhole."""

    depth: Array
    confidence: Array
    intrinsics: Array


def read_depth_map(frames: FramesResult, scene: SceneResult, folder: Path, index: int) -> DepthOnDisk | None:
    """The depth map of the frame at position ``index``; None where there is none. ``folder`` is that of the stage."""
    path = folder / scene.depth_folder / f"{int(frames.frame[index]):06d}.npz"
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as data:
        return DepthOnDisk(data["depth"].astype(np.float32), data["confidence"], data["intrinsics"])


def sample_depth(found: DepthOnDisk, pixels: Array, intrinsics: Array, distortion: Array) -> tuple[Array, Array]:
    """Depth (N,) and confidence (N,) at pixels (N,2) of the distorted plate with its intrinsics (4,) and distortion.

    The nearest pixel of the map is read, never a mixture across an edge; 0 outside.
    """
    place = project(unproject(pixels, intrinsics, distortion), found.intrinsics)
    column, row = np.floor(place[..., 0]).astype(int), np.floor(place[..., 1]).astype(int)
    height, width = found.depth.shape
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    column, row = np.where(inside, column, 0), np.where(inside, row, 0)
    return np.where(inside, found.depth[row, column], 0.0), np.where(inside, found.confidence[row, column], 0.0)
