"""What a body does besides walking: it crouches, sits down and rises, puts a hand on something. Seconds, metres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .curves import ease

Array = NDArray[Any]


@dataclass(frozen=True)
class Crouch:
    """The pelvis is ``depth`` lower at ``time`` than the legs would let it be; it takes ``before`` s to get there and
    ``after`` s to come up again."""

    time: float
    depth: float
    before: float = 0.35
    after: float = 0.30


@dataclass(frozen=True)
class Sit:
    """The pelvis goes over ``place`` (x, y) between the two times of ``down`` and stays until ``rise``, the seat on a
    surface at ``height``; the trunk leans forward by ``lean`` degrees on the way down and up."""

    place: tuple[float, float]
    height: float
    down: tuple[float, float]
    rise: tuple[float, float]
    lean: float = 34.0


@dataclass(frozen=True)
class Touch:
    """A palm lies flat on a plane through ``point`` with the outward ``normal``, fingers towards ``fingers``, between
    the end of ``reach`` and the start of ``release``; the trunk leans forward by ``lean`` degrees meanwhile."""

    side: int
    point: tuple[float, float, float]
    normal: tuple[float, float, float]
    reach: tuple[float, float]
    release: tuple[float, float]
    fingers: tuple[float, float, float] = (0.0, 0.0, 1.0)
    lean: float = 8.0


@dataclass(frozen=True)
class Posture:
    """Everything that a person does besides putting feet down; ``drop`` metres of bent knees throughout."""

    sits: tuple[Sit, ...] = ()
    touches: tuple[Touch, ...] = ()
    crouches: tuple[Crouch, ...] = ()
    drop: float = 0.0

    def lowered(self, times: Array) -> Array:
        """By how much (T,) the pelvis is lower."""
        total = np.full(len(times), self.drop)
        for crouch in self.crouches:
            u = (times - crouch.time) / np.where(times < crouch.time, crouch.before, crouch.after)
            total += crouch.depth * np.where(np.abs(u) < 1, np.cos(0.5 * np.pi * np.clip(u, -1, 1)) ** 2, 0.0)
        return total

    def leaning(self, times: Array) -> Array:
        """Forward lean of the trunk (T,) in radians, beyond the style's."""
        total = np.zeros(len(times))
        for crouch in self.crouches:
            u = (times - crouch.time) / np.where(times < crouch.time, crouch.before, crouch.after)
            total += np.radians(90.0) * crouch.depth * np.where(np.abs(u) < 1, np.cos(0.5 * np.pi * u) ** 2, 0.0)
        for sit in self.sits:
            total += np.radians(sit.lean) * (_bump(times, *sit.down) + _bump(times, *sit.rise))
        for touch in self.touches:
            total += np.radians(touch.lean) * held(times, touch.reach, touch.release)
        return total


def held(times: Array, begin: tuple[float, float], end: tuple[float, float]) -> Array:
    """0 to 1 over ``begin``, exactly 1 until ``end`` starts, back to 0 over ``end`` (T,)."""
    return ease(times, *begin) - ease(times, *end)


def _bump(times: Array, start: float, end: float) -> Array:
    """0 outside and 1 in the middle of an interval (T,)."""
    u = np.clip((times - start) / (end - start), 0.0, 1.0)
    return 64 * (u * (1 - u)) ** 3
