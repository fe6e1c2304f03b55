"""Where MediaPipe's pose landmarks lie on a body in SMPL's format, and how well each is seen.

Points are affine mixes of posed vertices and joints, found from the rest mesh alone, so they exist on every body of
that format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.body import BodyModel
from ...scene4d.conventions import JOINT_COUNT, JOINT_NAMES

Array = NDArray[Any]

NOSE = 0
LEFT_EAR, RIGHT_EAR = 7, 8
LEFT_SHOULDER, RIGHT_SHOULDER = 11, 12
LEFT_ELBOW, RIGHT_ELBOW = 13, 14
LEFT_WRIST, RIGHT_WRIST = 15, 16
LEFT_PINKY, RIGHT_PINKY = 17, 18
LEFT_INDEX, RIGHT_INDEX = 19, 20
LEFT_HIP, RIGHT_HIP = 23, 24
LEFT_KNEE, RIGHT_KNEE = 25, 26
LEFT_ANKLE, RIGHT_ANKLE = 27, 28
LEFT_HEEL, RIGHT_HEEL = 29, 30
LEFT_TOE, RIGHT_TOE = 31, 32
LANDMARK_COUNT = 33

_JOINTS = {
    LEFT_SHOULDER: "left_shoulder",
    LEFT_ELBOW: "left_elbow",
    LEFT_WRIST: "left_wrist",
    LEFT_HIP: "left_hip",
    LEFT_KNEE: "left_knee",
    LEFT_ANKLE: "left_ankle",
}
#: Sigma of each kind of landmark relative to `FitSettings.image`: points of the face and hips are vague, feet are not.
_SPREAD = {
    NOSE: 1.5,
    LEFT_EAR: 1.5,
    LEFT_SHOULDER: 1.0,
    LEFT_ELBOW: 1.0,
    LEFT_WRIST: 1.0,
    LEFT_PINKY: 2.0,
    LEFT_INDEX: 2.0,
    LEFT_HIP: 1.5,
    LEFT_KNEE: 1.0,
    LEFT_ANKLE: 0.8,
    LEFT_HEEL: 0.8,
    LEFT_TOE: 1.0,
}
_KNUCKLE_M = 0.033
_HEEL_HEIGHT_M = 0.04


@dataclass(frozen=True)
class LandmarkMap:
    """index (L,) of MediaPipe's 33 points; vertex_weights (L,V), joint_weights (L,24): mixes of posed points.

    spread (L,): sigma of each point relative to the others.
    """

    index: Array
    vertex_weights: Array
    joint_weights: Array
    spread: Array


def landmark_map(model: BodyModel) -> LandmarkMap:
    """The landmarks that the fit uses, on this body."""
    rest = np.asarray(model.v_template, np.float64)
    joints = model.joints(np.zeros(model.shapedirs.shape[-1]))
    owner = np.asarray(model.weights).argmax(axis=1)
    rows: dict[int, tuple[str, int]] = {
        NOSE: ("vertex", _furthest(rest, owner == _joint("head"), np.array([0.0, 0.0, 1.0])))
    }
    for side, sign in (("left", 1.0), ("right", -1.0)):
        shift = 0 if side == "left" else 1
        for landmark, name in _JOINTS.items():
            rows[landmark + shift] = ("joint", _joint(name.replace("left", side)))
        rows[LEFT_EAR + shift] = ("vertex", _furthest(rest, owner == _joint("head"), np.array([sign, 0.0, 0.0])))
        hand = joints[_joint(f"{side}_hand")]
        for landmark, forward in ((LEFT_INDEX, 1.0), (LEFT_PINKY, -1.0)):
            target = hand + np.array([0.0, 0.0, forward * _KNUCKLE_M])
            rows[landmark + shift] = ("vertex", int(np.linalg.norm(rest - target, axis=1).argmin()))
        foot = (owner == _joint(f"{side}_ankle")) | (owner == _joint(f"{side}_foot"))
        low = foot & (rest[:, 1] < rest[foot, 1].min() + _HEEL_HEIGHT_M)
        rows[LEFT_HEEL + shift] = ("vertex", _furthest(rest, low, np.array([0.0, 0.0, -1.0])))
        rows[LEFT_TOE + shift] = ("vertex", _furthest(rest, low, np.array([0.0, 0.0, 1.0])))
    index = np.array(sorted(rows))
    vertex_weights = np.zeros((len(index), len(rest)))
    joint_weights = np.zeros((len(index), JOINT_COUNT))
    for row, landmark in enumerate(index):
        kind, number = rows[int(landmark)]
        (vertex_weights if kind == "vertex" else joint_weights)[row, number] = 1.0
    # Odd numbers are left from the eyes on, the next even number is the same point on the right.
    spread = np.array([_SPREAD[int(i)] if int(i) in _SPREAD else _SPREAD[int(i) - 1] for i in index])
    return LandmarkMap(index, vertex_weights, joint_weights, spread)


def _joint(name: str) -> int:
    return JOINT_NAMES.index(name)


def _furthest(points: Array, among: Array, direction: Array) -> int:
    candidates = np.flatnonzero(among)
    return int(candidates[(points[candidates] @ direction).argmax()])
