"""Inverse kinematics of two bones: legs from hip to ankle, arms from shoulder to wrist."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def _bone_frame(bone: Array, hinge: Array) -> Array:
    """Frames (..., 3, 3) with the bone as second column and the hinge, made square to it, as first."""
    y = bone / np.linalg.norm(bone, axis=-1, keepdims=True)
    x = hinge - np.sum(hinge * y, -1, keepdims=True) * y
    x = x / np.linalg.norm(x, axis=-1, keepdims=True)
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def limb(root: Array, end: Array, pole: Array, rest: Array, hinge_rest: Array) -> tuple[Array, Array]:
    """World rotations of both bones (T, 3, 3) that take a limb from roots to ends (T, 3), bending towards ``pole``.

    ``rest`` (3, 3) holds the rest positions of root, middle and end, ``hinge_rest`` (3,) the axis of the middle joint
    at rest: pole x line.

    Raises:
        ValueError: an end is out of reach.
    """
    upper, lower = rest[1] - rest[0], rest[2] - rest[1]
    a, b = np.linalg.norm(upper), np.linalg.norm(lower)
    line = end - root
    distance = np.linalg.norm(line, axis=-1, keepdims=True)
    if np.any(distance > a + b):
        raise ValueError(f"a limb is too short by {float(np.max(distance) - a - b):.4f} m")
    line = line / distance
    pole = pole - np.sum(pole * line, -1, keepdims=True) * line
    pole = pole / np.linalg.norm(pole, axis=-1, keepdims=True)
    along = (a * a - b * b + distance**2) / (2 * distance)
    middle = root + along * line + np.sqrt(np.maximum(a * a - along**2, 0.0)) * pole
    hinge = np.cross(pole, line)
    turned = [
        _bone_frame(bone, hinge) @ _bone_frame(bone_rest, hinge_rest).T
        for bone, bone_rest in ((middle - root, upper), (end - middle, lower))
    ]
    return turned[0], turned[1]
