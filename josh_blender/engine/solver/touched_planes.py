"""Planes that hands, seats, backs and knees touch: of any direction, unlike the levels under feet (`surfaces.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .surfaces import DepthCloud, Support

Array = NDArray[Any]

#: Metres: how far around a touching point the place is asked.
_RADIUS = 0.35
#: A point is of the plane within so many metres, or within this share of its distance from the camera.
_NEAR_M, _NEAR_SHARE = 0.02, 0.015
_LEAST_POINTS = 30
#: At least this share of the points around must be of the plane, and the plane be so much thinner than it is wide.
_LEAST_SHARE = 0.3
_THINNER = 0.5
_TRIALS = 64
#: A surface that is this uneven, m, counts half.
_UNEVEN = 0.02
_ROUNDS = 6


@dataclass(frozen=True)
class Plane:
    """A point (3,) of it, its unit normal (3,), and how far the points that it was found from lie off it (median)."""

    point: Array
    normal: Array
    unevenness: float


def fitted_plane(points: Array, tolerance: float) -> Plane | None:
    """The plane that most of the points (N,3) lie on within ``tolerance``; None where they lie on none.

    Consensus of random triples with a fixed seed (Fischler and Bolles 1981), then iterated reweighting.
    """
    triples = points[np.random.default_rng(0).integers(0, len(points), (_TRIALS, 3))]
    normals = np.cross(triples[:, 1] - triples[:, 0], triples[:, 2] - triples[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
    distance = points @ normals.T - np.einsum("kj,kj->k", triples[:, 0], normals)
    best = int(np.argmax(_agreement(distance, tolerance).sum(0)))
    point, normal = triples[best, 0], normals[best]
    spread = np.zeros(3)
    for _ in range(_ROUNDS):
        weight = _weight((points - point) @ normal, tolerance)
        point = (weight[:, None] * points).sum(0) / weight.sum()
        away = points - point
        spread, axes = np.linalg.eigh((weight[:, None] * away).T @ away / weight.sum())
        normal = axes[:, 0]
    if spread[0] > _THINNER**2 * spread[1]:
        return None
    return _if_shared(point, normal, (points - point) @ normal, tolerance)


def fitted_level(points: Array, tolerance: float, up: Array) -> Plane | None:
    """The same of a level plane with normal ``up``: at the height that most of the points share."""
    height = points @ up
    level = float(height[np.argmax(_agreement(height[:, None] - height, tolerance).sum(0))])
    for _ in range(_ROUNDS):
        weight = _weight(height - level, tolerance)
        level = float((weight * height).sum() / weight.sum())
    return _if_shared(level * up, up, height - level, tolerance)


def _agreement(distance: Array, tolerance: float) -> Array:
    """1 for a point on a surface, 0 for one beyond the tolerance."""
    return np.clip(1.0 - (distance / tolerance) ** 2, 0.0, None)


def _weight(distance: Array, tolerance: float) -> Array:
    return np.asarray(1.0 / (1.0 + (distance / tolerance) ** 2) ** 2)


def _if_shared(point: Array, normal: Array, distance: Array, tolerance: float) -> Plane | None:
    """The plane, if enough points lie on it; distance (N,) of all of them."""
    near = np.abs(distance) < 2.0 * tolerance
    return Plane(point, normal, float(np.median(np.abs(distance[near])))) if near.mean() >= _LEAST_SHARE else None


def find_planes(place: Array, frame: Array, level: Array, scale: float, up: Array, clouds: list[DepthCloud]) -> Support:
    """The planes around points at place (N,3) (scene units) on frames (N,), level ones where ``level`` (N,) says so;
    scale in metres per scene unit, up (3,) unit.

    A plane is that of the depth map nearest in time that shows one; its normal points to that map's camera, and its
    point is the one nearest to the place.
    """
    count = len(place)
    point, normal = np.array(place, np.float64), np.zeros((count, 3))
    depth, weight = np.full(count, -1), np.zeros(count)
    frames = np.array([cloud.frame for cloud in clouds])
    for row in range(count):
        for number in np.argsort(np.abs(frames - frame[row]), kind="stable")[:2]:
            cloud = clouds[number]
            near = cloud.tree.query_ball_point(place[row], _RADIUS / scale)
            if len(near) < _LEAST_POINTS:
                continue
            points, view = cloud.points[near], cloud.centre - place[row]
            tolerance = max(_NEAR_M / scale, _NEAR_SHARE * float(np.linalg.norm(view)))
            found = fitted_level(points, tolerance, up) if level[row] else fitted_plane(points, tolerance)
            if found is None:
                continue
            direction = found.normal if found.normal @ view > 0.0 else -found.normal
            point[row] = place[row] - ((place[row] - found.point) @ direction) * direction
            normal[row], depth[row] = direction, number
            weight[row] = 1.0 / (1.0 + (found.unevenness * scale / _UNEVEN) ** 2)
            break
    return Support(point, normal, depth, weight)
