"""Short films of people who turn and who stop, for training and for measuring; every one is a seed.

One place and one body in the same clothes, so that a network that begins with nothing can tell movement from looks.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from bench.sample.camera_path import CameraSettings, Shake
from bench.sample.footsteps import WalkSettings
from bench.sample.shots import Action, PersonSettings, Shot, StandSettings
from bench.sample.yard import YardSettings

Kind = Literal["turn", "stop"]

# The place takes half a minute, so three people share one. Pictures between these would be much alike.
_SECONDS: dict[Kind, float] = {"turn": 30.0, "stop": 10.0}
_FPS, _WIDTH, _HEIGHT = 6, 320, 180
_LANES = (-1.1, 0.0, 1.1)


def film(kind: Kind, seed: int) -> Shot:
    """A film of three people. "turn": half a minute of sharp corners, or of turning on the spot; "stop": walks that end
    within ten seconds."""
    random = np.random.default_rng([len(kind), ord(kind[0]), seed])
    people = tuple(PersonSettings(1.75, _action(kind, lane, random), outfit="blue") for lane in _LANES)
    begin = random.uniform([-0.6, -0.6, 1.5], [0.6, -0.2, 1.7])
    end = begin + random.uniform([-0.8, -0.3, -0.05], [0.8, 0.3, 0.05])
    camera = CameraSettings(
        positions=tuple(tuple(map(float, point)) for point in (begin, 0.5 * (begin + end), end)),
        shake=Shake(0.01, 0.4, 1.5),
        focal=0.95,
    )
    return Shot(
        f"{kind}_{seed:03d}", people, camera, place=YardSettings(seed=1), frames=round(_SECONDS[kind] * _FPS), fps=_FPS,
        width=_WIDTH, height=_HEIGHT, seed=seed + 1,
    )  # fmt: skip


def _action(kind: Kind, lane: float, random: np.random.Generator) -> Action:
    place = np.array([lane, 2.9]) + random.uniform([-0.1, -0.4], [0.1, 0.4])
    heading = random.uniform(-np.pi, np.pi)
    if kind == "turn" and random.random() < 0.5:
        turns = heading + np.cumsum(random.choice([-1.0, 1.0], 54) * random.uniform(0.5, 1.1, 54))
        position = (float(place[0]), float(place[1]))
        return StandSettings(position, heading, tuple(map(float, turns)), 0.1, random.uniform(0.4, 0.6))
    speed = random.uniform(0.8, 1.4)
    # Legs and corners that lead round and round stay before the camera.
    side = random.choice([-1.0, 1.0])
    points = [np.zeros(2)]
    for _ in range(60 if kind == "turn" else int(random.integers(2, 10))):
        points.append(points[-1] + 0.7 * speed * np.array([np.cos(heading), np.sin(heading)]))
        heading += side * random.uniform(0.9, 1.7)
        side = -side if random.random() < 0.2 else side
    path = np.array(points) - np.mean(points, axis=0) + place
    return WalkSettings(
        tuple((float(x), float(y)) for x, y in path),
        speed=float(speed),
        step=float(random.uniform(0.5, 0.7)),
        start=float(random.uniform(-0.9, -0.4)),
        first=int(random.integers(2)),
        corner=0.3,
    )
