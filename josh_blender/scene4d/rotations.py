"""Rotations as matrices, axis-angle vectors and quaternions (w, x, y, z), batched over leading axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]

_SMALL_ANGLE = 1e-4


def skew_matrix(vector: ArrayLike) -> Array:
    """Cross-product matrices (..., 3, 3) of vectors (..., 3): ``skew_matrix(a) @ b == cross(a, b)``."""
    v = np.asarray(vector, dtype=np.float64)
    x, y, z = v[..., 0], v[..., 1], v[..., 2]
    zero = np.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    return np.stack(rows, axis=-1).reshape(*v.shape[:-1], 3, 3)


def matrix_from_axis_angle(axis_angle: ArrayLike) -> Array:
    """Rotation matrices (..., 3, 3) of axis-angle vectors (..., 3) in radians (Rodrigues' formula)."""
    vector = np.asarray(axis_angle, dtype=np.float64)
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    small = angle < _SMALL_ANGLE
    safe = np.where(small, 1.0, angle)
    # Taylor series near zero, where sin(a)/a and (1-cos(a))/a^2 lose their digits.
    sine = np.where(small, 1.0 - angle**2 / 6.0, np.sin(safe) / safe)
    cosine = np.where(small, 0.5 - angle**2 / 24.0, (1.0 - np.cos(safe)) / safe**2)
    cross = skew_matrix(vector)
    return np.eye(3) + sine * cross + cosine * (cross @ cross)


def quaternion_from_matrix(matrix: ArrayLike) -> Array:
    """Unit quaternions (..., 4) as w, x, y, z with w >= 0 of rotation matrices (..., 3, 3).

    Shepperd's method: the largest of the four components is computed first, so no angle is ill-conditioned.
    """
    m = np.asarray(matrix, dtype=np.float64)
    trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
    candidates = np.stack(
        [
            np.stack(
                [
                    1.0 + trace,
                    m[..., 2, 1] - m[..., 1, 2],
                    m[..., 0, 2] - m[..., 2, 0],
                    m[..., 1, 0] - m[..., 0, 1],
                ],
                axis=-1,
            ),
            np.stack(
                [
                    m[..., 2, 1] - m[..., 1, 2],
                    1.0 + 2.0 * m[..., 0, 0] - trace,
                    m[..., 0, 1] + m[..., 1, 0],
                    m[..., 0, 2] + m[..., 2, 0],
                ],
                axis=-1,
            ),
            np.stack(
                [
                    m[..., 0, 2] - m[..., 2, 0],
                    m[..., 0, 1] + m[..., 1, 0],
                    1.0 + 2.0 * m[..., 1, 1] - trace,
                    m[..., 1, 2] + m[..., 2, 1],
                ],
                axis=-1,
            ),
            np.stack(
                [
                    m[..., 1, 0] - m[..., 0, 1],
                    m[..., 0, 2] + m[..., 2, 0],
                    m[..., 1, 2] + m[..., 2, 1],
                    1.0 + 2.0 * m[..., 2, 2] - trace,
                ],
                axis=-1,
            ),
        ],
        axis=-2,
    )
    diagonal = np.stack([trace, m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]], axis=-1)
    best = np.argmax(diagonal, axis=-1)
    quaternion = np.take_along_axis(candidates, best[..., None, None], axis=-2)[..., 0, :]
    quaternion = quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True)
    return np.where(quaternion[..., :1] < 0.0, -quaternion, quaternion)


def matrix_from_quaternion(quaternion: ArrayLike) -> Array:
    """Rotation matrices (..., 3, 3) of quaternions (..., 4) as w, x, y, z, normalised on the way."""
    q = np.asarray(quaternion, dtype=np.float64)
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    w, x, y, z = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return np.stack(rows, axis=-1).reshape(*q.shape[:-1], 3, 3)


def axis_angle_from_quaternion(quaternion: ArrayLike) -> Array:
    """Axis-angle vectors (..., 3), angle in 0..pi, of quaternions (..., 4) as w, x, y, z."""
    q = np.asarray(quaternion, dtype=np.float64)
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    q = np.where(q[..., :1] < 0.0, -q, q)
    sine = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(sine, q[..., :1])
    small = sine < _SMALL_ANGLE
    ratio = np.where(small, 2.0 + sine**2 / 3.0, angle / np.where(small, 1.0, sine))
    return q[..., 1:] * ratio


def axis_angle_from_matrix(matrix: ArrayLike) -> Array:
    """Axis-angle vectors (..., 3), angle in 0..pi, of rotation matrices (..., 3, 3)."""
    return axis_angle_from_quaternion(quaternion_from_matrix(matrix))


def quaternion_from_axis_angle(axis_angle: ArrayLike) -> Array:
    """Unit quaternions (..., 4) as w, x, y, z of axis-angle vectors (..., 3)."""
    return quaternion_from_matrix(matrix_from_axis_angle(axis_angle))


def continuous_quaternions(quaternions: ArrayLike) -> Array:
    """The same rotations (T, ..., 4) with signs chosen so that each is nearest to the one before it in time."""
    q = np.array(quaternions, dtype=np.float64)
    if len(q) < 2:
        return q
    dots = np.sum(q[1:] * q[:-1], axis=-1)
    flips = np.cumprod(np.where(dots < 0.0, -1.0, 1.0), axis=0)
    q[1:] *= flips[..., None]
    return q


def slerp_matrices(first: ArrayLike, second: ArrayLike, weight: ArrayLike) -> Array:
    """Rotations (..., 3, 3) on the geodesic from ``first`` (weight 0) to ``second`` (weight 1); weight (...)."""
    a = np.asarray(first, dtype=np.float64)
    b = np.asarray(second, dtype=np.float64)
    step = axis_angle_from_matrix(np.swapaxes(a, -1, -2) @ b)
    return a @ matrix_from_axis_angle(step * np.asarray(weight, dtype=np.float64)[..., None])


def nearest_rotation(matrix: ArrayLike) -> Array:
    """The rotations (..., 3, 3) nearest to matrices (..., 3, 3) in the Frobenius norm."""
    u, _, vt = np.linalg.svd(np.asarray(matrix, dtype=np.float64))
    sign = np.ones(u.shape[:-1])
    sign[..., 2] = np.sign(np.linalg.det(u @ vt))
    return (u * sign[..., None, :]) @ vt
