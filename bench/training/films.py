"""Short films of people who walk, turn and stop, for training and for measuring; every one is a seed."""

from __future__ import annotations

from typing import Literal

import numpy as np

from bench.sample.camera_path import CameraSettings, Shake
from bench.sample.footsteps import WalkSettings
from bench.sample.shots import Action, PersonSettings, Shot, StandSettings
from bench.sample.yard import YardSettings

Kind = Literal["walk", "turn", "stop"]
KINDS: tuple[Kind, ...] = ("walk", "turn", "stop")

_OUTFITS = ("blue", "red", "green", "yellow")
# Most of the time of a film goes into the place, so three people share one. Pictures between these would be much alike.
_SECONDS, _FPS, _WIDTH, _HEIGHT = 4.0, 10, 320, 180
_LANES = (-1.5, 0.0, 1.5)


def film(kind: Kind, seed: int) -> Shot:
    """A film of four seconds and three people. "walk": paths with bends; "turn": sharp corners, or turning on the spot;
    "stop": walks that end within the film."""
    random = np.random.default_rng([KINDS.index(kind), seed])
    people = tuple(_person(kind, lane, random) for lane in _LANES)
    begin = random.uniform([-1.2, -1.6, 1.45], [1.2, -0.4, 1.75])
    end = begin + random.uniform([-1.2, -0.4, -0.05], [1.2, 0.4, 0.05])
    camera = CameraSettings(
        positions=tuple(tuple(map(float, point)) for point in (begin, 0.5 * (begin + end), end)),
        shake=Shake(0.01, 0.4, 1.5),
        focal=float(random.uniform(0.85, 1.05)),
    )
    return Shot(
        f"{kind}_{seed:03d}", people, camera, place=YardSettings(seed=int(random.integers(1, 40))),
        frames=round(_SECONDS * _FPS), fps=_FPS, width=_WIDTH, height=_HEIGHT, seed=seed + 1,
    )  # fmt: skip


def _person(kind: Kind, lane: float, random: np.random.Generator) -> PersonSettings:
    place = np.array([lane, 3.6]) + random.uniform([-0.3, -0.8], [0.3, 0.8])
    action = _turning(place, random) if kind == "turn" and random.random() < 0.5 else _walking(kind, place, random)
    return PersonSettings(
        float(random.uniform(1.58, 1.9)),
        action,
        tuple(random.uniform(-1.0, 1.0, 3)),
        outfit=str(random.choice(_OUTFITS)),
    )


def _turning(place: np.ndarray, random: np.random.Generator) -> Action:
    heading = random.uniform(-np.pi, np.pi)
    turns = heading + np.cumsum(random.choice([-1.0, 1.0], 7) * random.uniform(0.5, 1.1, 7))
    return StandSettings(
        (float(place[0]), float(place[1])), heading, tuple(map(float, turns)), 0.1, random.uniform(0.4, 0.6)
    )


def _walking(kind: Kind, place: np.ndarray, random: np.random.Generator) -> Action:
    heading, speed = random.uniform(-np.pi, np.pi), random.uniform(0.8, 1.4)
    legs = {"walk": (1.2,) * 5, "turn": (0.7,) * 8, "stop": (0.7, random.uniform(0.2, 1.6))}[kind]
    points = [np.zeros(2)]
    for leg in legs:
        points.append(points[-1] + leg * speed * np.array([np.cos(heading), np.sin(heading)]))
        heading += random.choice([-1.3, 1.3]) if kind == "turn" else random.uniform(-0.5, 0.5)
    path = np.array(points) - np.mean(points, axis=0) + place
    return WalkSettings(
        tuple((float(x), float(y)) for x, y in path),
        speed=float(speed),
        step=float(random.uniform(0.5, 0.7)),
        start=float(random.uniform(-0.9, -0.4)),
        first=int(random.integers(2)),
        corner=0.4 if kind == "turn" else 0.5,
    )
