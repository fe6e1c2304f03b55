"""Start cameras from sightings alone: what structure from motion would give on these inputs.

Key frames are chained by robust similarities between what their depth maps lift, then adjusted to the sightings by
the engine's own solver; frames in between are registered to the points. No true camera enters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree, shortest_path

from josh_blender.engine.sfm.pose_refinement import refine_pose
from josh_blender.scene4d.camera import rigid, transform, unproject
from josh_blender.scene4d.rotations import slerp_matrices

Array = NDArray[Any]

_ROUNDS = 20
#: Sightings that a frame between key frames needs to be registered.
_LEAST_POINTS = 12
#: Sightings of points agree with the map of their key frame within this share, or do not count.
_AGREE = 0.1


@dataclass(frozen=True)
class Lifted:
    """M sightings lifted by their depth: key frame (M,), point (M,), place (M,3) in camera axes; depth 0 left out."""

    keyframe: Array
    point: Array
    place: Array


def lift(keyframe: Array, point: Array, pixel: Array, depth: Array, intrinsics: Array) -> Lifted:
    """Sightings with a depth; intrinsics (K,4) of the key frames."""
    good = depth > 0.0
    rays = unproject(pixel[good], intrinsics[keyframe[good]])
    return Lifted(keyframe[good], point[good], rays * depth[good, None])


def shared(keyframe: Array, point: Array, first: int, second: int) -> tuple[Array, Array]:
    """Rows of the sightings of the same points in two key frames."""
    a, b = np.flatnonzero(keyframe == first), np.flatnonzero(keyframe == second)
    _, at_a, at_b = np.intersect1d(point[a], point[b], return_indices=True)
    return a[at_a], b[at_b]


def robust_similarity(source: Array, target: Array, with_turn_only: bool = False) -> tuple[float, Array, Array]:
    """(scale, rotation (3,3), translation (3,)) of source (N,3) -> target, by iterated reweighting (Umeyama 1991).

    Errors count relative to the distance of the points. ``with_turn_only``: scale 1, translation 0.
    """
    size = np.maximum(np.linalg.norm(target, axis=-1), 1e-9)
    weight = 1.0 / size**2
    scale, rotation, shift = 1.0, np.eye(3), np.zeros(3)
    for _ in range(_ROUNDS):
        share = weight / weight.sum()
        middle, other = (share[:, None] * source).sum(0), (share[:, None] * target).sum(0)
        if with_turn_only:
            middle, other = np.zeros(3), np.zeros(3)
        a, b = source - middle, target - other
        u, singular, vt = np.linalg.svd((share[:, None] * b).T @ a)
        sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
        rotation = (u * sign) @ vt
        if not with_turn_only:
            scale = float((singular * sign).sum() / max((share[:, None] * a**2).sum(), 1e-18))
            shift = other - scale * rotation @ middle
        error = np.linalg.norm(scale * source @ rotation.T + shift - target, axis=-1) / size
        weight = 1.0 / (size**2 * (1.0 + (error / (2.0 * np.median(error) + 1e-9)) ** 2) ** 2)
    return scale, rotation, shift


def spanning_tree(keyframe: Array, point: Array, count: int, window: int = 10) -> list[tuple[int, int]]:
    """Edges (parent, child) from the tree's centre outwards: maximum spanning tree of shared sightings (R1)."""
    score = np.zeros((count, count))
    for first in range(count):
        for second in range(first + 1, min(first + window + 1, count)):
            score[first, second] = len(shared(keyframe, point, first, second)[0])
    tree = minimum_spanning_tree(csr_array(-score))
    both = ((tree + tree.T) != 0).astype(float)
    hops = shortest_path(both, unweighted=True)
    root = int(np.argmin(np.where(np.isfinite(hops), hops, count).max(1)))
    order, parent = breadth_first_order(both, root, directed=False)
    return [(int(parent[child]), int(child)) for child in order[1:]]


def chained(lifted: Lifted, edges: list[tuple[int, int]], count: int, turn_only: bool) -> tuple[Array, Array]:
    """world_from_camera (K,4,4) and the factor (K,) of each key frame's depth, root at the origin with factor 1."""
    poses, factors = np.tile(np.eye(4), (count, 1, 1)), np.ones(count)
    for parent, child in edges:
        a, b = shared(lifted.keyframe, lifted.point, parent, child)
        source, target = lifted.place[b], lifted.place[a]
        if turn_only:
            source, target = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (source, target))
        scale, rotation, shift = robust_similarity(source, target, turn_only)
        factors[child] = factors[parent] * scale
        poses[child] = poses[parent] @ rigid(rotation, factors[parent] * shift)
    return poses, factors


def mean_points(lifted: Lifted, poses: Array, factors: Array, count: int) -> tuple[Array, Array]:
    """Points (P,3): the median of what their sightings lift, and whether (P,) there is any."""
    world = transform(poses[lifted.keyframe], (factors[lifted.keyframe, None] * lifted.place)[:, None])[:, 0]
    points, known = np.zeros((count, 3)), np.zeros(count, bool)
    order = np.argsort(lifted.point, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(lifted.point[order])) + 1):
        if len(rows):
            points[lifted.point[rows[0]]] = np.median(world[rows], axis=0)
            known[lifted.point[rows[0]]] = True
    return points, known


def between_keyframes(keyposes: Array, keyframe: Array, frames: int) -> Array:
    """Poses (F,4,4) by interpolation between key frames: linear centres, geodesic turns (R3)."""
    at = np.arange(frames)
    right = np.clip(np.searchsorted(keyframe, at), 1, max(len(keyframe) - 1, 1)) if len(keyframe) > 1 else at * 0
    left = np.maximum(right - 1, 0)
    share = np.clip((at - keyframe[left]) / np.maximum(keyframe[right] - keyframe[left], 1), 0.0, 1.0)
    rotation = slerp_matrices(keyposes[left, :3, :3], keyposes[right, :3, :3], share)
    centre = (1.0 - share[:, None]) * keyposes[left, :3, 3] + share[:, None] * keyposes[right, :3, 3]
    return rigid(rotation, centre)


def registered(
    poses: Array, points: Array, known: Array, sightings: dict[int, tuple[Array, Array]], intrinsics: Array, still: bool
) -> Array:
    """Poses (F,4,4) with the frames of ``sightings`` (frame: point (N,), pixel (N,2)) registered to the points."""
    result = poses.copy()
    for frame, (point, pixel) in sightings.items():
        good = known[point]
        if good.sum() >= _LEAST_POINTS:
            result[frame], _ = refine_pose(
                poses[frame], points[point[good]], pixel[good], np.ones(int(good.sum())), intrinsics[frame],
                np.zeros(5), sigma_px=2.0, fixed_centre=still,
            )  # fmt: skip
    return result
