"""The track of a foot over a plan of footsteps: exact locks on the ground, swings that clear it.

World metres, Z up. A foot is rigid but for its toes. It rolls about its heel after touchdown, lies flat, then rolls
about its ball while the toes stay down: its heel and ball vertices stand exactly still while their contact is 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from josh_blender.scene4d.body import BodyModel
from josh_blender.scene4d.conventions import JOINT_NAMES

from .curves import hermite
from .footsteps import Footstep, Surface
from .turns import turn_x, upright

Array = NDArray[Any]

_ROLL_SECONDS = 0.10
_JOINT = {name: number for number, name in enumerate(JOINT_NAMES)}


class Foot:
    """The geometry of one foot of a shaped body, relative to its ankle, in body axes.

    While the heel is up the toes stay level, or ``press`` the ground: skinning lifts level toes by up to 3 mm.
    """

    def __init__(self, body: BodyModel, betas: Array, side: int, press: bool = False) -> None:
        self.press = press
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
        if time < min(step.touchdown + _ROLL_SECONDS, step.heel_off):
            pitch = -step.strike * (1 - (time - step.touchdown) / _ROLL_SECONDS) ** 1.5
            sole = self.posed(step.yaw, pitch, 0.0)
            ankle = flat + rest[self.heel] - sole[self.heel]
            ankle[2] = step.height - sole[:, 2].min()
            return ankle, pitch, 0.0
        if time > step.heel_off:
            pitch = step.push * ((time - step.heel_off) / (step.toe_off - step.heel_off)) ** 1.5
            toe = self._pressed(pitch) if self.press else pitch
            ankle = flat + rest[self.ball] - self.posed(step.yaw, pitch, toe)[self.ball]
            return ankle, pitch, toe
        return flat, 0.0, 0.0

    def _pressed(self, pitch: float) -> float:
        """The toe bend at which the lowest point of the sole is as far below the ball as on the flat foot."""
        wanted = self.vertices[self.ball, 1] - self.vertices[:, 1].min()
        low, high = pitch - 0.2, pitch
        for _ in range(30):
            toe = (low + high) / 2
            heights = self.posed(0.0, pitch, toe)[:, 2]
            if heights[self.ball] - heights.min() > wanted:
                low = toe
            else:
                high = toe
        return high


def _swing(
    foot: Foot, first: Footstep, second: Footstep, surface: Surface, u: Array
) -> tuple[Array, Array, Array, Array]:
    """Ankle (N, 3), yaw, pitch and toe bend (N,) between two footsteps at shares u (N,), clear of the ground."""
    span, tiny = second.touchdown - first.toe_off, 1e-4
    a0, p0, toe0 = foot.stance(first, first.toe_off)
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
    toe = toe + (toe0 - p0) * np.clip(1 - u / 0.2, 0, 1)
    pitch = pitch + first.kick * 16 * u**2 * (1 - u) ** 2
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
            need = max(first.lift, float(np.max((wanted - gap)[inner] / bump[inner])))
            if best is None or need < best[0]:
                best = (need, base + need * bump[:, None] * np.array([0.0, 0.0, 1.0]))
    assert best is not None
    base = best[1]
    return base, yaw, pitch, toe


def foot_track(
    foot: Foot, steps: list[Footstep], surface: Surface, times: Array
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


def locked(
    foot: Foot, steps: list[Footstep], ankle: Array, yaw: Array, pitch: Array, toe: Array, times: Array, lock: float
) -> Array:
    """Whether heel and ball (T, 2) are within ``lock`` metres of where they stand still during a footstep."""
    locked = np.zeros((len(times), 2), bool)
    for step in steps:
        still = foot.flat_ankle(step) + foot.posed(step.yaw, 0.0, 0.0)
        for k in np.flatnonzero((times >= step.touchdown) & (times <= step.toe_off)):
            sole = ankle[k] + foot.posed(yaw[k], pitch[k], toe[k])
            for part, vertex in enumerate((foot.heel, foot.ball)):
                locked[k, part] = np.linalg.norm(sole[vertex] - still[vertex]) < lock
    return locked
