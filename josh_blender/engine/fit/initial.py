"""A first pose in closed form: limbs turned along the world landmarks, then the place from the image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.conventions import JOINT_COUNT, JOINT_NAMES, JOINT_PARENTS
from . import landmarks as lm

Array = NDArray[Any]

#: Limbs: upper joint, lower joint, end joint, landmarks of the three, axis of the hinge at rest.
_LIMBS = (
    ("left_hip", "left_knee", "left_ankle", (lm.LEFT_HIP, lm.LEFT_KNEE, lm.LEFT_ANKLE), (1.0, 0.0, 0.0)),
    ("right_hip", "right_knee", "right_ankle", (lm.RIGHT_HIP, lm.RIGHT_KNEE, lm.RIGHT_ANKLE), (1.0, 0.0, 0.0)),
    ("left_shoulder", "left_elbow", "left_wrist", (lm.LEFT_SHOULDER, lm.LEFT_ELBOW, lm.LEFT_WRIST), (0.0, -1.0, 0.0)),
    (
        "right_shoulder",
        "right_elbow",
        "right_wrist",
        (lm.RIGHT_SHOULDER, lm.RIGHT_ELBOW, lm.RIGHT_WRIST),
        (0.0, 1.0, 0.0),
    ),
)
_FEET = (
    ("left_ankle", "left_foot", (lm.LEFT_HEEL, lm.LEFT_TOE)),
    ("right_ankle", "right_foot", (lm.RIGHT_HEEL, lm.RIGHT_TOE)),
)
#: A limb bent by less than about this sine keeps the twist it would have without bending.
_STRAIGHT = 0.4
_NEAREST_M = 0.3


def _unit(vector: Array) -> Array:
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9)


def swing(start: Array, end: Array) -> Array:
    """The shortest rotations (..., 3, 3) that turn directions (..., 3) into others."""
    a, b = np.broadcast_arrays(_unit(start), _unit(end))
    # Product of two half turns: about b' = the middle direction and about a; opposite directions get any axis.
    middle = a + b
    opposite = np.linalg.norm(middle, axis=-1, keepdims=True) < 1e-6
    other = _unit(np.cross(a, np.where(np.abs(a[..., :1]) < 0.9, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])))
    middle = np.where(opposite, other, _unit(middle))

    def half_turn(axis: Array) -> Array:
        return 2.0 * axis[..., :, None] * axis[..., None, :] - np.eye(3)

    return half_turn(middle) @ half_turn(a)


def ray_rotation(rays: Array) -> Array:
    """Rotations (T,3,3) that turn the optical axis into rays (T,3).

    The landmark network sees a crop around the person, as a camera that looks straight at it would: its world landmarks
    have the axes of that camera.
    """
    return swing(np.array([0.0, 0.0, 1.0]), rays)


def _frame(x: Array, y: Array) -> Array:
    """Rotations (T,3,3) whose second column is y and whose first is as near to x as it can be."""
    up = _unit(y)
    side = _unit(x - (x * up).sum(-1, keepdims=True) * up)
    return np.stack([side, up, np.cross(side, up)], axis=-1)


def root_rotation(world: Array) -> Array:
    """Rotation (T,3,3) of the pelvis from hips and shoulders of world landmarks (T,33,3)."""
    hips = _unit(world[:, lm.LEFT_HIP] - world[:, lm.RIGHT_HIP])
    shoulders = _unit(world[:, lm.LEFT_SHOULDER] - world[:, lm.RIGHT_SHOULDER])
    up = world[:, [lm.LEFT_SHOULDER, lm.RIGHT_SHOULDER]].mean(1) - world[:, [lm.LEFT_HIP, lm.RIGHT_HIP]].mean(1)
    return _frame(hips + shoulders, up)


def initial_rotations(world: Array, joints: Array, foot_direction: Array) -> Array:
    """Joint rotations (T,24,3,3), each in its parent, from world landmarks (T,33,3) in camera axes.

    joints (24,3): rest joints; foot_direction (2,3): from heel to toe landmark at rest, left and right.
    """
    frames = len(world)
    local = np.broadcast_to(np.eye(3), (frames, JOINT_COUNT, 3, 3)).copy()
    root = root_rotation(world)
    local[:, 0] = root
    globals_ = {}
    for upper, lower, end, points, hinge in _LIMBS:
        first, second, last = (JOINT_NAMES.index(name) for name in (upper, lower, end))
        a = _unit(world[:, points[1]] - world[:, points[0]])
        b = _unit(world[:, points[2]] - world[:, points[1]])
        a0, b0 = _unit(joints[second] - joints[first]), _unit(joints[last] - joints[second])
        # All joints between pelvis and limb are straight in this first pose.
        plain = swing(a0, (root.transpose(0, 2, 1) @ a[..., None])[..., 0])
        axis = np.cross(a, b) + _STRAIGHT * (root @ plain @ np.array(hinge))
        bone_frame = _frame(axis, a) @ _frame(np.array(hinge)[None], a0[None]).transpose(0, 2, 1)
        local[:, first] = root.transpose(0, 2, 1) @ bone_frame
        local[:, second] = swing(b0, (bone_frame.transpose(0, 2, 1) @ b[..., None])[..., 0])
        globals_[second] = bone_frame @ local[:, second]
    for side, (ankle, _, (heel, toe)) in enumerate(_FEET):
        joint = JOINT_NAMES.index(ankle)
        shank = globals_[JOINT_PARENTS[joint]]
        direction = (shank.transpose(0, 2, 1) @ _unit(world[:, toe] - world[:, heel])[..., None])[..., 0]
        local[:, joint] = swing(foot_direction[side], direction)
    return local


def place(points: Array, rays: Array, weight: Array) -> Array:
    """Translations (T,3) that put points (T,L,3) on their rays (T,L,2), weighted (T,L): linear least squares.

    From (X + t_x) = x (Z + t_z) and likewise for y; the depth comes from the size of the body on the image.
    """
    frames = len(points)
    normal, right = np.zeros((frames, 3, 3)), np.zeros((frames, 3))
    for axis in range(2):
        row = np.zeros((*rays.shape[:2], 3))
        row[..., axis], row[..., 2] = 1.0, -rays[..., axis]
        value = rays[..., axis] * points[..., 2] - points[..., axis]
        normal += np.einsum("tl,tli,tlj->tij", weight, row, row)
        right += np.einsum("tl,tli,tl->ti", weight, row, value)
    trans = np.linalg.solve(normal + 1e-9 * np.eye(3), right[..., None])[..., 0]
    trans[:, 2] = np.maximum(trans[:, 2], _NEAREST_M - points[..., 2].min(1))
    return trans


def steady_headings(rotation: Array, time: Array, window_s: float = 0.6) -> Array:
    """Marks (T,) frames whose root (T,3,3) faces away from the median heading around them.

    Front and back look alike: for a few frames the landmarks of a person may swap left and right.
    """
    forward = rotation[:, :, 2]
    good = np.ones(len(forward), bool)
    for t in range(len(forward)):
        near = np.abs(time - time[t]) <= 0.5 * window_s
        good[t] = forward[t] @ np.median(forward[near], axis=0) > 0.0
    return good
