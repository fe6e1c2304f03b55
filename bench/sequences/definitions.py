"""The sequences of the benchmark as parameters. World of the yard: metres, +Y away from most cameras, Z up."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bench.sample.camera_path import CameraSettings, Shake
from bench.sample.footsteps import RIGHT, RUN, WalkSettings
from bench.sample.motion import Style
from bench.sample.posture import Crouch, Posture, Sit, Touch
from bench.sample.shots import JumpSettings, PersonSettings, Shot, StandSettings
from bench.sample.yard import Block, YardSettings, stairs

#: A foot that touches is this near to where it stands still, in metres: it moves less than 0.1 mm between any frames.
LOCK = 0.00004

_UP, _DOWN = np.pi / 2, 3 * np.pi / 2


@dataclass(frozen=True)
class Sequence:
    """A shot, what it is for, and the frame in whose middle its small version is taken."""

    shot: Shot
    about: str
    highlight: int


def small(sequence: Sequence, frames: int = 12, long_side: int = 320) -> Shot:
    """A short part of the sequence, in small pictures."""
    shot = sequence.shot
    factor = long_side / max(shot.width, shot.height)
    return replace(
        shot,
        first=int(np.clip(sequence.highlight - frames // 2, 0, shot.frames - frames)),
        frames=frames,
        timeline=shot.frames,
        width=2 * round(shot.width * factor / 2),
        height=2 * round(shot.height * factor / 2),
    )


def _circle(
    centre: tuple[float, float], radius: float, start: float, sweep: float, count: int
) -> tuple[tuple[float, float], ...]:
    """Points on an arc; a whole turn ends exactly where it starts. Angles in radians from +X."""
    angles = start + np.linspace(0.0, sweep, count)
    points = [(float(centre[0] + radius * np.cos(a)), float(centre[1] + radius * np.sin(a))) for a in angles]
    if np.isclose(abs(sweep), 2 * np.pi):
        points[-1] = points[0]
    return tuple(points)


def _at(points: tuple[tuple[float, float], ...], height: float) -> tuple[tuple[float, float, float], ...]:
    return tuple((x, y, height) for x, y in points)


def _jump(at: tuple[float, float], distance: float, take_off: float, flight: float) -> JumpSettings:
    return JumpSettings(at, 0.0, distance, take_off, flight)


def _absorb(jump: JumpSettings) -> tuple[Crouch, Crouch]:
    """Bent knees before and after a jump."""
    landing = jump.take_off + jump.flight
    return Crouch(jump.take_off - 0.20, 0.17, 0.45, 0.20), Crouch(landing + 0.14, 0.15, 0.16, 0.45)


_STAIRS = YardSettings(blocks=stairs((-2.1, 2.6), tread=0.36, rise=0.16, count=4, width=1.6, landing=1.08))
_BENCH = YardSettings(blocks=(Block((-0.9, 3.32, 0.0), (1.8, 0.45, 0.43), "planks"),))
_WALL = YardSettings(blocks=(Block((-1.6, 4.0, 0.0), (3.4, 0.3, 2.3), "brick"),))
_JUMPS = (_jump((2.4, 3.4), 0.0, 4.3, 0.44), _jump((2.4, 3.4), 0.6, 5.8, 0.40))
_LOOP = _circle((0.0, 0.5), 5.3, -_UP, 2 * np.pi, 33)

_ALL = (
    Sequence(
        Shot(
            "straight",
            (PersonSettings(1.78, WalkSettings(((-3.6, 3.2), (4.2, 3.2)), speed=1.2, start=-0.9), (0.4, -0.5)),),
            CameraSettings(positions=((-2.0, -1.5, 1.6), (0.2, -1.4, 1.6), (2.2, -1.2, 1.6))),
            place=YardSettings(),
            frames=150,
        ),
        "one person walks straight on; the camera walks beside",
        60,
    ),
    Sequence(
        Shot(
            "curve",
            (
                PersonSettings(
                    1.68,
                    WalkSettings(
                        ((-3.0, 4.8), (-1.6, 3.0), (0.4, 3.2), (1.4, 5.0), (3.2, 5.2), (4.0, 2.6)),
                        speed=1.15,
                        step=0.6,
                        start=-0.8,
                        corner=0.5,
                        first=RIGHT,
                    ),
                    (-0.5, 0.6),
                    outfit="red",
                ),
            ),
            CameraSettings(
                positions=((-1.8, -1.2, 1.55), (-0.4, -0.6, 1.6), (1.4, -0.8, 1.6)),
                shake=Shake(0.02, 0.8, 1.8),
                aim_offset=(0.0, 0.0, -0.15),
            ),
            place=YardSettings(seed=7),
            frames=180,
        ),
        "a winding walk; the hand that holds the camera shakes",
        90,
    ),
    Sequence(
        Shot(
            "stairs",
            (
                PersonSettings(
                    1.75,
                    WalkSettings(((-3.0, 3.4), (3.2, 3.4)), speed=0.66, step=0.36, start=-0.5),
                    outfit="green",
                    style=Style(arm_swing=14.0),
                ),
            ),
            CameraSettings(positions=((-2.0, -1.6, 1.6), (0.0, -1.7, 1.7), (1.8, -1.4, 1.65)), aim_offset=(0, 0, -0.3)),
            place=_STAIRS,
            frames=270,
        ),
        "five steps up, a landing, and down again",
        55,
    ),
    Sequence(
        Shot(
            "bench",
            (
                PersonSettings(
                    1.74,
                    (
                        WalkSettings(((0.4, 0.7), (0.0, 1.7), (0.0, 3.05)), speed=1.1, step=0.58, start=-0.9),
                        StandSettings((0.0, 3.05), _UP, (_UP + 1.05, _UP + 2.1, _DOWN), 2.2, 0.42),
                        WalkSettings(
                            ((0.0, 3.05), (-0.1, 1.8), (-1.8, 0.6)), speed=1.1, step=0.55, start=8.2, from_standing=True
                        ),
                    ),
                    (0.2, 0.5),
                    outfit="blue",
                    posture=Posture(sits=(Sit((0.0, 3.44), 0.43, (4.6, 5.8), (6.9, 8.0)),)),
                ),
            ),
            CameraSettings(
                positions=((-2.4, -2.2, 1.6), (-1.6, -1.9, 1.55), (-0.6, -2.0, 1.6)), aim_offset=(0, 0, -0.1)
            ),
            place=_BENCH,
            frames=285,
        ),
        "somebody turns, sits down on a bench, rises and leaves",
        180,
    ),
    Sequence(
        Shot(
            "wall",
            (
                PersonSettings(
                    1.80,
                    (
                        WalkSettings(((-3.0, 1.4), (-0.5, 1.9), (0.0, 3.5)), speed=1.2, step=0.6, start=-0.9),
                        StandSettings((0.0, 3.5), _UP, (_UP - 0.8, _UP - 1.6), 6.8, 0.5),
                    ),
                    outfit="yellow",
                    posture=Posture(touches=(Touch(RIGHT, (0.30, 4.0, 1.42), (0, -1, 0), (2.9, 3.8), (5.4, 6.1)),)),
                ),
            ),
            CameraSettings(positions=((3.0, -1.2, 1.6), (3.4, 0.4, 1.6), (3.4, 1.4, 1.55)), aim_seconds=0.6),
            place=_WALL,
            frames=240,
        ),
        "a hand leans on a wall",
        135,
    ),
    Sequence(
        Shot(
            "crossing",
            (
                PersonSettings(1.82, WalkSettings(((-3.4, 2.7), (4.0, 3.0)), speed=1.2, start=-0.9), outfit="blue"),
                PersonSettings(
                    1.64,
                    WalkSettings(((3.0, 4.1), (-4.0, 3.7)), speed=1.1, step=0.58, start=-0.7, first=RIGHT),
                    (-0.6, 0.4),
                    Style(arm_swing=17.0),
                    "red",
                ),
            ),
            CameraSettings(positions=((-0.8, -2.4, 1.6), (0.2, -2.2, 1.6), (1.0, -1.9, 1.6)), focal=0.8),
            place=YardSettings(seed=8),
            frames=150,
        ),
        "two people cross; one hides the other",
        68,
    ),
    Sequence(
        Shot(
            "run_jump",
            (
                PersonSettings(
                    1.77,
                    (
                        WalkSettings(((-6.4, 3.4), (2.4, 3.4)), speed=2.6, step=0.92, start=-0.6, gait=RUN),
                        *_JUMPS,
                    ),
                    outfit="green",
                    style=Style(arm_swing=34.0, elbow=62.0, lean=8.0, twist=9.0),
                    posture=Posture(crouches=tuple(c for jump in _JUMPS for c in _absorb(jump)), drop=0.03),
                ),
            ),
            CameraSettings(
                positions=((-3.4, -2.0, 1.6), (0.0, -1.9, 1.6), (1.6, -1.8, 1.6), (2.2, -1.7, 1.6)),
                aim_seconds=0.4,
                focal=0.8,
            ),
            place=YardSettings(seed=9),
            frames=210,
        ),
        "a run, a jump on the spot and a jump forward: nothing touches in between",
        135,
    ),
    Sequence(
        Shot(
            "tripod",
            (
                PersonSettings(
                    1.72,
                    WalkSettings(((-2.8, 6.0), (0.2, 4.6), (1.6, 2.6)), speed=1.15, step=0.6, start=-0.9),
                    outfit="red",
                ),
            ),
            CameraSettings("tripod", ((0.3, -1.8, 1.6),), shake=None),
            camera_kind="static",
            place=YardSettings(seed=10),
            frames=150,
        ),
        "the camera stands still",
        60,
    ),
    Sequence(
        Shot(
            "orbit",
            (
                PersonSettings(
                    1.76,
                    WalkSettings(_circle((0.0, 1.0), 0.9, 0.0, 6.0, 25), speed=0.95, step=0.5, start=-0.8),
                    outfit="blue",
                ),
            ),
            CameraSettings("orbit", ((0.4, -3.4, 1.6),), sweep_degrees=130.0, shake=Shake(0.005, 0.2)),
            place=YardSettings(seed=11),
            frames=150,
        ),
        "the camera goes round somebody who walks in a circle",
        75,
    ),
    Sequence(
        Shot(
            "return",
            (
                PersonSettings(
                    1.79, WalkSettings(_LOOP, speed=1.17, step=0.64, start=0.4, from_standing=True), outfit="yellow"
                ),
            ),
            CameraSettings(positions=_at(_circle((0.0, 0.5), 1.7, -_UP, 2 * np.pi, 33), 1.6), rounding=0.03, focal=0.8),
            place=YardSettings(seed=12),
            frames=900,
        ),
        "a round of 33 m; person and camera end where they began",
        450,
    ),
    Sequence(
        Shot(
            "portrait",
            (
                PersonSettings(
                    1.70,
                    WalkSettings(((-1.6, 6.2), (-0.6, 4.6), (0.8, 2.4)), speed=1.0, step=0.56, start=-0.9),
                    outfit="red",
                ),
            ),
            CameraSettings(
                positions=((-1.2, -1.8, 1.5), (-0.2, -1.9, 1.5), (0.8, -2.2, 1.55)),
                focal=1.35,
                aim_offset=(0, 0, 0),
            ),
            place=YardSettings(seed=13),
            frames=300,
            fps=60,
            width=540,
            height=960,
        ),
        "an upright picture at 60 frames per second",
        150,
    ),
    Sequence(
        Shot(
            "zoom",
            (
                PersonSettings(
                    1.81,
                    WalkSettings(((-2.4, 3.6), (0.2, 4.6), (3.0, 5.4)), speed=1.1, step=0.6, start=-0.9),
                    outfit="green",
                ),
            ),
            CameraSettings(
                positions=((-1.6, -1.8, 1.6), (-0.4, -1.7, 1.6), (1.0, -1.4, 1.6)), focal=0.75, focal_end=1.25
            ),
            place=YardSettings(seed=14),
            frames=150,
        ),
        "the lens zooms in",
        75,
    ),
)


def _exact(shot: Shot) -> Shot:
    """With contacts that agree with the geometry to fractions of a millimetre."""
    people = tuple(replace(person, style=replace(person.style, press=True)) for person in shot.people)
    return replace(shot, people=people, lock=LOCK)


#: The sequences by name, in the order of the tables.
SEQUENCES: dict[str, Sequence] = {
    sequence.shot.name: replace(sequence, shot=_exact(sequence.shot)) for sequence in _ALL
}
