"""People that walk with exact foot locks: inverse kinematics of a body in SMPL format over a plan of footsteps.

World metres, Z up. A foot is rigid but for its toes. It rolls about its heel after touchdown, lies flat, then rolls
about its ball while the toes stay down: its heel and ball vertices stand exactly still while their contact is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from josh_blender.scene4d.body import BodyModel, forward_kinematics
from josh_blender.scene4d.conventions import CONTACT_REGIONS, JOINT_COUNT, JOINT_NAMES
from josh_blender.scene4d.rotations import axis_angle_from_matrix, matrix_from_axis_angle

from .curves import gaussian_smooth, hermite, lower_envelope
from .footsteps import LEFT, RIGHT, Footstep, Surface

Array = NDArray[Any]

#: A contact counts while the vertex is this near to where it stands still, in metres.
LOCK = 0.0005
_ROLL_SECONDS = 0.10
_LEG_REACH = 0.998
_OVERSAMPLING = 4
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
    """How a person carries themself; angles in degrees."""

    arm_swing: float = 24.0
    arm_hang: float = 76.0
    elbow: float = 16.0
    lean: float = 3.0
    twist: float = 6.0
    sway: float = 0.03
    life: float = 1.2


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


class _Foot:
    """The geometry of one foot of a shaped body, relative to its ankle, in body axes."""

    def __init__(self, body: BodyModel, betas: Array, side: int) -> None:
        ankle, ball = (_JOINT[name] for name in (("left_ankle", "left_foot"), ("right_ankle", "right_foot"))[side])
        rest, joints = body.rest_vertices(betas), body.joints(betas)
        on_foot = body.weights[:, ankle] + body.weights[:, ball] > 0.9
        low = on_foot & (rest[:, 1] < rest[on_foot, 1].min() + 0.035)
        self.vertices = rest[low] - joints[ankle]
        self.toe_share = body.weights[low, ball] / (body.weights[low, ball] + body.weights[low, ankle])
        self.toe_joint = joints[ball] - joints[ankle]
        index = np.flatnonzero(low)
        self.heel, self.ball = (int(np.searchsorted(index, body.foot_vertices[2 * side + k])) for k in (0, 1))
        self.height = float(-self.vertices[:, 1].min())

    def posed(self, yaw: float, pitch: float, toe: float) -> Array:
        """Sole vertices (N, 3) relative to the ankle in the world; ``toe`` bends the toes up against the foot."""
        foot = upright(yaw) @ turn_x(pitch)
        toes = foot @ turn_x(-toe)
        rigid = self.vertices @ foot.T
        bent = self.toe_joint @ foot.T + (self.vertices - self.toe_joint) @ toes.T
        share = self.toe_share[:, None]
        return (1 - share) * rigid + share * bent

    def flat_ankle(self, step: Footstep) -> Array:
        return np.array([*step.ankle, step.height + self.height])

    def stance(self, step: Footstep, time: float) -> tuple[Array, float, float]:
        """Ankle (3,), pitch and toe bend of a foot on the ground."""
        flat = self.flat_ankle(step)
        rest = self.posed(step.yaw, 0.0, 0.0)
        if time < step.touchdown + _ROLL_SECONDS:
            pitch = -step.strike * (1 - (time - step.touchdown) / _ROLL_SECONDS) ** 1.5
            sole = self.posed(step.yaw, pitch, 0.0)
            ankle = flat + rest[self.heel] - sole[self.heel]
            ankle[2] = step.height - sole[:, 2].min()
            return ankle, pitch, 0.0
        if time > step.heel_off:
            pitch = step.push * ((time - step.heel_off) / (step.toe_off - step.heel_off)) ** 1.5
            ankle = flat + rest[self.ball] - self.posed(step.yaw, pitch, pitch)[self.ball]
            return ankle, pitch, pitch
        return flat, 0.0, 0.0


def _swing(
    foot: _Foot, first: Footstep, second: Footstep, surface: Surface, u: Array
) -> tuple[Array, Array, Array, Array]:
    """Ankle (N, 3), yaw, pitch and toe bend (N,) between two footsteps at shares u (N,), clear of the ground."""
    span, tiny = second.touchdown - first.toe_off, 1e-4
    a0, p0, _ = foot.stance(first, first.toe_off)
    b0, q0, _ = foot.stance(first, first.toe_off - tiny)
    a1, p1, _ = foot.stance(second, second.touchdown)
    b1, _, _ = foot.stance(second, second.touchdown + tiny)
    v0, v1 = (a0 - b0) / tiny * span, (b1 - a1) / tiny * span
    pitch_slope = np.clip((p0 - q0) / tiny * span, 0.0, 1.5)
    ease = u * u * (3 - 2 * u)
    yaw = first.yaw + ease * (second.yaw - first.yaw)
    pitch = hermite(np.array(p0), np.array(pitch_slope), np.array(p1), np.array(0.0), u)
    # The toes stay level while they leave, or they would dip into the ground.
    toe = np.maximum(pitch, 0.0) * (1 - ease)
    soles = np.stack([foot.posed(y, p, t) for y, p, t in zip(yaw, pitch, toe, strict=True)])[:, ::4]
    # Where the ends of a swing touch, no clearance can be asked for: it grows over the first and last tenth.
    wanted = 0.018 * np.clip(np.minimum(u, 1 - u) / 0.1, 0, 1)
    inner = (u > 0.03) & (u < 0.97)
    climb = second.height - first.height
    # Up a step the foot rises before it goes forward; down a step it goes forward before it sinks.
    early = np.clip(u / 0.6 if climb > 0 else (u - 0.4) / 0.6, 0, 1)
    best: tuple[float, Array] | None = None
    for delay in (1.0, 1.4, 1.9) if climb > 0.02 else (1.0,):
        base = hermite(a0, v0 / delay**2, a1, v1, u**delay)
        base[:, 2] = hermite(a0[2], v0[2], a1[2], v1[2], u) + climb * (early * early * (3 - 2 * early) - ease)
        under = surface((base[:, None, :2] + soles[..., :2]).reshape(-1, 2)).reshape(soles.shape[:2])
        gap = (base[:, None, 2] + soles[..., 2] - under).min(axis=1)
        for rise, fall in ((1.0, 1.0), (0.7, 1.6), (1.6, 0.7), (0.5, 2.0), (2.0, 0.5)):
            bump = u**rise * (1 - u) ** fall
            bump = bump / max(bump.max(), 1e-9)
            need = max(0.0, float(np.max((wanted - gap)[inner] / bump[inner])))
            if best is None or need < best[0]:
                best = (need, base + need * bump[:, None] * np.array([0.0, 0.0, 1.0]))
    assert best is not None
    base = best[1]
    return base, yaw, pitch, toe


def _foot_track(
    foot: _Foot, steps: list[Footstep], surface: Surface, times: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Ankle (N, 3), yaw, pitch, toe bend and whether the foot is on the ground (N,) at times (N,)."""
    ankle, yaw, pitch, toe = np.zeros((len(times), 3)), *np.zeros((3, len(times)))
    down = np.zeros(len(times), bool)
    for number, step in enumerate(steps):
        stance = (times >= step.touchdown) & (times <= step.toe_off)
        for k in np.flatnonzero(stance):
            ankle[k], pitch[k], toe[k] = foot.stance(step, float(times[k]))
        yaw[stance], down[stance] = step.yaw, True
        if number + 1 == len(steps):
            break
        after = steps[number + 1]
        swing = (times > step.toe_off) & (times < after.touchdown)
        if swing.any():
            # The clearance is found on the whole swing, whatever part of it is seen.
            whole = np.linspace(0, 1, 41)
            u = (times[swing] - step.toe_off) / (after.touchdown - step.toe_off)
            tracks = _swing(foot, step, after, surface, whole)
            for target, track in zip((ankle, yaw, pitch, toe), tracks, strict=True):
                flat = track.reshape(len(whole), -1)
                values = np.stack([_cubic(whole, flat[:, k], u) for k in range(flat.shape[1])], -1)
                target[swing] = values.reshape(len(u), *track.shape[1:])
    return ankle, yaw, pitch, toe, down


def _cubic(x: Array, y: Array, at: Array) -> Array:
    """Catmull-Rom interpolation of evenly spaced samples."""
    step = x[1] - x[0]
    slope = np.gradient(y)
    k = np.clip(((at - x[0]) / step).astype(int), 0, len(x) - 2)
    t = (at - x[k]) / step
    return (
        (2 * t**3 - 3 * t**2 + 1) * y[k]
        + (t**3 - 2 * t**2 + t) * slope[k]
        + (3 * t**2 - 2 * t**3) * y[k + 1]
        + (t**3 - t**2) * slope[k + 1]
    )


def _bone_frame(bone: Array, hinge: Array) -> Array:
    """Frames (..., 3, 3) with the bone as second column and the hinge, made square to it, as first."""
    y = bone / np.linalg.norm(bone, axis=-1, keepdims=True)
    x = hinge - np.sum(hinge * y, -1, keepdims=True) * y
    x = x / np.linalg.norm(x, axis=-1, keepdims=True)
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def _leg(hip: Array, ankle: Array, forward: Array, rest: Array) -> tuple[Array, Array]:
    """World rotations of thigh and shin (T, 3, 3) that take a leg from hips to ankles (T, 3), knees bending forward.

    ``rest`` (3, 3) holds the rest positions of hip, knee and ankle.
    """
    thigh, shin = rest[1] - rest[0], rest[2] - rest[1]
    a, b = np.linalg.norm(thigh), np.linalg.norm(shin)
    line = ankle - hip
    distance = np.linalg.norm(line, axis=-1, keepdims=True)
    if np.any(distance > a + b):
        raise ValueError(f"a foot is out of reach by {float(np.max(distance) - a - b):.4f} m")
    line = line / distance
    pole = forward - np.sum(forward * line, -1, keepdims=True) * line
    pole = pole / np.linalg.norm(pole, axis=-1, keepdims=True)
    along = (a * a - b * b + distance**2) / (2 * distance)
    knee = hip + along * line + np.sqrt(np.maximum(a * a - along**2, 0.0)) * pole
    hinge = np.cross(pole, line)
    left = np.array([1.0, 0.0, 0.0])
    turned = [
        _bone_frame(bone, hinge) @ _bone_frame(bone_rest, left).T
        for bone, bone_rest in ((knee - hip, thigh), (ankle - knee, shin))
    ]
    return turned[0], turned[1]


def animate(
    body: BodyModel,
    betas: Array,
    steps: list[Footstep],
    surface: Surface,
    times: Array,
    style: Style | None = None,
    seed: int = 0,
) -> Motion:
    """The motion at times (T,) in s, at least two and evenly spaced, of a body that puts its feet as planned.

    ``surface`` gives the height of the ground (...) at points (..., 2).

    Raises:
        ValueError: a foot is out of the legs' reach.
    """
    style = style or Style()
    interval = (times[1] - times[0]) / _OVERSAMPLING
    margin = int(1.2 / interval)
    fine = times[0] + interval * np.arange(-margin, (len(times) - 1) * _OVERSAMPLING + margin + 1)
    per_second = 1.0 / interval
    joints = body.joints(betas)
    feet = [_Foot(body, betas, side) for side in (LEFT, RIGHT)]
    tracks = [
        _foot_track(feet[side], [step for step in steps if step.side == side], surface, fine) for side in (LEFT, RIGHT)
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
    twist = np.radians(style.twist)
    tilt = (
        upright(heading - twist * reach)
        @ turn_x(np.full(len(fine), np.radians(style.lean)))
        @ turn_z(np.radians(3.0) * load)
    )
    hips = [np.einsum("tab,b->ta", tilt, joints[_JOINT[name]] - joints[0]) for name in ("left_hip", "right_hip")]
    chains = [[_JOINT[f"{side}_{part}"] for part in ("hip", "knee", "ankle")] for side in ("left", "right")]
    highest = np.full(len(fine), np.inf)
    for chain, hip, (ankle, *_rest) in zip(chains, hips, tracks, strict=True):
        length = sum(np.linalg.norm(joints[b] - joints[a]) for a, b in pairwise(chain))
        across = np.linalg.norm((ankle - pelvis - hip)[:, :2], axis=-1)
        rise = np.sqrt(np.maximum((_LEG_REACH * length) ** 2 - across**2, 0.0))
        highest = np.minimum(highest, ankle[:, 2] + rise - hip[:, 2])
    pelvis[:, 2] = lower_envelope(highest, int(0.08 * per_second), 0.04 * per_second)

    local = np.broadcast_to(np.eye(3), (len(fine), JOINT_COUNT, 3, 3)).copy()
    local[:, 0] = tilt
    for side, (chain, hip, (ankle, yaw, pitch, toe, _)) in enumerate(zip(chains, hips, tracks, strict=True)):
        between = (yaw + heading) / 2
        ahead = np.stack([np.cos(between), np.sin(between), np.zeros_like(between)], -1)
        thigh, shin = _leg(pelvis + hip, ankle, ahead, joints[chain])
        foot = upright(yaw) @ turn_x(pitch)
        local[:, chain[0]] = np.swapaxes(tilt, -1, -2) @ thigh
        local[:, chain[1]] = np.swapaxes(thigh, -1, -2) @ shin
        local[:, chain[2]] = np.swapaxes(shin, -1, -2) @ foot
        local[:, _JOINT[("left_foot", "right_foot")[side]]] = turn_x(-toe)
    _upper_body(local, reach, load, style, np.random.default_rng([seed, 5]), fine)

    chosen = slice(margin, len(fine) - margin, _OVERSAMPLING)
    trans = (pelvis - joints[0])[chosen]
    poses = axis_angle_from_matrix(local[chosen])
    placed = forward_kinematics(local[chosen], joints, body.parents)[1] + trans[:, None]
    contact = np.zeros((len(times), len(CONTACT_REGIONS)), np.float32)
    for side, name in enumerate(("left", "right")):
        ankle, yaw, pitch, toe, _ = (values[chosen] for values in tracks[side])
        locked = _locked(feet[side], [step for step in steps if step.side == side], ankle, yaw, pitch, toe, times)
        for part, region in enumerate((f"{name}_heel", f"{name}_ball")):
            contact[:, CONTACT_REGIONS.index(region)] = locked[:, part]
    return Motion(betas, poses.reshape(len(times), -1), trans, contact, placed)


def _locked(
    foot: _Foot, steps: list[Footstep], ankle: Array, yaw: Array, pitch: Array, toe: Array, times: Array
) -> Array:
    """Whether heel and ball (T, 2) are where they stand still during a footstep."""
    locked = np.zeros((len(times), 2), bool)
    for step in steps:
        still = foot.flat_ankle(step) + foot.posed(step.yaw, 0.0, 0.0)
        for k in np.flatnonzero((times >= step.touchdown) & (times <= step.toe_off)):
            sole = ankle[k] + foot.posed(yaw[k], pitch[k], toe[k])
            for part, vertex in enumerate((foot.heel, foot.ball)):
                locked[k, part] = np.linalg.norm(sole[vertex] - still[vertex]) < LOCK
    return locked


def _upper_body(local: Array, reach: Array, load: Array, style: Style, rng: np.random.Generator, times: Array) -> None:
    """Rotations of spine, head and arms, written into ``local`` (T, 24, 3, 3)."""
    twist, lean = np.radians(style.twist), np.radians(style.lean)
    life = np.radians(style.life) * _drift(rng, times, 12)
    # The spine turns against the pelvis, so that the shoulders swing a little the other way, and takes back its roll.
    for part, name in enumerate(("spine1", "spine2", "spine3")):
        back = turn_y(0.5 * twist * reach + 0.3 * life[:, part])
        local[:, _JOINT[name]] = back @ turn_z(-np.radians(1.0) * load) @ turn_x(0.2 * life[:, 3 + part])
    local[:, _JOINT["neck"]] = turn_y(-0.25 * twist * reach + life[:, 6]) @ turn_x(-0.5 * lean + 0.5 * life[:, 7])
    local[:, _JOINT["head"]] = turn_y(-0.25 * twist * reach + life[:, 8]) @ turn_x(-0.3 * lean + life[:, 9])
    swing, hang = np.radians(style.arm_swing), np.radians(style.arm_hang)
    for sign, side, wander in ((1.0, "left", life[:, 10]), (-1.0, "right", life[:, 11])):
        # The left arm is forward while the right leg is.
        forward = -sign * reach
        local[:, _JOINT[f"{side}_collar"]] = turn_z(np.full(len(times), -sign * np.radians(4.0)))
        angle = swing * (forward + 0.15) + wander
        hanging = turn_z(np.full(len(times), -sign * (hang - np.radians(4.0))))
        local[:, _JOINT[f"{side}_shoulder"]] = turn_x(-angle) @ hanging
        bend = np.radians(style.elbow) * (1.0 + 0.9 * np.maximum(forward, 0.0))
        local[:, _JOINT[f"{side}_elbow"]] = turn_y(-sign * bend)
        local[:, _JOINT[f"{side}_wrist"]] = turn_z(sign * 2.0 * wander)


def _drift(rng: np.random.Generator, times: Array, channels: int) -> Array:
    """Slow noise (T, channels) of unit root mean square."""
    rate = 2 * np.pi * rng.uniform(0.15, 0.6, (3, channels))
    phase = rng.uniform(0, 2 * np.pi, (3, channels))
    return np.sqrt(2 / 3) * np.sin(rate * times[:, None, None] + phase).sum(axis=1)
