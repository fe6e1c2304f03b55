"""People that move with exact contacts: inverse kinematics of a body in SMPL format over a plan of footsteps.

World metres, Z up. The feet follow their plan, the pelvis goes as high as the legs let it, and whatever touches
something stands exactly still while its contact is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from josh_blender.scene4d.body import BodyModel, forward_kinematics
from josh_blender.scene4d.conventions import CONTACT_REGIONS, JOINT_COUNT, JOINT_NAMES
from josh_blender.scene4d.rotations import axis_angle_from_matrix, slerp_matrices

from .curves import gaussian_smooth, lower_envelope
from .feet import Foot, foot_track, locked
from .footsteps import LEFT, RIGHT, Footstep, Surface
from .hands import put_hand, region_vertices
from .limbs import limb
from .posture import Posture, held
from .turns import turn_x, turn_y, turn_z, upright

Array = NDArray[Any]

#: A foot touches while its vertex is this near to where it stands still, in metres.
LOCK = 0.0005
_LEG_REACH = 0.998
_OVERSAMPLING = 4
_SIDES = ("left", "right")
_JOINT = {name: number for number, name in enumerate(JOINT_NAMES)}


@dataclass(frozen=True)
class Motion:
    """poses (T,72) axis-angle, trans (T,3) SMPL translation, contact (T,R) 0 or 1, joints (T,24,3) in the world."""

    betas: Array
    poses: Array
    trans: Array
    contact: Array
    joints: Array


@dataclass(frozen=True)
class Style:
    """How a person carries themself; angles in degrees. Toes ``press`` the ground (`feet.Foot`)."""

    arm_swing: float = 24.0
    arm_hang: float = 76.0
    elbow: float = 16.0
    lean: float = 3.0
    twist: float = 6.0
    sway: float = 0.03
    life: float = 1.2
    press: bool = False


@dataclass(frozen=True)
class Performance:
    """A recorded movement, a frame every ``interval`` s from time 0: pelvis (T,3) in the world, local (T,24,3,3)."""

    interval: float
    pelvis: Array
    local: Array

    def at(self, times: Array) -> tuple[Array, Array]:
        """Pelvis (N,3) and rotations (N,24,3,3) at times (N,); the ends hold still."""
        where = np.clip(times / self.interval, 0, len(self.pelvis) - 1)
        low = np.minimum(where.astype(int), max(len(self.pelvis) - 2, 0))
        high = np.minimum(low + 1, len(self.pelvis) - 1)
        share = where - low
        pelvis = self.pelvis[low] + share[:, None] * (self.pelvis[high] - self.pelvis[low])
        return pelvis, slerp_matrices(self.local[low], self.local[high], np.repeat(share[:, None], JOINT_COUNT, 1))


def betas_of_height(body: BodyModel, height: float, others: ArrayLike = ()) -> Array:
    """Betas (B,) with the given height in metres: the first is solved for, ``others`` follow it."""
    betas = np.zeros(body.shapedirs.shape[2])
    betas[1 : 1 + len(np.asarray(others))] = others
    for _ in range(20):
        slope = (body.height(betas + 1e-3 * _first(betas)) - body.height(betas)) / 1e-3
        betas[0] += (height - body.height(betas)) / slope
    return betas


def _first(betas: Array) -> Array:
    unit = np.zeros_like(betas)
    unit[0] = 1.0
    return unit


def animate(
    body: BodyModel,
    betas: Array,
    steps: list[Footstep],
    surface: Surface,
    times: Array,
    style: Style | None = None,
    seed: int = 0,
    posture: Posture | None = None,
    lock: float = LOCK,
    recorded: Performance | None = None,
) -> Motion:
    """The motion at times (T,) in s, at least two and evenly spaced, of a body that puts its feet as planned.

    ``surface`` gives the height of the ground (...) at points (..., 2). A foot's contact counts while its vertex is
    within ``lock`` metres of where it stands still. Where a movement was recorded, it moves all but the legs.

    Raises:
        ValueError: a foot or a hand is out of reach.
    """
    style, posture = style or Style(), posture or Posture()
    interval = (times[1] - times[0]) / _OVERSAMPLING
    margin = int(1.2 / interval)
    fine = times[0] + interval * np.arange(-margin, (len(times) - 1) * _OVERSAMPLING + margin + 1)
    per_second = 1.0 / interval
    joints = body.joints(betas)
    feet = [Foot(body, betas, side, style.press) for side in (LEFT, RIGHT)]
    tracks = [
        foot_track(feet[side], [step for step in steps if step.side == side], surface, fine) for side in (LEFT, RIGHT)
    ]
    (left, left_yaw, _, _, left_down), (right, right_yaw, _, _, right_down) = tracks

    heading = gaussian_smooth((left_yaw + right_yaw) / 2, 0.2 * per_second)
    forward = np.stack([np.cos(heading), np.sin(heading), np.zeros_like(heading)], -1)
    aside = np.stack([-np.sin(heading), np.cos(heading), np.zeros_like(heading)], -1)
    stride = np.sum((left - right) * forward, -1)
    # +1 while the left leg carries, -1 while the right does.
    load = gaussian_smooth(left_down.astype(float) - right_down.astype(float), 0.09 * per_second)
    ground = gaussian_smooth((left + right) / 2, 0.18 * per_second)
    pelvis = ground + style.sway * load[:, None] * aside + 0.015 * forward
    reach = gaussian_smooth(np.clip(stride / 0.65, -1.3, 1.3), 0.03 * per_second)
    twist, leaning = np.radians(style.twist), posture.leaning(fine)
    tilt = (
        upright(heading - twist * reach)
        @ turn_x(np.radians(style.lean) + 0.4 * leaning)
        @ turn_z(np.radians(3.0) * load)
    )
    if recorded is not None:
        given_pelvis, given_local = recorded.at(fine)
        pelvis[:, :2], tilt = given_pelvis[:, :2], given_local[:, 0]
    seated = [held(fine, sit.down, sit.rise) for sit in posture.sits]
    for sit, share in zip(posture.sits, seated, strict=True):
        pelvis[:, :2] += share[:, None] * (np.array(sit.place) - pelvis[:, :2])
    hips = [np.einsum("tab,b->ta", tilt, joints[_JOINT[name]] - joints[0]) for name in ("left_hip", "right_hip")]
    chains = [[_JOINT[f"{side}_{part}"] for part in ("hip", "knee", "ankle")] for side in ("left", "right")]
    highest = np.full(len(fine), np.inf)
    for chain, hip, (ankle, *_rest) in zip(chains, hips, tracks, strict=True):
        length = sum(np.linalg.norm(joints[b] - joints[a]) for a, b in pairwise(chain))
        across = np.linalg.norm((ankle - pelvis - hip)[:, :2], axis=-1)
        rise = np.sqrt(np.maximum((_LEG_REACH * length) ** 2 - across**2, 0.0))
        highest = np.minimum(highest, ankle[:, 2] + rise - hip[:, 2])
    pelvis[:, 2] = lower_envelope(highest, int(0.08 * per_second), 0.04 * per_second) - posture.lowered(fine)

    if recorded is not None:
        pelvis[:, 2] = np.minimum(pelvis[:, 2], given_pelvis[:, 2])

    local = np.broadcast_to(np.eye(3), (len(fine), JOINT_COUNT, 3, 3)).copy()
    local[:, 0] = tilt
    at_rest = np.maximum.reduce([np.zeros(len(fine)), *seated])
    _upper_body(local, reach, load, style, np.random.default_rng([seed, 5]), fine, leaning, at_rest)
    if recorded is not None:
        local = given_local

    def put_legs(chosen: slice) -> None:
        for side, (chain, hip, track) in enumerate(zip(chains, hips, tracks, strict=True)):
            ankle, yaw, pitch, toe = (values[chosen] for values in track[:4])
            between = (yaw + heading[chosen]) / 2
            ahead = np.stack([np.cos(between), np.sin(between), np.zeros_like(between)], -1)
            thigh, shin = limb(pelvis[chosen] + hip[chosen], ankle, ahead, joints[chain], np.array([1.0, 0.0, 0.0]))
            foot = upright(yaw) @ turn_x(pitch)
            local[chosen, chain[0]] = np.swapaxes(tilt[chosen], -1, -2) @ thigh
            local[chosen, chain[1]] = np.swapaxes(thigh, -1, -2) @ shin
            local[chosen, chain[2]] = np.swapaxes(shin, -1, -2) @ foot
            local[chosen, _JOINT[("left_foot", "right_foot")[side]]] = turn_x(-toe)

    for sit, share in zip(posture.sits, seated, strict=True):
        middle = int(np.argmin(np.abs(fine - (sit.down[1] + sit.rise[0]) / 2)))
        once, standing = slice(middle, middle + 1), pelvis[:, 2].copy()
        # How the flesh folds depends on the height, a little: a few rounds settle it.
        pelvis[middle, 2] = sit.height + 0.1
        for _ in range(8):
            put_legs(once)
            pose = axis_angle_from_matrix(local[middle]).reshape(-1)
            vertices = body.skin(betas, pose, pelvis[middle] - joints[0])[0]
            pelvis[middle, 2] += sit.height - vertices[region_vertices(body, "seat"), 2].min()
        pelvis[:, 2] = (1 - share) * standing + share * pelvis[middle, 2]
    put_legs(slice(None))
    for touch in posture.touches:
        put_hand(local, pelvis, body, betas, touch, fine)

    chosen = slice(margin, len(fine) - margin, _OVERSAMPLING)
    trans = (pelvis - joints[0])[chosen]
    poses = axis_angle_from_matrix(local[chosen])
    placed = forward_kinematics(local[chosen], joints, body.parents)[1] + trans[:, None]
    contact = np.zeros((len(times), len(CONTACT_REGIONS)), np.float32)
    for side, name in enumerate(_SIDES):
        ankle, yaw, pitch, toe, _ = (values[chosen] for values in tracks[side])
        own = [step for step in steps if step.side == side]
        still = locked(feet[side], own, ankle, yaw, pitch, toe, times, lock)
        for part, region in enumerate((f"{name}_heel", f"{name}_ball")):
            contact[:, CONTACT_REGIONS.index(region)] = still[:, part]
    for share in seated:
        contact[:, CONTACT_REGIONS.index("seat")] += share[chosen] == 1.0
    for touch in posture.touches:
        share = held(times, touch.reach, touch.release)
        contact[:, CONTACT_REGIONS.index(f"{_SIDES[touch.side]}_hand")] += share == 1.0
    return Motion(betas, poses.reshape(len(times), -1), trans, contact, placed)


def _upper_body(
    local: Array, reach: Array, load: Array, style: Style, rng: np.random.Generator, times: Array, leaning: Array,
    seated: Array,
) -> None:  # fmt: skip
    """Rotations of spine, head and arms, written into ``local`` (T, 24, 3, 3).

    The spine takes ``leaning`` (T,) rad less the pelvis's part of it; the hands go to the lap as ``seated`` (T,) says.
    """
    twist, lean = np.radians(style.twist), np.radians(style.lean)
    life = np.radians(style.life) * _drift(rng, times, 12)
    # The spine turns against the pelvis, so that the shoulders swing a little the other way, and takes back its roll.
    for part, name in enumerate(("spine1", "spine2", "spine3")):
        back = turn_y(0.5 * twist * reach + 0.3 * life[:, part])
        local[:, _JOINT[name]] = (
            back @ turn_z(-np.radians(1.0) * load) @ turn_x(0.2 * life[:, 3 + part] + 0.2 * leaning)
        )
    local[:, _JOINT["neck"]] = turn_y(-0.25 * twist * reach + life[:, 6]) @ turn_x(-0.5 * lean + 0.5 * life[:, 7])
    local[:, _JOINT["head"]] = turn_y(-0.25 * twist * reach + life[:, 8]) @ turn_x(-0.3 * lean + life[:, 9])
    swing, hang = np.radians(style.arm_swing), np.radians(style.arm_hang)
    for sign, side, wander in ((1.0, "left", life[:, 10]), (-1.0, "right", life[:, 11])):
        # The left arm is forward while the right leg is.
        forward = -sign * reach
        local[:, _JOINT[f"{side}_collar"]] = turn_z(np.full(len(times), -sign * np.radians(4.0)))
        angle = swing * (forward + 0.15) + wander + np.radians(38.0) * seated
        hanging = turn_z(np.full(len(times), -sign * (hang - np.radians(4.0))))
        local[:, _JOINT[f"{side}_shoulder"]] = turn_x(-angle) @ hanging
        bend = np.radians(style.elbow) * (1.0 + 0.9 * np.maximum(forward, 0.0)) + np.radians(34.0) * seated
        local[:, _JOINT[f"{side}_elbow"]] = turn_y(-sign * bend)
        local[:, _JOINT[f"{side}_wrist"]] = turn_z(sign * 2.0 * wander)


def _drift(rng: np.random.Generator, times: Array, channels: int) -> Array:
    """Slow noise (T, channels) of unit root mean square."""
    rate = 2 * np.pi * rng.uniform(0.15, 0.6, (3, channels))
    phase = rng.uniform(0, 2 * np.pi, (3, channels))
    return np.sqrt(2 / 3) * np.sin(rate * times[:, None, None] + phase).sum(axis=1)
