"""Sightings of scene points as the solver takes them: which points, with what depths, and which are of one point."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ...scene4d.camera import undistort_normalized
from ..results import SceneResult
from .problem import Observations, SightingPairs
from .surfaces import DepthCloud

Array = NDArray[Any]

#: Pairs of sightings in one row of `SightingPairs`.
_ROW = 32


def tensor(array: ArrayLike) -> Tensor:
    """float64, for everything the solver computes with."""
    return torch.as_tensor(np.array(array, dtype=np.float64))


def undistort_pixels(pixels: Array, intrinsics: Array, distortion: Array) -> Array:
    """Pixels (...,2) of the undistorted image with the same intrinsics (...,4)."""
    k = np.asarray(intrinsics, np.float64)
    xy = (np.asarray(pixels, np.float64) - k[..., 2:]) / k[..., :2]
    return np.asarray(undistort_normalized(xy, distortion) * k[..., :2] + k[..., 2:])


def chosen_points(scene: SceneResult, per_keyframe: int) -> Array:
    """Numbers (P,), rising, of the points that are seen twice or more and are among the ``per_keyframe`` longest tracks
    of some key frame."""
    point = np.asarray(scene.observation_point, np.int64)
    keyframe = np.asarray(scene.observation_keyframe, np.int64)
    length = np.bincount(point, minlength=len(scene.points))[point]
    order = np.lexsort((point, -length, keyframe))
    begin = np.searchsorted(keyframe[order], keyframe[order], side="left")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - begin
    return np.unique(point[(rank < per_keyframe) & (length >= 2)])


def observations(
    scene: SceneResult, per_keyframe: int, clouds: list[DepthCloud] | None = None
) -> tuple[Observations, Array]:
    """The sightings of the points of `chosen_points`, and which points those are (P,) rows of ``scene.points``."""
    point = np.asarray(scene.observation_point, np.int64)
    keyframe = np.asarray(scene.observation_keyframe, np.int64)
    chosen = chosen_points(scene, per_keyframe)
    new_number = np.full(len(scene.points), -1)
    new_number[chosen] = np.arange(len(chosen))
    kept = np.flatnonzero(new_number[point] >= 0)
    kept = kept[np.argsort(new_number[point[kept]], kind="stable")]
    number = new_number[point[kept]]
    frame = np.asarray(scene.keyframe, np.int64)[keyframe[kept]]
    pixel = undistort_pixels(
        np.asarray(scene.observation_pixel)[kept], np.asarray(scene.intrinsics)[frame], np.asarray(scene.distortion)
    )
    said, map_number = _depths_of(scene, frame, pixel, clouds or [])
    seen = Observations(
        torch.as_tensor(frame),
        torch.as_tensor(keyframe[kept]),
        torch.as_tensor(number),
        tensor(pixel.reshape(-1, 2)),
        torch.as_tensor(map_number),
        tensor(said),
        pairs_of(number, keyframe[kept]),
    )
    return seen, chosen


def pairs_of(point: Array, keyframe: Array) -> SightingPairs:
    """All pairs of sightings of the same point, gathered by their key frames; point (M,) rising, keyframe (M,)."""
    counts = np.bincount(point) if len(point) else np.zeros(0, np.int64)
    repeats = counts[point]
    first = np.repeat(np.arange(len(point)), repeats)
    within = np.arange(len(first)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    second = np.repeat((np.cumsum(counts) - counts)[point], repeats) + within
    kept = keyframe[first] <= keyframe[second]
    first, second = first[kept], second[kept]
    key = keyframe[first] * (keyframe.max(initial=0) + 1) + keyframe[second]
    order = np.argsort(key, kind="stable")
    first, second, key = first[order], second[order], key[order]
    # Every row holds pairs of the same two key frames, so rows of few pairs stay part empty.
    new = np.ones(len(key), bool)
    new[1:] = key[1:] != key[:-1]
    place = np.arange(len(key)) - np.maximum.accumulate(np.where(new, np.arange(len(key)), 0))
    row = np.cumsum(place % _ROW == 0) - 1
    rows = int(row[-1]) + 1 if len(row) else 0
    table = np.full((2, rows, _ROW), len(point))
    table[0, row, place % _ROW], table[1, row, place % _ROW] = first, second
    start = np.flatnonzero(place % _ROW == 0)
    return SightingPairs(
        torch.as_tensor(table[0]),
        torch.as_tensor(table[1]),
        torch.as_tensor(keyframe[first[start]].astype(np.int64)),
        torch.as_tensor(keyframe[second[start]].astype(np.int64)),
    )


def _depths_of(scene: SceneResult, frame: Array, pixel: Array, clouds: list[DepthCloud]) -> tuple[Array, Array]:
    """Logarithms (M,) of the depths that the maps of frames (M,) give at pixels (M,2), and the maps' numbers (M,), -1
    where they say nothing."""
    said, number = np.zeros(len(frame)), np.full(len(frame), -1)
    for place, cloud in enumerate(clouds):
        rows = np.flatnonzero(frame == cloud.frame)
        lens = np.asarray(scene.intrinsics, np.float64)[cloud.frame]
        rays = (pixel[rows] - lens[2:]) / lens[:2]
        depth = cloud.depths_at(rays)
        known = rows[np.isfinite(depth)]
        said[known], number[known] = np.log(depth[np.isfinite(depth)]), place
    return said, number
