"""A hand that lies flat on a surface and does not move on it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from josh_blender.scene4d.body import BodyModel, forward_kinematics
from josh_blender.scene4d.conventions import JOINT_NAMES
from josh_blender.scene4d.rotations import slerp_matrices

from .limbs import limb
from .posture import Touch, held
from .turns import turn_z

Array = NDArray[Any]

#: How far from the surface a hand is when it starts to reach, in metres.
_APPROACH = 0.12


def region_vertices(body: BodyModel, region: str) -> Array:
    """Indices (N,) of the vertices of a contact region."""
    return np.flatnonzero(body.region_of_vertex == body.region_names.index(region))


def _flat_hand(points: Array, sign: float) -> Array:
    """The turn (3, 3) about z that lays a palm-down hand (N, 3), wrist at the origin, on its heel and fingertips."""
    outward = sign * points[:, 0]
    length = outward.max()
    heel, tips = points[outward < 0.45 * length], points[outward > 0.75 * length]
    low, high = -0.6, 0.6
    for _ in range(50):
        angle = (low + high) / 2
        turn = turn_z(sign * angle)
        # A larger angle lifts the tips.
        if (tips @ turn.T)[:, 1].min() < (heel @ turn.T)[:, 1].min():
            low = angle
        else:
            high = angle
    return turn_z(sign * (low + high) / 2)


def put_hand(local: Array, pelvis: Array, body: BodyModel, betas: Array, touch: Touch, times: Array) -> None:
    """Bend an arm so that the palm touches; written into ``local`` (T, 24, 3, 3) of bodies at ``pelvis`` (T, 3).

    Raises:
        ValueError: the point is out of reach.
    """
    side, sign = (("left", 1.0), ("right", -1.0))[touch.side]
    collar, shoulder, elbow, wrist = (
        JOINT_NAMES.index(f"{side}_{p}") for p in ("collar", "shoulder", "elbow", "wrist")
    )
    share = held(times, touch.reach, touch.release)
    busy = np.flatnonzero(share > 0)
    joints, weight = body.joints(betas), share[busy]
    rotations, positions = forward_kinematics(local[busy], joints, body.parents)
    positions = positions + (pelvis[busy] - joints[0])[:, None]

    hand_joints = [wrist, JOINT_NAMES.index(f"{side}_hand")]
    rigid = body.weights[:, hand_joints].sum(axis=1) > 0.999
    points = body.rest_vertices(betas)[rigid] - joints[wrist]
    flat = _flat_hand(points, sign)
    normal = np.asarray(touch.normal, float) / np.linalg.norm(touch.normal)
    along = np.asarray(touch.fingers, float) - np.dot(touch.fingers, normal) * normal
    along = along / np.linalg.norm(along)
    # Columns: where the hand's outward, upper and forward sides point.
    outward = sign * along
    world_from_hand = np.stack([outward, normal, np.cross(outward, normal)], axis=-1) @ flat
    laid = points @ world_from_hand.T
    depth = laid @ normal
    palm = laid[depth < depth.min() + 0.01].mean(axis=0)
    target = np.asarray(touch.point) - (palm - (palm @ normal) * normal) - depth.min() * normal
    target = target + _APPROACH * (1 - weight)[:, None] * normal

    body_back = -rotations[:, 0, :, 2]
    pole = np.array([0.0, 0.0, -0.8]) + 0.6 * body_back + 0.5 * sign * rotations[:, 0, :, 0]
    upper, lower = limb(
        positions[:, shoulder], target, pole, joints[[shoulder, elbow, wrist]], np.array([0.0, -sign, 0.0])
    )
    parent = rotations[:, collar]
    wanted = {
        shoulder: np.swapaxes(parent, -1, -2) @ upper,
        elbow: np.swapaxes(upper, -1, -2) @ lower,
        wrist: np.swapaxes(lower, -1, -2) @ world_from_hand,
    }
    for joint, turn in wanted.items():
        mixed = slerp_matrices(local[busy, joint], turn, weight)
        local[busy, joint] = np.where((weight == 1.0)[:, None, None], turn, mixed)
