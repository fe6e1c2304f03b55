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
_FRAMES, _FPS, _WIDTH, _HEIGHT = 60, 30, 320, 180


def film(kind: Kind, seed: int) -> Shot:
    """A film of two seconds. "walk": a path with bends; "turn": sharp corners, or turning on the spot; "stop": a walk
    that ends within the film."""
    random = np.random.default_rng([KINDS.index(kind), seed])
    start = random.uniform([-2.0, 2.6], [2.0, 4.6])
    heading = random.uniform(-np.pi, np.pi)
    speed = random.uniform(0.8, 1.4)
    if kind == "turn" and random.random() < 0.4:
        turns = np.cumsum(random.choice([-1.0, 1.0]) * random.uniform(0.5, 1.0, 4)) + heading
        action: Action = StandSettings(
            (float(start[0]), float(start[1])), heading, tuple(map(float, turns)), 0.1, random.uniform(0.4, 0.6)
        )
    else:
        bend = {"walk": 0.5, "turn": 1.5, "stop": 0.4}[kind]
        legs = {"walk": (1.0, 1.0, 1.0), "turn": (0.6, 0.8, 0.8, 0.8), "stop": (0.7, random.uniform(0.1, 0.5))}[kind]
        points = [start]
        for leg in legs:
            points.append(points[-1] + leg * speed * np.array([np.cos(heading), np.sin(heading)]))
            heading += random.uniform(-bend, bend) if kind != "turn" else random.choice([-bend, bend])
        path = np.array(points) - np.mean(points, axis=0) + start
        action = WalkSettings(
            tuple((float(x), float(y)) for x, y in path),
            speed=speed,
            step=float(random.uniform(0.5, 0.7)),
            start=float(random.uniform(-0.9, -0.4)),
            first=int(random.integers(2)),
            corner=0.5,
        )
    person = PersonSettings(
        float(random.uniform(1.58, 1.9)), action, tuple(random.uniform(-1.0, 1.0, 3)),
        outfit=str(random.choice(_OUTFITS)),
    )  # fmt: skip
    begin = random.uniform([-2.0, -1.6, 1.45], [2.0, -0.4, 1.75])
    end = begin + random.uniform([-1.2, -0.4, -0.05], [1.2, 0.4, 0.05])
    camera = CameraSettings(
        positions=tuple(tuple(map(float, point)) for point in (begin, 0.5 * (begin + end), end)),
        shake=Shake(0.01, 0.4, 1.5),
        focal=float(random.uniform(0.85, 1.05)),
    )
    return Shot(
        f"{kind}_{seed:03d}", (person,), camera, place=YardSettings(seed=int(random.integers(1, 40))), frames=_FRAMES,
        fps=_FPS, width=_WIDTH, height=_HEIGHT, seed=seed + 1,
    )  # fmt: skip
