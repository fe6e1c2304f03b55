"""Poses of calibrated cameras from points with known places: robust Gauss-Newton on SE(3), all cameras at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.camera import invert_rigid, unproject
from ...scene4d.rotations import matrix_from_axis_angle

Array = NDArray[Any]

_STEPS = 15
#: Radians, and units of the median distance of the points: a step shorter than this is the last.
_CONVERGED = 1e-8


@dataclass(frozen=True)
class Views:
    """What F cameras see, at most N points each: points (F,N,3) in the world, pixels (F,N,2) on the distorted plate,
    weights (F,N), 0 where a camera has no more."""

    points: Array
    pixels: Array
    weights: Array

    @classmethod
    def of(cls, views: Sequence[tuple[Array, Array, Array]]) -> Views:
        """From (points (N,3), pixels (N,2), weights (N,)) of every camera."""
        most = max((len(points) for points, _, _ in views), default=0)
        empty = cls(np.zeros((len(views), most, 3)), np.zeros((len(views), most, 2)), np.zeros((len(views), most)))
        for row, view in enumerate(views):
            for whole, part in zip((empty.points, empty.pixels, empty.weights), view, strict=True):
                whole[row, : len(part)] = part
        return empty


def refine_poses(
    world_from_camera: Array,
    views: Views,
    intrinsics: Array,
    distortion: Array,
    sigma_px: float = 1.0,
    prior_sigma: Array | float = np.inf,
    fixed_centre: bool = False,
) -> tuple[Array, Array]:
    """Poses (F,4,4) that best project the points to their pixels, from starts near them, and the median errors (F,) px.

    intrinsics (F,4). Cauchy weights with scale ``sigma_px`` multiply those of the views. ``prior_sigma`` (F,), or one
    for all, holds a pose at its start (radians, and units of the median point distance) where there is little evidence.
    ``fixed_centre`` lets the cameras only turn. A camera without points keeps its pose, with an error of nan.
    """
    lens = np.asarray(intrinsics, np.float64)
    target = unproject(views.pixels, lens[:, None], distortion)[..., :2]
    focal = lens[:, None, :2]
    present = views.weights > 0.0
    camera_from_world = invert_rigid(world_from_camera)
    start = camera_from_world.copy()
    away = np.linalg.norm(views.points - np.asarray(world_from_camera)[:, None, :3, 3], axis=-1)
    distance = np.nan_to_num(_median(away, present), nan=1.0)
    unit = np.concatenate([np.ones((len(lens), 3)), np.repeat(distance[:, None], 3, axis=1)], axis=1)
    # An infinite sigma has no information.
    prior = 1.0 / (unit * np.maximum(np.broadcast_to(prior_sigma, len(lens)), 1e-9)[:, None]) ** 2
    error = np.zeros(views.weights.shape)
    for _ in range(_STEPS):
        turn, shift = camera_from_world[:, :3, :3], camera_from_world[:, :3, 3]
        local = views.points @ np.swapaxes(turn, 1, 2) + shift[:, None]
        depth = np.maximum(local[..., 2:], 1e-6)
        ray = local[..., :2] / depth
        residual = (ray - target) * focal
        error = np.linalg.norm(residual, axis=-1)
        robust = views.weights * (local[..., 2] > 0) / (1.0 + (error / sigma_px) ** 2)
        jacobian = _jacobian(local, ray, focal / depth, focal)
        weighted = np.swapaxes(jacobian * np.repeat(robust, 2, axis=1)[..., None], 1, 2)
        normal = weighted @ jacobian
        gradient = (weighted @ residual.reshape(len(lens), -1, 1))[..., 0]
        back = turn @ np.swapaxes(start[:, :3, :3], 1, 2)
        omega = 0.5 * (back[:, [2, 0, 1], [1, 2, 0]] - back[:, [1, 2, 0], [2, 0, 1]])
        offset = np.concatenate([omega, shift - (back @ start[:, :3, 3:])[..., 0]], axis=1)
        normal += prior[:, :, None] * np.eye(6)
        gradient += prior * offset
        if fixed_centre:
            # Turning about the camera's own centre leaves the local origin in place: no shift, v = 0.
            normal[:, 3:], normal[:, :, 3:], gradient[:, 3:] = 0.0, 0.0, 0.0
            normal[:, 3:, 3:] = np.eye(3)
        floor = 1e-9 * np.trace(normal, axis1=1, axis2=2) + 1e-12
        step = -np.linalg.solve(normal + floor[:, None, None] * np.eye(6), gradient[..., None])[..., 0]
        moved = matrix_from_axis_angle(step[:, :3])
        camera_from_world[:, :3, :3] = moved @ turn
        camera_from_world[:, :3, 3] = (moved @ shift[..., None])[..., 0] + step[:, 3:]
        if np.abs(step / unit).max(initial=0.0) < _CONVERGED:
            break
    return invert_rigid(camera_from_world), _median(error, present)


def _jacobian(local: Array, ray: Array, slope: Array, focal: Array) -> Array:
    """d pixel / d (omega, v) (F,2N,6) of a left perturbation of camera_from_world: d local = omega x local + v."""
    x, y = ray[..., 0], ray[..., 1]
    jacobian = np.zeros((*local.shape[:2], 2, 6))
    jacobian[..., 0, 0], jacobian[..., 0, 1], jacobian[..., 0, 2] = -x * y, 1.0 + x**2, -y
    jacobian[..., 1, 0], jacobian[..., 1, 1], jacobian[..., 1, 2] = -(1.0 + y**2), x * y, x
    jacobian[..., :3] *= focal[..., None]
    jacobian[..., 0, 3], jacobian[..., 1, 4] = slope[..., 0], slope[..., 1]
    jacobian[..., 5] = -slope * ray
    return jacobian.reshape(len(local), -1, 6)


def _median(values: Array, present: Array) -> Array:
    """Median (F,) of the values (F,N) that are present, nan where none is."""
    pairs = zip(values, present, strict=True)
    return np.array([np.median(row[there]) if there.any() else np.nan for row, there in pairs])
