"""Shots: who walks where, in which place, filmed how. A shot is a plain dataclass; `compose` makes its numbers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from josh_blender.scene4d.body import BodyModel

from .camera_path import CameraSettings, Shake, camera_path, intrinsics
from .footsteps import RIGHT, Footstep, WalkSettings, join, jump, stand, turn_in_place, walk
from .motion import LOCK, Motion, Style, animate, betas_of_height
from .place import CourtyardSettings, Place, courtyard
from .posture import Posture
from .yard import YardSettings, yard

Array = NDArray[Any]


@dataclass(frozen=True)
class StandSettings:
    """Standing at ``position`` facing ``yaw`` (radians from +X), turning through ``turns`` from ``start`` s on, a step
    every ``period`` s."""

    position: tuple[float, float]
    yaw: float = 0.0
    turns: tuple[float, ...] = ()
    start: float = 0.5
    period: float = 0.6


@dataclass(frozen=True)
class JumpSettings:
    """A jump from standing at ``position``, facing ``yaw``, over ``distance`` metres; ``flight`` s in the air."""

    position: tuple[float, float]
    yaw: float
    distance: float
    take_off: float
    flight: float


Action = WalkSettings | StandSettings | JumpSettings


@dataclass(frozen=True)
class PersonSettings:
    """One person: height in metres, the other betas, what the feet do, in order, what the rest of the body does
    besides, and the clothes (a name of `clothes.OUTFITS`)."""

    height: float
    action: Action | tuple[Action, ...]
    shape: tuple[float, ...] = ()
    style: Style = field(default_factory=Style)
    outfit: str = "blue"
    posture: Posture = field(default_factory=Posture)


@dataclass(frozen=True)
class Shot:
    """Everything that a rendered sequence depends on.

    ``frames`` frames are taken from frame ``first`` on of a timeline of ``timeline`` frames (as many by default): a
    part of a shot shows the same movement as the whole. ``lock`` in metres says when a foot touches (`motion`).
    """

    name: str
    people: tuple[PersonSettings, ...]
    camera: CameraSettings
    camera_kind: str = "moving"
    place: CourtyardSettings | YardSettings = field(default_factory=CourtyardSettings)
    frames: int = 120
    fps: int = 30
    width: int = 960
    height: int = 540
    seed: int = 1
    first: int = 0
    timeline: int | None = None
    lock: float = LOCK


@dataclass(frozen=True)
class Composition:
    """A shot in numbers, in the axes of its place: world_from_camera (F,4,4), intrinsics (F,4), one motion a person."""

    place: Place
    people: list[Motion]
    world_from_camera: Array
    intrinsics: Array


def _footsteps(action: Action | tuple[Action, ...], place: Place) -> list[Footstep]:
    if isinstance(action, tuple):
        return reduce(join, (_footsteps(part, place) for part in action))
    if isinstance(action, WalkSettings):
        return walk(action, place.height)
    if isinstance(action, JumpSettings):
        return jump(action.position, action.yaw, action.distance, action.take_off, action.flight, place.height)
    if action.turns:
        return turn_in_place(action.position, (action.yaw, *action.turns), action.start, place.height, action.period)
    return stand(action.position, action.yaw, place.height)


def compose(shot: Shot, body: BodyModel) -> Composition:
    """The numbers of a shot; the same shot always gives the same numbers.

    Raises:
        ValueError: the people cannot do what is asked of them.
    """
    place = courtyard(shot.place) if isinstance(shot.place, CourtyardSettings) else yard(shot.place)
    # A movement needs two frames to have a rate; one of them may be shown.
    times = np.arange(max(shot.timeline or shot.frames, 2)) / shot.fps
    people = [
        animate(
            body,
            betas_of_height(body, person.height, person.shape),
            _footsteps(person.action, place),
            place.height,
            times,
            person.style,
            shot.seed + number,
            person.posture,
            shot.lock,
        )
        for number, person in enumerate(shot.people)
    ]
    centre = np.mean([motion.joints[:, 0] for motion in people], axis=0)
    camera = camera_path(shot.camera, centre, shot.fps, shot.seed)
    lens = intrinsics(shot.camera, shot.width, shot.height, len(times))
    seen = slice(shot.first, shot.first + shot.frames)
    return Composition(place, [_part(motion, seen) for motion in people], camera[seen], lens[seen])


def _part(motion: Motion, frames: slice) -> Motion:
    return replace(
        motion, poses=motion.poses[frames], trans=motion.trans[frames], contact=motion.contact[frames],
        joints=motion.joints[frames],
    )  # fmt: skip


_MAIN = PersonSettings(
    1.80,
    WalkSettings(((-3.3, 7.0), (-2.3, 5.9), (1.5, 5.9), (2.3, 6.8), (2.5, 9.5)), speed=1.2, step=0.63, start=-0.9),
    (0.6, -0.8, 0.5),
    outfit="blue",
)
_SECOND = PersonSettings(
    1.66,
    WalkSettings(((1.2, 10.6), (2.9, 8.6), (4.6, 5.2), (4.4, 2.0)), speed=1.05, step=0.55, start=-0.8, first=RIGHT),
    (-0.7, 0.6, -0.4),
    Style(arm_swing=19.0, twist=7.0, life=1.6),
    "red",
)

SHOTS: dict[str, Shot] = {
    "sample": Shot(
        "sample",
        (_MAIN, _SECOND),
        CameraSettings(positions=((0.0, 0.0, 1.6), (0.8, 0.1, 1.62), (2.0, 0.6, 1.55), (3.0, 1.6, 1.6))),
        frames=120,
    ),
    "pan": Shot(
        "pan",
        (
            PersonSettings(
                1.74, WalkSettings(((-3.4, 4.3), (4.5, 4.3)), speed=1.5, step=0.72, start=-0.9), outfit="green"
            ),
        ),
        CameraSettings("pan", ((0.0, -0.6, 1.55),), shake=Shake(0.0, 0.12), aim_seconds=0.3),
        camera_kind="pan",
        frames=60,
    ),
    "static": Shot(
        "static",
        (
            PersonSettings(
                1.80, WalkSettings(((2.6, 9.4), (2.0, 3.9), (1.4, 2.2)), speed=1.3, start=-0.9), outfit="blue"
            ),
        ),
        CameraSettings("tripod", ((0.0, -1.4, 1.7),), shake=None),
        camera_kind="static",
        frames=60,
    ),
    "couple": Shot(
        "couple",
        (
            PersonSettings(1.80, WalkSettings(((-2.6, 8.15), (3.6, 8.05)), speed=1.15, start=-0.9), outfit="blue"),
            PersonSettings(
                1.66,
                WalkSettings(((-2.5, 7.6), (3.7, 7.5)), speed=1.15, step=0.61, start=-0.7, first=RIGHT),
                style=Style(arm_swing=15.0),
                outfit="red",
            ),
            PersonSettings(1.74, WalkSettings(((3.4, 4.3), (-3.0, 4.2)), speed=1.3, start=-0.9), outfit="green"),
            PersonSettings(1.70, StandSettings((-3.4, 9.6), -1.2, (-0.2, 0.8), 0.6), (0.4, 0.8), outfit="yellow"),
        ),
        CameraSettings(
            positions=((0.0, 0.0, 1.6), (0.4, 0.4, 1.6), (1.4, 1.0, 1.6)), aim_offset=(0.0, 0.6, -0.2), focal=0.85
        ),
        frames=90,
    ),
}
