"""Rotations about the axes of a body that stands: x to its left, y up, z forward."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from josh_blender.scene4d.rotations import matrix_from_axis_angle

Array = NDArray[Any]


def turn_x(angle: ArrayLike) -> Array:
    """Rotations (..., 3, 3) about x: positive pitches a foot's toes down."""
    return matrix_from_axis_angle(np.asarray(angle, float)[..., None] * np.array([1.0, 0.0, 0.0]))


def turn_y(angle: ArrayLike) -> Array:
    """Rotations (..., 3, 3) about y, the body's axis upward."""
    return matrix_from_axis_angle(np.asarray(angle, float)[..., None] * np.array([0.0, 1.0, 0.0]))


def turn_z(angle: ArrayLike) -> Array:
    """Rotations (..., 3, 3) about z, the body's axis forward."""
    return matrix_from_axis_angle(np.asarray(angle, float)[..., None] * np.array([0.0, 0.0, 1.0]))


def upright(yaw: ArrayLike) -> Array:
    """World from body (..., 3, 3) of a body that stands upright and faces the heading ``yaw`` from +X."""
    angle = np.asarray(yaw, float)
    c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.stack([np.stack([-s, zero, c], -1), np.stack([c, zero, s], -1), np.stack([zero, one, zero], -1)], -2)
