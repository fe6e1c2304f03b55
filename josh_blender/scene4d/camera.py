"""The camera: pinhole with OpenCV's distortion, rigid transforms, and the one pixel convention.

Pixels have their origin at the outer corner of the top-left pixel, so a pixel's centre lies at +0.5 (as in COLMAP and
Blender). OpenCV puts the origin at the centre of that pixel: `opencv_matrix` is the one place that knows.
Camera axes are x right, y down, z forward.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]

#: Offset between our pixels and those of OpenCV's functions: ours = OpenCV's + 0.5.
OPENCV_PIXEL_OFFSET = 0.5

_UNDISTORT_STEPS = 20


def distort_normalized(points: ArrayLike, distortion: ArrayLike) -> Array:
    """Distorted image-plane points (..., 2) at z = 1 of undistorted ones; distortion (5,) is k1 k2 p1 p2 k3.

    The model of Brown (1966) in the form of OpenCV's ``calib3d`` documentation.
    """
    xy = np.asarray(points, dtype=np.float64)
    k1, k2, p1, p2, k3 = np.asarray(distortion, dtype=np.float64)
    x, y = xy[..., 0], xy[..., 1]
    r2 = x * x + y * y
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    return np.stack(
        [
            x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x),
            y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y,
        ],
        axis=-1,
    )


def _distortion_jacobian(xy: Array, distortion: Array) -> Array:
    k1, k2, p1, p2, k3 = distortion
    x, y = xy[..., 0], xy[..., 1]
    r2 = x * x + y * y
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = 2.0 * (k1 + r2 * (2.0 * k2 + 3.0 * r2 * k3))
    rows = [
        radial + x * x * slope + 2.0 * p1 * y + 6.0 * p2 * x,
        x * y * slope + 2.0 * p1 * x + 2.0 * p2 * y,
        x * y * slope + 2.0 * p1 * x + 2.0 * p2 * y,
        radial + y * y * slope + 6.0 * p1 * y + 2.0 * p2 * x,
    ]
    return np.stack(rows, axis=-1).reshape(*xy.shape[:-1], 2, 2)


def undistort_normalized(points: ArrayLike, distortion: ArrayLike) -> Array:
    """Inverse of `distort_normalized` by Newton's method, exact to rounding where the model is one to one."""
    target = np.asarray(points, dtype=np.float64)
    coefficients = np.asarray(distortion, dtype=np.float64)
    xy = target.copy()
    if not np.any(coefficients):
        return xy
    for _ in range(_UNDISTORT_STEPS):
        error = distort_normalized(xy, coefficients) - target
        if not error.size or np.max(np.abs(error)) < 1e-14:
            break
        jacobian = _distortion_jacobian(xy, coefficients)
        a, b, c, d = jacobian[..., 0, 0], jacobian[..., 0, 1], jacobian[..., 1, 0], jacobian[..., 1, 1]
        determinant = a * d - b * c
        # Beyond the fold of a strong lens the Jacobian is singular: such pixels see nothing, so they may stay.
        determinant = np.where(np.abs(determinant) < 1e-6, 1e-6, determinant)
        step_x = (d * error[..., 0] - b * error[..., 1]) / determinant
        step_y = (a * error[..., 1] - c * error[..., 0]) / determinant
        xy -= np.clip(np.stack([step_x, step_y], axis=-1), -0.5, 0.5)
    return xy


def project(points_camera: ArrayLike, intrinsics: ArrayLike, distortion: ArrayLike | None = None) -> Array:
    """Pixels (..., 2) of points (..., 3) in camera axes; intrinsics (..., 4) fx fy cx cy broadcast.

    Points with z <= 0 are not in front of the camera: their pixels are meaningless and must be masked by the caller.
    """
    points = np.asarray(points_camera, dtype=np.float64)
    k = np.asarray(intrinsics, dtype=np.float64)
    z = points[..., 2:3]
    xy = points[..., :2] / np.where(np.abs(z) < 1e-12, 1e-12, z)
    if distortion is not None:
        xy = distort_normalized(xy, distortion)
    return xy * k[..., :2] + k[..., 2:]


def unproject(pixels: ArrayLike, intrinsics: ArrayLike, distortion: ArrayLike | None = None) -> Array:
    """Rays (..., 3) with z = 1 in camera axes through pixels (..., 2) of the distorted plate."""
    k = np.asarray(intrinsics, dtype=np.float64)
    xy = (np.asarray(pixels, dtype=np.float64) - k[..., 2:]) / k[..., :2]
    if distortion is not None:
        xy = undistort_normalized(xy, distortion)
    return np.concatenate([xy, np.ones_like(xy[..., :1])], axis=-1)


def opencv_matrix(intrinsics: ArrayLike) -> Array:
    """Camera matrix (3, 3) for OpenCV's functions, whose pixel centres lie at whole numbers."""
    fx, fy, cx, cy = np.asarray(intrinsics, dtype=np.float64)
    return np.array([[fx, 0.0, cx - OPENCV_PIXEL_OFFSET], [0.0, fy, cy - OPENCV_PIXEL_OFFSET], [0.0, 0.0, 1.0]])


def scale_intrinsics(intrinsics: ArrayLike, factor_x: float, factor_y: float | None = None) -> Array:
    """Intrinsics (..., 4) of the same image resized by the factors (exact: the origin is the image's corner)."""
    y = factor_x if factor_y is None else factor_y
    return np.asarray(intrinsics, dtype=np.float64) * np.array([factor_x, y, factor_x, y])


def transform(a_from_b: ArrayLike, points_b: ArrayLike) -> Array:
    """Points (..., N, 3) in frame a of points in frame b; matrices (..., 4, 4)."""
    matrix = np.asarray(a_from_b, dtype=np.float64)
    points = np.asarray(points_b, dtype=np.float64)
    return points @ np.swapaxes(matrix[..., :3, :3], -1, -2) + matrix[..., None, :3, 3]


def invert_rigid(a_from_b: ArrayLike) -> Array:
    """``b_from_a`` (..., 4, 4) of rigid transforms."""
    matrix = np.asarray(a_from_b, dtype=np.float64)
    rotation = np.swapaxes(matrix[..., :3, :3], -1, -2)
    inverse = np.zeros_like(matrix)
    inverse[..., :3, :3] = rotation
    inverse[..., :3, 3] = -(rotation @ matrix[..., :3, 3:])[..., 0]
    inverse[..., 3, 3] = 1.0
    return inverse


def rigid(rotation: ArrayLike, translation: ArrayLike) -> Array:
    """Transforms (..., 4, 4) of rotations (..., 3, 3) and translations (..., 3)."""
    r = np.asarray(rotation, dtype=np.float64)
    t = np.asarray(translation, dtype=np.float64)
    matrix = np.zeros((*np.broadcast_shapes(r.shape[:-2], t.shape[:-1]), 4, 4))
    matrix[..., :3, :3] = r
    matrix[..., :3, 3] = t
    matrix[..., 3, 3] = 1.0
    return matrix
