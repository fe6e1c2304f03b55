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
#: Points of further maps that are gathered before the cloud is thinned again.
_POINTS_AT_ONCE = 1_000_000
#: Cubes that keep one point each, along the median distance.
_CUBES_PER_DISTANCE = 400.0


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


def thin(cloud: FusedCloud, voxel: float, origin: Array | None = None) -> FusedCloud:
    """The most confident point of each cube of side ``voxel``; a corner of one cube is at ``origin`` (3,), by default
    the least coordinates."""
    corner = cloud.points.min(axis=0) if origin is None else origin
    key = np.zeros(len(cloud.points), np.int64)
    # Axis by axis: rows of three as float64 would be the largest arrays of all.
    for axis in range(3):
        cell = np.floor((cloud.points[:, axis] - corner[axis]) / voxel).astype(np.int64)
        cell -= cell.min()
        key *= cell.max() + 1
        key += cell
    order = np.lexsort((-cloud.confidence, key))
    key = key[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = key[1:] != key[:-1]
    kept = np.sort(order[first])
    return FusedCloud(cloud.points[kept], cloud.color[kept], cloud.confidence[kept], cloud.source[kept])


def fuse(
    maps: Iterable[tuple[Array, Array, Array, Array, Array]], least_confidence: float, voxel: float | None, most: int
) -> FusedCloud:
    """Cloud of depth maps given as (depth (h,w), confidence (h,w), intrinsics (4,), world_from_camera (4,4), color
    (h,w,3) RGB of the undistorted pinhole).

    ``voxel``: side of the cubes that keep one point each, in scene units; None takes 1/400 of the median distance in
    the first maps. It is doubled until at most ``most`` points remain. Maps are taken one at a time: memory is that of
    ``most`` points and a million more, however many maps there are.
    """
    thinned = _Thinned(voxel, most)
    for number, (depth, confidence, intrinsics, world_from_camera, color) in enumerate(maps):
        chosen = (depth > 0.0) & (confidence >= least_confidence)
        if chosen.any():
            part = FusedCloud(
                map_points(depth, intrinsics, world_from_camera, chosen),
                color[chosen],
                confidence[chosen].astype(np.float32),
                np.full(int(chosen.sum()), number, dtype=np.int32),
            )
            thinned.add(part, float(np.median(depth[chosen])))
    return thinned.cloud()


class _Thinned:
    """A cloud that is thinned while it grows: the same points as thinning all of them at once would keep.

    Cubes keep their common corner, and those of twice the side are made of whole ones, so a point that is dropped once
    would not have been kept later either.
    """

    def __init__(self, side: float | None, most: int) -> None:
        self._side, self._most = side, most
        self._origin: Array | None = None
        self._parts: list[FusedCloud] = []
        self._distances: list[float] = []
        self._new = 0

    def add(self, part: FusedCloud, distance: float) -> None:
        """One map's points and their median distance."""
        self._parts.append(part)
        self._distances.append(distance)
        self._new += len(part.points)
        if self._new >= _POINTS_AT_ONCE:
            self._thin()

    def cloud(self) -> FusedCloud:
        """What is left of all maps."""
        if not self._parts:
            empty = np.zeros((0, 3))
            return FusedCloud(empty, empty.astype(np.uint8), np.zeros(0, np.float32), np.zeros(0, np.int32))
        if self._new:
            self._thin()
        return self._parts[0]

    def _thin(self) -> None:
        cloud = FusedCloud(
            np.concatenate([part.points for part in self._parts]),
            np.concatenate([part.color for part in self._parts]),
            np.concatenate([part.confidence for part in self._parts]),
            np.concatenate([part.source for part in self._parts]),
        )
        self._parts, self._new = [], 0
        if self._origin is None:
            self._origin = cloud.points.min(axis=0)
        if self._side is None:
            self._side = float(np.median(self._distances)) / _CUBES_PER_DISTANCE
        cloud = thin(cloud, self._side, self._origin)
        while len(cloud.points) > self._most:
            self._side *= 2.0
            cloud = thin(cloud, self._side, self._origin)
        self._parts = [cloud]
