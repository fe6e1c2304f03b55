"""Evidence for contact from the motion of region points, and the labels it gives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.conventions import CONTACT_REGIONS, JOINT_NAMES
from ..solver.region_points import FOOT_REGIONS
from .chain import smooth
from .settings import LabelSettings

Array = NDArray[Any]

_MOST_EVIDENCE = 4.0
_MOST_HEIGHT_EVIDENCE = 1.5
_TINY = 1e-12


def speeds(velocity: Array, view: Array, along_view: float) -> Array:
    """Speeds (T,P) of velocities (T,P,3) with the part along unit view directions (T,P,3) weighted down."""
    along = (velocity * view).sum(-1)
    across = np.maximum((velocity**2).sum(-1) - along**2, 0.0)
    return np.sqrt(across + (along_view * along) ** 2)


def foot_contact(speed: Array, height: Array, confidence: Array, time: Array, settings: LabelSettings) -> Array:
    """Probabilities (T,4) of heels and balls from their speeds (T,4), m/s, heights (T,4), m, and confidence (T,)."""
    evidence = _speed_evidence(speed, settings)
    evidence += _height_evidence(_above_lowest(height, time, settings), settings)
    # A heel that lifts moves slowly at first, but its foot tilts at once.
    evidence -= np.minimum(0.5 * (_above_other_end(height) / settings.level) ** 2, _MOST_EVIDENCE)
    evidence = np.clip(evidence, -_MOST_EVIDENCE, _MOST_EVIDENCE) * np.clip(2.0 * confidence, 0.0, 1.0)[:, None]
    # Neighbouring frames share their noise, so the evidence per second is bounded, not that per frame.
    density = np.minimum(_spacing(time) / settings.memory_s, 1.0)
    # Somebody who does not jump or run is carried by a foot at any time.
    carried = settings.carried * density
    return smooth(evidence * density[:, None], time, settings.touch_rate, settings.leave_rate, carried)


def _speed_evidence(speed: Array, settings: LabelSettings) -> Array:
    """Rayleigh densities in the image plane of a standing and of a swinging point, log ratio.

    Landmarks of a standing foot slip now and then, above all where the other leg passes it: a small wider part.
    """
    standing = (1.0 - settings.slipping) * _rayleigh(speed, settings.still)
    standing += settings.slipping * _rayleigh(speed, settings.slip)
    return np.asarray(np.log(standing + _TINY) - np.log(_rayleigh(speed, settings.moving) + _TINY))


def _rayleigh(speed: Array, sigma: float) -> Array:
    """Rayleigh's density over the speed, which cancels in ratios."""
    return np.asarray(np.exp(-0.5 * (speed / sigma) ** 2) / sigma**2)


def _height_evidence(height: Array, settings: LabelSettings) -> Array:
    """Half-normal heights (m) of a standing and exponential ones of a swinging point, log ratio, in narrow bounds.

    On stairs a standing foot is high above where it stood before, so height alone must not decide.
    """
    ratio = np.log(settings.raised / settings.low) - 0.5 * (height / settings.low) ** 2 + height / settings.raised
    return np.clip(ratio, -_MOST_HEIGHT_EVIDENCE, _MOST_HEIGHT_EVIDENCE)


def _above_other_end(height: Array) -> Array:
    """How far (T,4), m, each end of a foot is above the other end."""
    return np.maximum(height - height[:, [1, 0, 3, 2]], 0.0)


def _above_lowest(height: Array, time: Array, settings: LabelSettings) -> Array:
    near = np.abs(time[:, None] - time[None]) <= 0.5 * settings.height_window_s
    lowest = np.where(near[..., None], height[None], np.inf).min(axis=1)
    return height - lowest


def _spacing(time: Array) -> Array:
    """Seconds (T,) that each frame stands for."""
    if len(time) < 2:
        return np.full(len(time), np.inf)
    return np.gradient(time)


def seat_contact(
    joints: Array, speed: Array, up: Array, confidence: Array, time: Array, settings: LabelSettings
) -> Array:
    """Probability (T,) that the seat carries the body, from world joints (T,24,3) and the pelvis's speed (T,).

    Sitting is claimed only for somebody whose thighs both lie, whose pelvis is still, and for long enough.
    """
    index = {name: JOINT_NAMES.index(name) for name in ("left_hip", "right_hip", "left_knee", "right_knee")}
    lying = []
    for side in ("left", "right"):
        thigh = joints[:, index[f"{side}_knee"]] - joints[:, index[f"{side}_hip"]]
        cosine = -(thigh @ up) / np.maximum(np.linalg.norm(thigh, axis=-1), 1e-9)
        lying.append(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
    bend = np.minimum(*lying)
    evidence = (bend - settings.seat_bend) / 8.0 + 1.0 - 0.5 * (speed / settings.seat_still) ** 2
    evidence = np.clip(evidence, -_MOST_EVIDENCE, _MOST_EVIDENCE) * np.clip(2.0 * confidence, 0.0, 1.0)
    density = np.minimum(_spacing(time) / settings.seat_time, 1.0) * 4.0
    return smooth((evidence * density)[:, None], time, 0.05, 0.5)[:, 0]


def region_columns(feet: Array, seat: Array) -> Array:
    """Labels (T,R) float32 in the order of `CONTACT_REGIONS`; regions without evidence of their own stay 0."""
    contact = np.zeros((len(feet), len(CONTACT_REGIONS)), np.float32)
    for column, name in enumerate(FOOT_REGIONS):
        contact[:, CONTACT_REGIONS.index(name)] = feet[:, column]
    contact[:, CONTACT_REGIONS.index("seat")] = seat
    return contact
