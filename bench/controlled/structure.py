"""Start cameras from sightings alone: what structure from motion would give on these inputs.

Key frames are chained by robust similarities between what their depth maps lift, then adjusted to the sightings by
the engine's own solver; frames in between are registered to the points. No true camera enters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree, shortest_path
from torch import Tensor

from josh_blender.engine.sfm.pose_refinement import Views, refine_poses
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


def robust_similarities(
    source: Tensor, target: Tensor, known: Tensor, with_turn_only: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Scale (E,), rotation (E,3,3), translation (E,3) of E sets source (E,N,3) -> target, by iterated reweighting
    (Umeyama 1991). Errors count relative to the distance of the points; known (E,N): which are there.
    ``with_turn_only``: scale 1, translation 0.
    """
    size = target.norm(dim=-1).clamp(min=1e-9)
    prior = known / size**2
    weight = prior
    for _ in range(_ROUNDS):
        share = (weight / weight.sum(1, keepdim=True))[..., None]
        middle, other = (share * source).sum(1, keepdim=True), (share * target).sum(1, keepdim=True)
        if with_turn_only:
            middle, other = torch.zeros_like(middle), torch.zeros_like(other)
        a, b = source - middle, target - other
        u, singular, vt = torch.linalg.svd((share * b).transpose(1, 2) @ a)
        sign = torch.ones_like(singular)
        sign[:, 2] = torch.linalg.det(u @ vt).sign()
        rotation = (u * sign[:, None]) @ vt
        scale = (singular * sign).sum(1) / (share * a**2).sum((1, 2)).clamp(min=1e-18)
        if with_turn_only:
            scale = torch.ones_like(scale)
        scaled = scale[:, None, None] * rotation.transpose(1, 2)
        shift = other - middle @ scaled
        error = (source @ scaled + shift - target).norm(dim=-1) / size
        usual = torch.where(known, error, torch.nan).nanmedian(1, keepdim=True).values
        weight = prior / (1.0 + (error / (2.0 * usual + 1e-9)) ** 2) ** 2
    return scale, rotation, shift[:, 0]


def spanning_tree(keyframe: Array, point: Array, count: int, window: int = 10) -> list[tuple[int, int]]:
    """Edges (parent, child) from the tree's centre outwards: maximum spanning tree of shared sightings (R1)."""
    seen = csr_array((np.ones(len(point)), (keyframe, point)), shape=(count, int(point.max(initial=0)) + 1))
    score = np.triu(np.asarray((seen @ seen.T).todense()), 1)
    apart = np.arange(count) - np.arange(count)[:, None]
    tree = minimum_spanning_tree(csr_array(np.where(apart <= window, -score, 0.0)))
    both = ((tree + tree.T) != 0).astype(float)
    hops = shortest_path(both, unweighted=True)
    root = int(np.argmin(np.where(np.isfinite(hops), hops, count).max(1)))
    order, parent = breadth_first_order(both, root, directed=False)
    return [(int(parent[child]), int(child)) for child in order[1:]]


def chained(lifted: Lifted, edges: list[tuple[int, int]], count: int, turn_only: bool) -> tuple[Array, Array]:
    """world_from_camera (K,4,4) and the factor (K,) of each key frame's depth, root at the origin with factor 1."""
    poses, factors = np.tile(np.eye(4), (count, 1, 1)), np.ones(count)
    if not edges:
        return poses, factors
    rows = [shared(lifted.keyframe, lifted.point, parent, child) for parent, child in edges]
    most = max(len(a) for a, _ in rows)
    known = np.arange(most) < np.array([len(a) for a, _ in rows])[:, None]
    sides = []
    for side in (1, 0):
        place = lifted.place[np.stack([np.pad(pair[side], (0, most - len(pair[side]))) for pair in rows])]
        sides.append(torch.as_tensor(place / np.linalg.norm(place, axis=-1, keepdims=True) if turn_only else place))
    scale, rotation, shift = (x.numpy() for x in robust_similarities(*sides, torch.as_tensor(known), turn_only))
    for number, (parent, child) in enumerate(edges):
        factors[child] = factors[parent] * scale[number]
        poses[child] = poses[parent] @ rigid(rotation[number], factors[parent] * shift[number])
    return poses, factors


def mean_points(lifted: Lifted, poses: Array, factors: Array, count: int) -> tuple[Array, Array]:
    """Points (P,3): the median of what their sightings lift, and whether (P,) there is any."""
    world = transform(poses[lifted.keyframe], (factors[lifted.keyframe, None] * lifted.place)[:, None])[:, 0]
    seen = np.bincount(lifted.point, minlength=count)
    order = np.argsort(lifted.point, kind="stable")
    slot = np.arange(len(order)) - (np.cumsum(seen) - seen)[lifted.point[order]]
    places = np.full((count, int(seen.max(initial=1)), 3), np.inf)
    places[lifted.point[order], slot] = world[order]
    places.sort(axis=1)
    row, last = np.arange(count), np.maximum(seen - 1, 0)
    known = seen > 0
    middle = 0.5 * (places[row, last // 2] + places[row, (last + 1) // 2])
    return np.where(known[:, None], middle, 0.0), known


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
    frames = [frame for frame, (point, _) in sightings.items() if known[point].sum() >= _LEAST_POINTS]
    if not frames:
        return result
    seen = [(point[known[point]], pixel[known[point]]) for point, pixel in (sightings[frame] for frame in frames)]
    views = Views.of([(points[point], pixel, np.ones(len(point))) for point, pixel in seen])
    result[frames], _ = refine_poses(
        poses[frames], views, intrinsics[frames], np.zeros(5), sigma_px=2.0, fixed_centre=still
    )
    return result
