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


@dataclass(frozen=True)
class _Anchor:
    """Where a landmark sits: on a joint (or on a point of the skin, ""), carried by a bone, moved by an offset.

    offset: thousandths of the body's height in the axes of the rest pose (x outwards on the left), measured against
    bodies of known pose (docs/early_checks.md, d). The right side mirrors the left.
    """

    joint: str
    bone: str
    offset: tuple[float, float, float]


_ANCHORS = {
    NOSE: _Anchor("", "head", (0.0, 13.0, -9.0)),
    LEFT_EAR: _Anchor("", "head", (-23.0, 3.0, 21.0)),
    LEFT_SHOULDER: _Anchor("left_shoulder", "left_collar", (-8.0, 18.0, 4.0)),
    LEFT_ELBOW: _Anchor("left_elbow", "left_shoulder", (-16.0, -2.0, 0.0)),
    LEFT_WRIST: _Anchor("left_wrist", "left_elbow", (-6.0, -6.0, 0.0)),
    LEFT_PINKY: _Anchor("", "left_hand", (-24.0, 4.0, 12.0)),
    LEFT_INDEX: _Anchor("", "left_hand", (-25.0, -13.0, -14.0)),
    LEFT_HIP: _Anchor("left_hip", "pelvis", (-8.0, 2.0, 20.0)),
    LEFT_KNEE: _Anchor("left_knee", "left_hip", (-2.0, 9.0, -2.0)),
    LEFT_ANKLE: _Anchor("left_ankle", "left_knee", (0.0, 17.0, -3.0)),
    LEFT_HEEL: _Anchor("", "left_ankle", (1.0, 4.0, 6.0)),
    LEFT_TOE: _Anchor("", "left_foot", (6.0, 9.0, -21.0)),
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
#: The depths of the world landmarks, relative to the hips: the share of a hand's true depth that they show (a network
#: that cannot see depth leans to the mean), and the factor on `FitSettings.world_depth` for limbs, whose swings along
#: the view they show least (docs/bodies_stage.md has the measurements).
_DEPTH_SHARE = {LEFT_ELBOW: 0.9, LEFT_WRIST: 0.7, LEFT_PINKY: 0.7, LEFT_INDEX: 0.7}
_DEPTH_SPREAD = {
    LEFT_ELBOW: 1.5,
    LEFT_WRIST: 1.5,
    LEFT_PINKY: 1.5,
    LEFT_INDEX: 1.5,
    LEFT_KNEE: 2.0,
    LEFT_ANKLE: 2.0,
    LEFT_HEEL: 2.0,
    LEFT_TOE: 2.0,
}
_KNUCKLE_M = 0.033
_HEEL_HEIGHT_M = 0.04


#: A bone's own vertices: those that it moves by at least this share, and never fewer than this.
_OWN_WEIGHT = 0.8
_FEWEST_OWN = 40


@dataclass(frozen=True)
class LandmarkMap:
    """index (L,) of MediaPipe's 33 points; vertex_weights (L,V), joint_weights (L,24): mixes of posed points.

    spread (L,): sigma of each point relative to the others; depth_spread (L,): further factor along the view, for the
    world landmarks; depth_share (L,): how much of the true depth, relative to the hips, these show.
    """

    index: Array
    vertex_weights: Array
    joint_weights: Array
    spread: Array
    depth_spread: Array
    depth_share: Array


def landmark_map(model: BodyModel) -> LandmarkMap:
    """The landmarks that the fit uses, on this body."""
    rest = np.asarray(model.v_template, np.float64)
    joints = model.joints(np.zeros(model.shapedirs.shape[-1]))
    height = np.ptp(rest[:, 1])
    rows: dict[int, Array] = {}
    for side, mirror in (("left", 1.0), ("right", -1.0)):
        skin = _skin_points(model, rest, joints, side)
        for number, anchor in _ANCHORS.items():
            start = joints[_joint(anchor.joint.replace("left", side))] if anchor.joint else skin[number]
            offset = height / 1000.0 * np.array(anchor.offset) * [mirror, 1.0, 1.0]
            # Odd numbers are left from the eyes on, the next even number is the same point on the right.
            landmark = number + (side == "right" and number != NOSE)
            rows[landmark] = _carried(model, rest, _joint(anchor.bone.replace("left", side)), start + offset)
    index = np.array(sorted(rows))
    vertex_weights = np.stack([rows[int(number)] for number in index])
    tables = (_per_landmark(table, index) for table in (_SPREAD, _DEPTH_SPREAD, _DEPTH_SHARE))
    return LandmarkMap(index, vertex_weights, np.zeros((len(index), JOINT_COUNT)), *tables)


def _per_landmark(table: dict[int, float], index: Array) -> Array:
    """Values (L,) of a table of the nose and of left landmarks, for both sides; 1 where it has none."""
    left = [int(number) - (number != NOSE and number % 2 == 0) for number in index]
    return np.array([table.get(number, 1.0) for number in left])


def _skin_points(model: BodyModel, rest: Array, joints: Array, side: str) -> dict[int, Array]:
    """Rest positions (3,) of landmarks that are points of the skin, on one side."""
    owner = np.asarray(model.weights).argmax(axis=1)
    outwards = np.array([1.0 if side == "left" else -1.0, 0.0, 0.0])
    forward = np.array([0.0, 0.0, 1.0])
    head = rest[owner == _joint("head")]
    hand = joints[_joint(f"{side}_hand")]
    foot = rest[(owner == _joint(f"{side}_ankle")) | (owner == _joint(f"{side}_foot"))]
    low = foot[foot[:, 1] < foot[:, 1].min() + _HEEL_HEIGHT_M]
    return {
        NOSE: _furthest(head, forward),
        LEFT_EAR: _furthest(head, outwards),
        LEFT_INDEX: hand + _KNUCKLE_M * forward,
        LEFT_PINKY: hand - _KNUCKLE_M * forward,
        LEFT_HEEL: _furthest(low, -forward),
        LEFT_TOE: _furthest(low, forward),
    }


def _carried(model: BodyModel, rest: Array, bone: int, target: Array) -> Array:
    """Weights (V,) of the vertices of one bone that mix to the target (3,) at rest, and move with the bone.

    Of all affine mixes the one with the least squares: no vertex counts much, so shapes move the point smoothly.
    """
    share = np.asarray(model.weights)[:, bone]
    own = np.argsort(-share)[: max(_FEWEST_OWN, int((share >= _OWN_WEIGHT).sum()))]
    points = np.concatenate([rest[own].T, np.ones((1, len(own)))])
    weights = np.zeros(len(rest))
    weights[own] = np.linalg.lstsq(points, np.append(target, 1.0), rcond=None)[0]
    return weights


def _joint(name: str) -> int:
    return JOINT_NAMES.index(name)


def _furthest(points: Array, direction: Array) -> Array:
    return points[(points @ direction).argmax()]
