"""The place of a camera that does not travel: its ground plane, coloured from the pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .depth_maps import Undistorter
from .fusion import FusedCloud, map_points, thin
from .ground_fill import plane_depth
from .plane_sweep import View

Array = NDArray[Any]

#: The plane is trusted around where people stood; beyond this many times their distance it ends.
_REACH = 1.5
#: Confidence near people's places, and out to the end.
_NEAR, _FAR = 0.5, 0.35
#: Side in metres of the cubes that keep one point of the ground each.
_CUBE = 0.02


@dataclass(frozen=True)
class PlacePicture:
    """The empty place as seen from one frame: index of the frame, depth and confidence (h,w), the pinhole's intrinsics
    (4,), points (N,3) of the world with their colour (N,3) uint8."""

    index: int
    depth: Array
    confidence: Array
    intrinsics: Array
    points: Array
    color: Array


def median_background(pictures: Iterable[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Median colour (h,w,3) of RGB pictures over those in which no person covers a pixel, and where it is known (h,w).

    ``pictures`` gives (rgb (h,w,3), covered (h,w) bool) of one fixed view.
    """
    colors, covers = zip(*pictures, strict=True)
    stack = np.stack(colors).astype(np.float32)
    covered = np.stack(covers)
    known = ~covered.all(axis=0)
    stack[covered] = np.nan
    stack[:, ~known] = 0.0
    return np.nanmedian(stack, axis=0).round().astype(np.uint8), np.asarray(known)


def place_on_plane(
    index: int,
    color: Array,
    known: Array,
    undistorter: Undistorter,
    world_from_camera: Array,
    ground: Array,
    farthest: float,
) -> PlacePicture:
    """Depth and coloured points of the ground (4,) in one undistorted picture (h,w,3); farthest: distance at which
    people stood. The depth goes on under people: the ground is there."""
    view = View(color[..., 0], undistorter.intrinsics, world_from_camera)
    depth = plane_depth(view, ground)
    reach = _REACH * farthest
    depth = np.where(depth < reach, depth, 0.0).astype(np.float32)
    confidence = np.where(depth > 0.0, np.where(depth < farthest, _NEAR, _FAR), 0.0).astype(np.float32)
    chosen = (depth > 0.0) & known
    points = map_points(depth, undistorter.intrinsics, world_from_camera, chosen)
    return PlacePicture(index, depth, confidence, undistorter.intrinsics, points, color[chosen])


def ground_points(places: list[PlacePicture]) -> tuple[Array, Array]:
    """Points (N,3) and colours (N,3) of all pictures together, one for each small cube."""
    if not places or not any(len(place.points) for place in places):
        return np.zeros((0, 3)), np.zeros((0, 3), np.uint8)
    points = np.concatenate([place.points for place in places])
    source = np.concatenate([np.full(len(place.points), number, np.int32) for number, place in enumerate(places)])
    color = np.concatenate([place.color for place in places])
    # The nearest picture of a place shows it best.
    nearness = (1.0 / np.linalg.norm(points, axis=1)).astype(np.float32)
    cloud = thin(FusedCloud(points, color, nearness, source), _CUBE)
    return cloud.points, cloud.color
