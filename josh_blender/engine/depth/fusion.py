"""One coloured cloud from the depth maps of the key frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.camera import transform, unproject
from .consistency import pixel_grid
from .depth_maps import KeyframeDepth

Array = NDArray[Any]

_TRUSTED = 0.5
_GROUND_POINTS_PER_MAP = 2000


@dataclass(frozen=True)
class FusedCloud:
    """points (N,3) float64; color (N,3) uint8 RGB; confidence (N,) float32; source (N,) int32: number of
    the depth map."""

    points: Array
    color: Array
    confidence: Array
    source: Array


def map_points(depth: Array, intrinsics: Array, world_from_camera: Array, chosen: Array) -> Array:
    """World points (N,3) of the pixels ``chosen`` (h,w) bool of a depth map (h,w)."""
    rays = unproject(pixel_grid(*depth.shape)[chosen], intrinsics)
    return transform(world_from_camera, rays * depth[chosen][:, None])


def surface_points(maps: list[KeyframeDepth]) -> tuple[Array, Array]:
    """Trusted points (N,3) of all maps, thinned evenly, and their confidence (N,)."""
    points, weights = [np.zeros((0, 3))], [np.zeros(0)]
    for item in maps:
        chosen = item.confidence > _TRUSTED
        rows = np.flatnonzero(chosen)
        kept = np.zeros(chosen.shape, dtype=bool)
        kept.ravel()[rows[:: max(1, len(rows) // _GROUND_POINTS_PER_MAP)]] = True
        points.append(map_points(item.depth, item.view.intrinsics, item.view.world_from_camera, kept))
        weights.append(item.confidence[kept].astype(np.float64))
    return np.concatenate(points), np.concatenate(weights)


def thin(cloud: FusedCloud, voxel: float) -> FusedCloud:
    """The most confident point of each cube of side ``voxel``."""
    cell = np.floor((cloud.points - cloud.points.min(axis=0)) / voxel).astype(np.int64)
    span = cell.max(axis=0) + 1
    key = (cell[:, 0] * span[1] + cell[:, 1]) * span[2] + cell[:, 2]
    order = np.lexsort((-cloud.confidence, key))
    first = np.ones(len(order), dtype=bool)
    first[1:] = key[order][1:] != key[order][:-1]
    kept = np.sort(order[first])
    return FusedCloud(cloud.points[kept], cloud.color[kept], cloud.confidence[kept], cloud.source[kept])


def fuse(
    maps: Iterable[tuple[Array, Array, Array, Array, Array]], least_confidence: float, voxel: float | None, most: int
) -> FusedCloud:
    """Cloud of depth maps given as (depth (h,w), confidence (h,w), intrinsics (4,), world_from_camera (4,4), color
    (h,w,3) RGB of the undistorted pinhole).

    ``voxel``: side of the cubes that keep one point each, in scene units; None takes 1/400 of the median distance.
    It is doubled until at most ``most`` points remain.
    """
    points, colors, confidences, sources, distances = [], [], [], [], []
    for number, (depth, confidence, intrinsics, world_from_camera, color) in enumerate(maps):
        chosen = (depth > 0.0) & (confidence >= least_confidence)
        if not chosen.any():
            continue
        points.append(map_points(depth, intrinsics, world_from_camera, chosen))
        colors.append(color[chosen])
        confidences.append(confidence[chosen].astype(np.float32))
        sources.append(np.full(int(chosen.sum()), number, dtype=np.int32))
        distances.append(np.median(depth[chosen]))
    if not points:
        empty = np.zeros((0, 3))
        return FusedCloud(empty, empty.astype(np.uint8), np.zeros(0, np.float32), np.zeros(0, np.int32))
    cloud = FusedCloud(*(np.concatenate(parts) for parts in (points, colors, confidences, sources)))
    side = float(np.median(distances)) / 400.0 if voxel is None else voxel
    cloud = thin(cloud, side)
    while len(cloud.points) > most:
        side *= 2.0
        cloud = thin(cloud, side)
    return cloud
