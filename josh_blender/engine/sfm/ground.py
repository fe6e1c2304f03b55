"""The ground plane under a moving camera, from points of the scene and the feet of people."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.camera import unproject
from ..results import PeopleResult

Array = NDArray[Any]

_TRIALS = 1500
#: Of about how many points every candidate is asked first, and how many candidates of all points then.
_GLANCE, _LOOKS = 1000, 50
#: The ground may lean so far, in degrees, from the camera's mean upright.
_MOST_LEAN = 25.0
#: Points within this share of the camera's height over the plane are on it.
_LEVEL = 0.03
#: Planes nearer to or farther from the camera than these shares of the median distance of the points are no ground.
_HEIGHTS = (0.01, 1.0)
_LEAST_POINTS = 25
_LEAST_SHARE = 0.03
_REFITS = 8
#: MediaPipe's heels and toes.
_FEET = [29, 30, 31, 32]
_VISIBLE = 0.5


def mean_up(world_from_camera: Array) -> Array:
    """Unit vector (3,): the mean upward direction -y of cameras (F,4,4)."""
    up = -world_from_camera[:, :3, 1].mean(axis=0)
    return up / np.linalg.norm(up)


def foot_rays(
    people: PeopleResult, world_from_camera: Array, intrinsics: Array, distortion: Array
) -> tuple[Array, Array]:
    """Camera centres (N,3) and world rays (N,3) through the lower foot of reliable people, where seen."""
    origins, rays = [np.zeros((0, 3))], [np.zeros((0, 3))]
    for track in people.tracks:
        feet = track.landmarks[:, _FEET]
        lower = np.argmax(feet[..., 1], axis=1)
        rows = np.arange(len(feet))
        seen = track.detected & (track.visibility[:, _FEET][rows, lower] > _VISIBLE)
        if not track.reliable or not seen.any():
            continue
        index = np.asarray(track.index)[seen]
        local = unproject(feet[rows, lower][seen], intrinsics[index], distortion)
        rays.append(np.einsum("nij,nj->ni", world_from_camera[index, :3, :3], local))
        origins.append(world_from_camera[index, :3, 3])
    return np.concatenate(origins), np.concatenate(rays)


def estimate_ground(
    points: Array,
    world_from_camera: Array,
    feet_origin: Array | None = None,
    feet_ray: Array | None = None,
    weight: Array | None = None,
) -> Array:
    """Plane (4,), n.x + d = 0 with n pointing up, or shape (0,) where there is none.

    RANSAC over points (P,3) with weight (P,), refitted to its inliers; the tolerance grows with the camera's height.
    Candidates above the cameras (F,4,4) or leaning too far are left out. Rays to feet (N,3) from camera centres (N,3)
    count for candidates that they hit at plausible distances, so that a table or a stage does not win over the floor.
    """
    if len(points) < _LEAST_POINTS:
        return np.zeros(0)
    weights = np.ones(len(points)) if weight is None else np.asarray(weight, dtype=np.float64)
    up = mean_up(world_from_camera)
    centres = world_from_camera[:, :3, 3]
    camera = np.median(centres, axis=0)
    typical = float(np.median(np.linalg.norm(points - camera, axis=1)))
    below = (points - camera) @ up < 0.0
    pool = np.flatnonzero(below)
    if len(pool) < _LEAST_POINTS:
        return np.zeros(0)
    generator = np.random.default_rng(5)
    chance = weights[pool] / weights[pool].sum()
    samples = points[generator.choice(pool, (_TRIALS, 3), p=chance)]
    normal = np.cross(samples[:, 1] - samples[:, 0], samples[:, 2] - samples[:, 0])
    length = np.linalg.norm(normal, axis=1)
    normal /= np.maximum(length, 1e-12)[:, None]
    normal *= np.where(normal @ up < 0.0, -1.0, 1.0)[:, None]
    offset = -np.sum(normal * samples[:, 0], axis=1)
    clearance = np.min(centres @ normal.T + offset, axis=0)
    fits = (
        (length > 1e-12)
        & (normal @ up > np.cos(np.radians(_MOST_LEAN)))
        & (clearance > _HEIGHTS[0] * typical)
        & (clearance < _HEIGHTS[1] * typical)
    )
    normal, offset = normal[fits], offset[fits]
    if not len(normal):
        return np.zeros(0)
    if feet_origin is None or feet_ray is None:
        feet_origin, feet_ray = np.zeros((0, 3)), np.zeros((0, 3))
    planes = np.concatenate([normal, offset[:, None]], axis=1)
    # A glance at few points leaves those that are worth a look at all.
    few = slice(None, None, max(1, len(points) // _GLANCE))
    glance = _scores(planes, points[few], weights[few], camera, feet_origin, feet_ray, typical)
    planes = planes[np.sort(np.argsort(-glance, kind="stable")[:_LOOKS])]
    scores = _scores(planes, points, weights, camera, feet_origin, feet_ray, typical)
    best = int(np.argmax(scores))
    if scores[best] < max(_LEAST_SHARE * weights[pool].sum(), _LEAST_POINTS * weights.mean()):
        return np.zeros(0)
    return _refit(planes[best], points, weights, camera, up)


def _height(plane: Array, camera: Array) -> float:
    return float(plane[:3] @ camera + plane[3])


def _scores(
    planes: Array, points: Array, weights: Array, camera: Array, feet_origin: Array, feet_ray: Array, typical: float
) -> Array:
    """How well (C,) planes (C,4) suit points (P,3) with weights (P,) and rays to feet (N,3)."""
    normal, offset = planes[:, :3].T, planes[:, 3]
    tolerance = _LEVEL * (camera @ normal + offset)
    heights = points @ normal + offset
    # Nothing solid lies under the ground: points below it count against the plane.
    score = weights @ (np.abs(heights) < tolerance) - 0.5 * (weights @ (heights < -3.0 * tolerance))
    if len(feet_ray):
        towards = feet_ray @ normal
        distance = -(feet_origin @ normal + offset) / np.where(towards < -1e-9, towards, -1e-9)
        score = score * (0.2 + 0.8 * np.mean((towards < -1e-9) & (distance < 4.0 * typical), axis=0))
    return np.asarray(score)


def _refit(plane: Array, points: Array, weights: Array, camera: Array, up: Array) -> Array:
    for _ in range(_REFITS):
        distance = np.abs(points @ plane[:3] + plane[3])
        height = _height(plane, camera)
        within = distance[distance < _LEVEL * height]
        # As tight as the points allow, or the feet of walls would tilt it.
        wanted = 3.0 * 1.48 * float(np.median(within)) if len(within) else np.inf
        tolerance = float(np.clip(wanted, 0.2 * _LEVEL * height, 1.5 * _LEVEL * height))
        near = distance < tolerance
        if near.sum() < 3:
            break
        weight = (weights * np.where(near, (1.0 - (distance / tolerance) ** 2) ** 2, 0.0))[:, None]
        middle = (weight * points).sum(axis=0) / weight.sum()
        spread = (weight * (points - middle)).T @ (points - middle)
        normal = np.linalg.eigh(spread)[1][:, 0]
        normal *= np.sign(normal @ up)
        plane = np.append(normal, -normal @ middle)
    return plane
