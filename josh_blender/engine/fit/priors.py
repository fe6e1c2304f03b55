"""What is known about human joints without looking: usual angles, how far they stray, which way hinges bend.

Angles are the components of a joint's axis-angle vector in its parent's frame, whose axes are those of the T-pose: x to
the body's left, y up, z forward. So a knee bends about +x, a left elbow about -y, a left arm hangs at about -z. The
numbers are ours: round figures for everyday movement, wide enough for sitting and running, narrow where a joint hardly
moves; the joints of the spine share one movement, so each has a part of it. Feet stand below hips: a body whose legs
are apart at rest usually closes them by that angle (`usual_angles`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.conventions import JOINT_COUNT, JOINT_NAMES

Array = NDArray[Any]

#: Usual angle and sigma of x, y, z in degrees; a right joint mirrors its left one.
_USUAL: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "left_hip": ((-15.0, 0.0, 0.0), (40.0, 20.0, 5.0)),
    "left_knee": ((25.0, 0.0, 0.0), (40.0, 8.0, 5.0)),
    "left_ankle": ((-3.0, 0.0, 0.0), (15.0, 10.0, 8.0)),
    "left_foot": ((0.0, 0.0, 0.0), (10.0, 3.0, 3.0)),
    "spine1": ((2.0, 0.0, 0.0), (12.0, 8.0, 8.0)),
    "spine2": ((2.0, 0.0, 0.0), (10.0, 8.0, 7.0)),
    "spine3": ((2.0, 0.0, 0.0), (8.0, 8.0, 6.0)),
    "neck": ((0.0, 0.0, 0.0), (14.0, 18.0, 10.0)),
    "head": ((0.0, 0.0, 0.0), (12.0, 18.0, 10.0)),
    "left_collar": ((0.0, 0.0, 0.0), (4.0, 10.0, 10.0)),
    "left_shoulder": ((0.0, 0.0, -65.0), (35.0, 30.0, 40.0)),
    "left_elbow": ((0.0, -30.0, 0.0), (35.0, 45.0, 12.0)),
    "left_wrist": ((0.0, 0.0, 0.0), (15.0, 15.0, 20.0)),
    "left_hand": ((0.0, 0.0, 0.0), (2.0, 2.0, 2.0)),
}
#: Joint, axis, least and greatest angle in degrees of the hinges.
_HINGES: dict[str, tuple[int, float, float]] = {"left_knee": (0, 0.0, 150.0), "left_elbow": (1, -150.0, 0.0)}

#: Angular accelerations of everyday movement about x, y, z, relative to `FitSettings.turns`: limbs swing about one.
_LIVELY: dict[str, tuple[float, float, float]] = {
    "pelvis": (0.5, 0.5, 0.5),
    "hip": (1.2, 0.36, 0.24),
    "knee": (2.0, 0.5, 0.5),
    "ankle": (2.0, 1.0, 1.0),
    "foot": (1.0, 1.0, 1.0),
    "spine": (0.2, 0.2, 0.2),
    "neck": (0.36, 0.36, 0.36),
    "head": (0.36, 0.36, 0.36),
    "collar": (0.25, 0.25, 0.25),
    "shoulder": (1.2, 0.36, 0.24),
    "elbow": (0.4, 1.5, 0.4),
    "wrist": (0.6, 0.6, 0.6),
    "hand": (1.0, 1.0, 1.0),
}
_MIRROR = np.array([1.0, -1.0, -1.0])


def _usual_angles() -> tuple[Array, Array]:
    mean, sigma = np.zeros((JOINT_COUNT, 3)), np.full((JOINT_COUNT, 3), np.inf)
    for name, (angles, spread) in _USUAL.items():
        joint = JOINT_NAMES.index(name)
        mean[joint], sigma[joint] = np.radians(angles), np.radians(spread)
        if name.startswith("left_"):
            right = JOINT_NAMES.index(name.replace("left_", "right_"))
            mean[right], sigma[right] = mean[joint] * _MIRROR, sigma[joint]
    return mean, sigma


def _limits() -> tuple[Array, Array]:
    least, greatest = np.full((JOINT_COUNT, 3), -np.inf), np.full((JOINT_COUNT, 3), np.inf)
    for name, (axis, low, high) in _HINGES.items():
        joint, right = JOINT_NAMES.index(name), JOINT_NAMES.index(name.replace("left_", "right_"))
        least[joint, axis], greatest[joint, axis] = np.radians((low, high))
        low, high = sorted((low * _MIRROR[axis], high * _MIRROR[axis]))
        least[right, axis], greatest[right, axis] = np.radians((low, high))
    return least, greatest


def _smoothness() -> Array:
    return np.array([next(v for part, v in _LIVELY.items() if part in name) for name in JOINT_NAMES])


#: (24,3) radians of a body whose legs are straight down at rest; the sigma of the pelvis is infinite.
USUAL_ANGLE, USUAL_SIGMA = _usual_angles()
#: (24,3) radians, infinite where there is none.
LEAST_ANGLE, GREATEST_ANGLE = _limits()
#: (24,3) share of `FitSettings.turns` of each joint about the axes of its parent.
SMOOTHNESS = _smoothness()


def usual_angles(joints: Array) -> Array:
    """Usual angles (24,3) in radians of a body with these rest joints (24,3): its ankles hang below its hips."""
    result = USUAL_ANGLE.copy()
    for side in ("left", "right"):
        hip, ankle = JOINT_NAMES.index(f"{side}_hip"), JOINT_NAMES.index(f"{side}_ankle")
        leg = joints[ankle] - joints[hip]
        result[hip, 2] -= np.arctan2(leg[0], -leg[1])
    return result
