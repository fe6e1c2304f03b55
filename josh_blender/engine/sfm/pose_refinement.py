"""The pose of one calibrated camera from points with known places: robust Gauss-Newton on SE(3)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.camera import invert_rigid, unproject
from ...scene4d.rotations import matrix_from_axis_angle, skew_matrix

Array = NDArray[Any]

_STEPS = 15
_CONVERGED = 1e-9


def refine_pose(
    world_from_camera: Array,
    points: Array,
    pixels: Array,
    weights: Array,
    intrinsics: Array,
    distortion: Array,
    sigma_px: float = 1.0,
    prior_sigma: float = np.inf,
    fixed_centre: bool = False,
) -> tuple[Array, float]:
    """Pose (4,4) that best projects points (N,3) to pixels (N,2) of the distorted plate, from a start near it.

    Cauchy weights with scale ``sigma_px``; ``weights`` (N,) multiply them. ``prior_sigma`` holds the pose at its start
    (radians, and units of the median point distance), for frames with little evidence. ``fixed_centre`` lets the camera
    only turn. Returns the pose and the median error in px.
    """
    target = unproject(pixels, intrinsics, distortion)[:, :2]
    focal = np.asarray(intrinsics)[:2]
    camera_from_world = invert_rigid(world_from_camera)
    start = camera_from_world.copy()
    distance = float(np.median(np.linalg.norm(points - world_from_camera[:3, 3], axis=1))) if len(points) else 1.0
    shift_weight = np.array([1.0, 1.0, 1.0, distance, distance, distance]) * max(prior_sigma, 1e-9)
    error = np.zeros(len(points))
    for _ in range(_STEPS):
        local = points @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
        depth = np.maximum(local[:, 2], 1e-6)
        residual = (local[:, :2] / depth[:, None] - target) * focal
        error = np.linalg.norm(residual, axis=1)
        robust = weights * (local[:, 2] > 0) / (1.0 + (error / sigma_px) ** 2)
        by_point = np.zeros((len(points), 2, 3))
        by_point[:, 0, 0], by_point[:, 1, 1] = focal[0] / depth, focal[1] / depth
        by_point[:, :, 2] = -focal * local[:, :2] / depth[:, None] ** 2
        # Left perturbation of camera_from_world: d local = omega x local + v.
        jacobian = np.concatenate([by_point @ -skew_matrix(local), by_point], axis=2)
        normal = np.einsum("n,nai,naj->ij", robust, jacobian, jacobian)
        gradient = np.einsum("n,nai,na->i", robust, jacobian, residual)
        if np.isfinite(prior_sigma):
            rotation = camera_from_world[:3, :3] @ start[:3, :3].T
            omega = 0.5 * np.array(
                [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
            )
            offset = np.concatenate([omega, camera_from_world[:3, 3] - rotation @ start[:3, 3]])
            normal += np.diag(1.0 / shift_weight**2)
            gradient += offset / shift_weight**2
        if fixed_centre:
            # Turning about the camera's own centre leaves the local origin in place: no shift, v = 0.
            normal[3:, :], normal[:, 3:], gradient[3:] = 0.0, 0.0, 0.0
            normal[3:, 3:] = np.eye(3)
        step = -np.linalg.solve(normal + 1e-9 * np.trace(normal) * np.eye(6) + 1e-12 * np.eye(6), gradient)
        turn = matrix_from_axis_angle(step[:3])
        camera_from_world[:3, :3] = turn @ camera_from_world[:3, :3]
        camera_from_world[:3, 3] = turn @ camera_from_world[:3, 3] + step[3:]
        if np.abs(step / np.array([1, 1, 1, distance, distance, distance])).max() < _CONVERGED:
            break
    return invert_rigid(camera_from_world), float(np.median(error)) if len(error) else float("nan")
