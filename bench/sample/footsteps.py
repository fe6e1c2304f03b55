"""Where and when feet are put down: a plan of footsteps along a path, over whatever the ground is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .curves import gaussian_smooth

Array = NDArray[Any]
Surface = Callable[[Array], Array]

LEFT, RIGHT = 0, 1
#: How far a sole reaches behind, before and beside the ankle, in metres with a margin.
_SOLE_BACK, _SOLE_FRONT, _SOLE_SIDE = 0.09, 0.23, 0.07
_GRAVITY = 9.81


@dataclass(frozen=True)
class Footstep:
    """A foot on the ground: ``ankle`` (x, y) and the sole's height in metres, heading in radians from +X, seconds.

    The heel strikes with the toes up by ``strike`` radians at ``touchdown``; the heel rises from ``heel_off`` on and
    the toes leave at ``toe_off`` with the foot pitched by ``push``. In the swing that follows the ankle rises by
    ``lift`` metres or more and the foot pitches by ``kick`` radians more, toes down.
    """

    side: int
    ankle: tuple[float, float]
    height: float
    yaw: float
    touchdown: float
    heel_off: float
    toe_off: float
    strike: float = 0.0
    push: float = 0.0
    lift: float = 0.0
    kick: float = 0.0


@dataclass(frozen=True)
class Gait:
    """When feet leave, in steps: ``overlap`` after the other came down (negative: flight), the heel ``heel_off``
    earlier. Angles in degrees; ``lift`` in metres as in `Footstep`."""

    overlap: float = 0.24
    heel_off: float = 0.58
    strike: float = 17.0
    lift: float = 0.0
    kick: float = 0.0


#: Running lands on the flat foot and is in the air for a third of each step.
RUN = Gait(overlap=-0.34, heel_off=0.42, strike=0.0, lift=0.20, kick=35.0)


@dataclass(frozen=True)
class WalkSettings:
    """Walking along ``path`` (P points, metres), rounded with ``corner`` metres, at ``speed`` m/s.

    ``start`` is the time of the first footfall in s; the person stands before it and after the last. ``width`` is the
    distance between the lines of the two ankles; ``step`` the length of a step in metres. With ``from_standing`` the
    first step is made to be seen; without, the walk begins out of sight and its first two feet just lie there.
    """

    path: tuple[tuple[float, float], ...]
    speed: float = 1.15
    step: float = 0.64
    start: float = 0.0
    width: float = 0.19
    toe_out: float = 0.10
    corner: float = 0.35
    first: int = LEFT
    gait: Gait = Gait()
    from_standing: bool = False


def smooth_path(points: ArrayLike, corner: float, spacing: float = 0.01) -> tuple[Array, Array, Array]:
    """A polyline with rounded corners: arc length (N,), positions (N, 2), headings (N,) in radians."""
    corners = np.asarray(points, float)
    lengths = np.linalg.norm(np.diff(corners, axis=0), axis=-1)
    s = np.concatenate([[0.0], np.cumsum(lengths)])
    dense = np.linspace(0.0, s[-1], max(3, int(s[-1] / spacing) + 1))
    raw = np.stack([np.interp(dense, s, corners[:, k]) for k in range(2)], axis=-1)
    rounded = gaussian_smooth(raw, corner / spacing)
    steps = np.diff(rounded, axis=0)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(steps, axis=-1))])
    heading = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    return length, rounded, np.append(heading, heading[-1])


def sole_points(ankle: ArrayLike, yaw: float) -> Array:
    """A grid of points (N, 2) under a foot."""
    along = np.linspace(-_SOLE_BACK, _SOLE_FRONT, 9)
    across = np.linspace(-_SOLE_SIDE, _SOLE_SIDE, 3)
    forward = np.array([np.cos(yaw), np.sin(yaw)])
    left = np.array([-forward[1], forward[0]])
    grid = along[:, None, None] * forward + across[:, None] * left
    return grid.reshape(-1, 2) + np.asarray(ankle, float)


def _is_level(ankle: Array, yaw: float, surface: Surface) -> bool:
    heights = surface(sole_points(ankle, yaw))
    return bool(np.ptp(heights) < 1e-6)


def walk(settings: WalkSettings, surface: Surface) -> list[Footstep]:
    """Footsteps along a path; each is moved along it, as little as possible, so that the whole sole finds level ground.

    Raises:
        ValueError: no level ground within reach of a step.
    """
    length, points, heading = smooth_path(settings.path, settings.corner)
    period, gait = settings.step / settings.speed, settings.gait

    def place(s: float, side: int) -> tuple[Array, float]:
        at = np.array([np.interp(s, length, points[:, k]) for k in range(2)])
        yaw = float(np.interp(s, length, heading))
        sign = 1.0 if side == LEFT else -1.0
        return at + sign * settings.width / 2 * np.array([-np.sin(yaw), np.cos(yaw)]), yaw + sign * settings.toe_out

    second = 1 - settings.first
    spots: list[tuple[int, float]] = [(second, 0.0), (settings.first, 0.0)]
    end = float(length[-1])
    position, side = 0.0, settings.first
    while position < end - 1e-6:
        wanted = min(position + settings.step, end)
        if end - wanted < 0.4 * settings.step:
            wanted = end
        for shift in sorted(np.arange(-0.40, 0.07, 0.01), key=abs):
            s = float(np.clip(wanted + shift, position + 0.25 * settings.step, end))
            if _is_level(*place(s, side), surface):
                break
        else:
            raise ValueError(f"no level ground for a foot {wanted:.2f} m along the path")
        spots.append((side, s))
        position, side = s, 1 - side
    spots.append((side, position))

    planned: list[Footstep] = []
    for number, (side, s) in enumerate(spots):
        ankle, yaw = place(s, side)
        height = float(surface(ankle))
        stays = number >= len(spots) - 2
        index = number - 2
        touchdown = settings.start + index * period if index >= 0 else -np.inf
        # A foot leaves after the next has come down and taken the weight; the first to step has left before that.
        waits = number == (0 if settings.from_standing else 1)
        leaves = settings.start + (index + 1.0 + gait.overlap if index >= 0 else gait.overlap - (not waits)) * period
        climb = height - float(surface(place(spots[number - 1][1], spots[number - 1][0])[0])) if number else 0.0
        reach = s - spots[number - 1][1] if number > 1 else 0.0
        strike = np.radians(gait.strike) * np.clip(reach / 0.65, 0, 1.2) * (0.25 if abs(climb) > 0.02 else 1.0)
        ahead = spots[min(number + 1, len(spots) - 1)][1] - s
        push = np.radians(12.0 + 24.0 * np.clip(ahead / 0.65, 0, 1.2))
        planned.append(
            Footstep(
                side=side,
                ankle=(float(ankle[0]), float(ankle[1])),
                height=height,
                yaw=yaw,
                touchdown=touchdown,
                heel_off=np.inf if stays else leaves - gait.heel_off * period,
                toe_off=np.inf if stays else leaves,
                strike=float(strike) if index >= 0 else 0.0,
                push=float(push),
                lift=gait.lift,
                kick=float(np.radians(gait.kick)),
            )
        )
    return planned


def stand(position: tuple[float, float], yaw: float, surface: Surface, width: float = 0.22) -> list[Footstep]:
    """Both feet on the ground for ever."""
    left = np.array([-np.sin(yaw), np.cos(yaw)])
    steps = []
    for side, sign in ((LEFT, 1.0), (RIGHT, -1.0)):
        ankle = np.asarray(position) + sign * width / 2 * left
        steps.append(
            Footstep(
                side, (float(ankle[0]), float(ankle[1])), float(surface(ankle)), yaw + sign * 0.15,
                -np.inf, np.inf, np.inf,
            )
        )  # fmt: skip
    return steps


def turn_in_place(
    position: tuple[float, float], yaws: ArrayLike, start: float, surface: Surface, period: float = 0.6
) -> list[Footstep]:
    """Turning on the spot through headings (N,), both feet stepping once for each."""
    headings = np.asarray(yaws, float)
    width = 0.22
    steps: list[Footstep] = []
    for number, yaw in enumerate(headings):
        left = np.array([-np.sin(yaw), np.cos(yaw)])
        for side, sign in ((LEFT, 1.0), (RIGHT, -1.0)):
            ankle = np.asarray(position) + sign * width / 2 * left
            lands = start + (2 * number - 2 + side) * period
            leaves = np.inf if number == len(headings) - 1 else start + (2 * number + side - 0.7) * period
            steps.append(
                Footstep(
                    side, (float(ankle[0]), float(ankle[1])), float(surface(ankle)), float(yaw) + sign * 0.12,
                    lands if number else -np.inf, leaves - 0.3 * period, leaves, 0.0, np.radians(14.0),
                )
            )  # fmt: skip
    return steps


def jump(
    position: tuple[float, float], yaw: float, distance: float, take_off: float, flight: float, surface: Surface
) -> list[Footstep]:
    """From standing, both feet leave at ``take_off`` s and land ``flight`` s later, ``distance`` metres ahead.

    The feet rise as high as a body in free fall does in that time: g flight^2 / 8.
    """
    ahead = np.array([np.cos(yaw), np.sin(yaw)])
    landing = np.asarray(position) + distance * ahead
    before = stand(position, yaw, surface)
    after = stand((float(landing[0]), float(landing[1])), yaw, surface)
    rise = _GRAVITY * flight**2 / 8
    return [
        *(
            replace(foot, heel_off=take_off - 0.16, toe_off=take_off, push=np.radians(38.0), lift=rise)
            for foot in before
        ),
        *(replace(foot, touchdown=take_off + flight) for foot in after),
    ]


def join(first: list[Footstep], second: list[Footstep]) -> list[Footstep]:
    """One plan after another; the feet stay where the first plan left them until the second one lifts them.

    Raises:
        ValueError: the second plan starts elsewhere or too early.
    """
    result = list(first)
    for side in (LEFT, RIGHT):
        last = max(index for index, step in enumerate(result) if step.side == side)
        begin, *rest = (step for step in second if step.side == side)
        # Headings that differ by whole turns are the same; nobody turns round because of it.
        turns = 2 * np.pi * round((result[last].yaw - begin.yaw) / (2 * np.pi))
        gap = float(np.hypot(begin.ankle[0] - result[last].ankle[0], begin.ankle[1] - result[last].ankle[1]))
        if gap > 0.08 or begin.heel_off < result[last].touchdown:
            raise ValueError(f"a plan of footsteps starts {gap:.2f} m or {begin.heel_off:.2f} s away from its place")
        result[last] = replace(
            result[last], heel_off=begin.heel_off, toe_off=begin.toe_off, push=begin.push, lift=begin.lift,
            kick=begin.kick,
        )  # fmt: skip
        result += [replace(step, yaw=step.yaw + turns) for step in rest]
    return result
