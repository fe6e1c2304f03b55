"""A walled yard: paving, boxes to walk or sit on, free walls, and facades with posters and windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .place import Place, Quad, box, quad


@dataclass(frozen=True)
class Block:
    """A box with one corner at ``corner`` (x, y, z), its edges along x and y turned by ``yaw`` radians; metres."""

    corner: tuple[float, float, float]
    size: tuple[float, float, float]
    texture: str = "concrete"
    yaw: float = 0.0
    walkable: bool = False


def stairs(
    start: tuple[float, float], tread: float, rise: float, count: int, width: float, landing: float
) -> tuple[Block, ...]:
    """Steps up along +X, a landing, and the same steps down: walkable blocks on the ground."""
    x, y = start
    up = [Block((x + k * tread, y, 0.0), (tread, width, (k + 1) * rise), walkable=True) for k in range(count)]
    top = x + count * tread
    high = Block((top, y, 0.0), (landing, width, (count + 1) * rise), walkable=True)
    down = [
        Block((top + landing + k * tread, y, 0.0), (tread, width, (count - k) * rise), walkable=True)
        for k in range(count)
    ]
    return (*up, high, *down)


@dataclass(frozen=True)
class YardSettings:
    """Walls around ``low`` to ``high`` (x, y), and blocks in it. ``props`` puts crates and posts along the walls."""

    low: tuple[float, float] = (-8.0, -8.0)
    high: tuple[float, float] = (8.0, 9.0)
    blocks: tuple[Block, ...] = ()
    props: bool = True
    seed: int = 6


def yard(settings: YardSettings) -> Place:
    """The place; posters, windows, crates and posts are drawn from the seed."""
    rng = np.random.default_rng([settings.seed, 3])
    (x0, y0), (x1, y1) = settings.low, settings.high
    quads = [quad((x0 - 1, y0 - 1, 0), (x1 - x0 + 2, 0, 0), (0, y1 - y0 + 2, 0), "paving", walkable=True)]
    for block in settings.blocks:
        quads += box(block.corner, block.size, block.texture, block.yaw, walkable=block.walkable)
    corners = [(x0, y1), (x1, y1), (x1, y0), (x0, y0)]
    for number, (start, end) in enumerate(zip(corners, corners[1:] + corners[:1], strict=True)):
        quads += _facade(rng, np.array(start), np.array(end), number)
    if settings.props:
        quads += _props(rng, settings)
    return Place(quads, settings.seed)


def _facade(rng: np.random.Generator, start: np.ndarray, end: np.ndarray, number: int) -> list[Quad]:
    """A wall seen from its right-hand side (from start to end), with posters below and windows above."""
    length = float(np.linalg.norm(end - start))
    along = (end - start) / length
    inward = np.array([along[1], -along[0]])
    height = (4.2, 3.4, 4.8, 3.0)[number]

    def on_wall(at: float, up: float, out: float = 0.0) -> tuple[float, float, float]:
        x, y = start + at * along + out * inward
        return float(x), float(y), up

    wall = quad(
        on_wall(0, 0), (*(length * along), 0), (0, 0, height), "brick" if number % 2 else "blocks", 0.37 * number
    )
    quads = [wall]
    at, poster = 0.5, 100 * number
    while at + 1.2 < length:
        width = rng.uniform(0.7, 1.1)
        low = rng.uniform(0.5, 0.9)
        quads.append(
            quad(on_wall(at, low, 0.02), (*(width * along), 0), (0, 0, rng.uniform(1.1, 1.5)), f"poster:{poster % 12}")
        )
        if height > 3.6:
            quads.append(quad(on_wall(at, 2.4, 0.03), (*(0.9 * along), 0), (0, 0, 1.2), f"window:{poster % 6}"))
        at += width + rng.uniform(0.5, 1.3)
        poster += 1
    return quads


def _props(rng: np.random.Generator, settings: YardSettings) -> list[Quad]:
    (x0, y0), (x1, y1) = settings.low, settings.high
    quads: list[Quad] = []
    for side in range(4):
        span = x1 - x0 if side % 2 == 0 else y1 - y0
        for at in np.arange(1.0, span - 1.5, 2.3):
            away = rng.uniform(0.5, 1.1)
            width, depth, height = rng.uniform(0.4, 1.0), rng.uniform(0.4, 0.8), rng.uniform(0.4, 1.3)
            place = at + rng.uniform(-0.4, 0.4)
            x, y = (
                (x0 + place, y1 - away - depth),
                (x1 - away - width, y0 + place),
                (x0 + place, y0 + away),
                (x0 + away, y0 + place),
            )[side]
            texture = ("planks", "concrete", "blocks")[int(rng.integers(3))]
            quads += box((x, y, 0), (width, depth, height), texture, float(rng.uniform(-0.5, 0.5)))
    return quads
