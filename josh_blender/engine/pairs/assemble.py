"""First poses of all views: chained along the strongest tree by the similarity of matched points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.camera import invert_rigid, project, rigid, transform
from .canonical import CanonicalView
from .look import Matches
from .robust import align_matched
from .view_tree import strongest_tree

Array = NDArray[Any]

#: Matches that a pair needs to count.
_LEAST_MATCHES = 30
#: Two views' opinions of a matched spot may differ by so much of its depth, and project so far from each other, px.
_SAME_SPOT = 0.1
_SAME_PIXEL = 8.0


@dataclass(frozen=True)
class Assembly:
    """view (K,) numbers of the views that hang together, rising; world_from_camera (K,4,4) and scale (K,) that makes
    each view's own depth that of the world; points (P,3) with two sightings each: ``seen_by`` (P,2) rows of ``view``
    and pixels (P,2,2) of the network's pictures."""

    view: Array
    world_from_camera: Array
    scale: Array
    points: Array
    seen_by: Array
    pixels: Array


def assemble(
    views: Mapping[int, CanonicalView], matches: Sequence[Matches], intrinsics: Array, most_points: int
) -> Assembly:
    """Poses and points in the camera of the tree's root, in its unit; intrinsics (4,) of the network's pictures."""
    usable = [pair for pair in matches if len(pair.confidence) >= _LEAST_MATCHES]
    score = np.zeros((max(views) + 1, max(views) + 1))
    for pair in usable:
        score[pair.first, pair.second] = score[pair.second, pair.first] = pair.found
    by_pair = {(pair.first, pair.second): pair for pair in usable}
    root, edges = strongest_tree(score)
    pose, scale = {root: np.eye(4)}, {root: 1.0}
    for parent, child in edges:
        pair = by_pair[min(parent, child), max(parent, child)]
        of_first = _points_of(views[pair.first], pair.first_pixel, intrinsics)
        of_second = _points_of(views[pair.second], pair.second_pixel, intrinsics)
        in_parent, in_child = (of_first, of_second) if parent == pair.first else (of_second, of_first)
        found = align_matched(in_child, in_parent)
        pose[child] = pose[parent] @ rigid(found.rotation, scale[parent] * found.translation)
        scale[child] = scale[parent] * found.scale
    order = sorted(pose)
    row = {view: number for number, view in enumerate(order)}
    poses, scales = np.stack([pose[view] for view in order]), np.array([scale[view] for view in order])
    points, seen_by, pixels = [], [], []
    kept = [pair for pair in usable if pair.first in row and pair.second in row]
    share = max(1, most_points // max(1, len(kept)))
    for pair in kept:
        rows = row[pair.first], row[pair.second]
        spots = [
            scales[number] * _points_of(views[view], pixel, intrinsics)
            for number, view, pixel in (
                (rows[0], pair.first, pair.first_pixel),
                (rows[1], pair.second, pair.second_pixel),
            )
        ]
        placed = [transform(poses[number], spot) for number, spot in zip(rows, spots, strict=True)]
        across = transform(invert_rigid(poses[rows[1]]), placed[0])
        apart = np.linalg.norm(placed[0] - placed[1], axis=1)
        ahead = across[:, 2] > 1e-6
        off = np.full(len(apart), np.inf)
        off[ahead] = np.linalg.norm(project(across[ahead], intrinsics) - pair.second_pixel[ahead] - 0.5, axis=1)
        good = np.flatnonzero((apart < _SAME_SPOT * spots[0][:, 2]) & (off < _SAME_PIXEL))
        # The most confident ones of each pair.
        good = good[np.argsort(-pair.confidence[good], kind="stable")[:share]]
        points.append(0.5 * (placed[0] + placed[1])[good])
        seen_by.append(np.tile(rows, (len(good), 1)))
        pixels.append(np.stack([pair.first_pixel[good], pair.second_pixel[good]], axis=1) + 0.5)
    return Assembly(
        np.array(order),
        poses,
        scales,
        np.concatenate([np.zeros((0, 3)), *points]),
        np.concatenate([np.zeros((0, 2), int), *seen_by]),
        np.concatenate([np.zeros((0, 2, 2)), *pixels]),
    )


def _points_of(view: CanonicalView, pixel: Array, intrinsics: Array) -> Array:
    """Spots (M,3) at integer pixels of a view, in its camera and its own unit."""
    rays = (pixel + 0.5 - intrinsics[2:]) / intrinsics[:2]
    depth = view.depth_at(pixel[:, 0], pixel[:, 1], float(intrinsics[0]))
    return np.asarray(np.concatenate([rays, np.ones((len(rays), 1))], axis=1) * depth[:, None])
