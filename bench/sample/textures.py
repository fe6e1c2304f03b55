"""Pictures for the surfaces of a place, drawn with numpy from a seed: crisp detail for feature detectors.

Every function returns (H, W, 3) uint8 sRGB; row 0 is the top. Sizes in metres say how much of the world it covers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def _smooth(values: Array, radius: int) -> Array:
    """Box blur of (H, W) with wrap-around, twice in each direction."""
    result = values
    width = 2 * radius + 1
    for _ in range(2):
        for axis in (0, 1):
            padded = np.concatenate([np.take(result, range(-radius - 1, 0), axis), result], axis)
            padded = np.concatenate([padded, np.take(result, range(radius), axis)], axis)
            total = np.cumsum(padded, axis=axis, dtype=np.float32)
            high = np.take(total, range(width, total.shape[axis]), axis)
            result = (high - np.take(total, range(total.shape[axis] - width), axis)) / width
    return result


def _noise(rng: np.random.Generator, size: tuple[int, int], radius: int) -> Array:
    """Noise (H, W) with unit standard deviation, blurred over ``radius`` px; blurred at low resolution where it can."""
    step = max(1, radius // 4)
    small = rng.standard_normal((-(-size[0] // step), -(-size[1] // step)), dtype=np.float32)
    if radius:
        small = _smooth(small, max(1, radius // step))
    values = np.repeat(np.repeat(small, step, 0), step, 1)[: size[0], : size[1]]
    return values / values.std()


def _finish(picture: Array) -> Array:
    return np.clip(picture, 0, 255).astype(np.uint8)


def _spots(picture: Array, rng: np.random.Generator, count: int, radius_px: tuple[float, float], shade: float) -> None:
    """Random discs, darker or lighter than what is under them, drawn in place."""
    height, width = picture.shape[:2]
    for _ in range(count):
        radius = rng.uniform(*radius_px)
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        x0, x1 = int(max(0, x - radius)), int(min(width, x + radius + 1))
        y0, y1 = int(max(0, y - radius)), int(min(height, y + radius + 1))
        rows, columns = np.mgrid[y0:y1, x0:x1]
        inside = (columns - x) ** 2 + (rows - y) ** 2 < radius**2
        picture[y0:y1, x0:x1][inside] += rng.uniform(-shade, shade * 0.6)


def masonry(
    rng: np.random.Generator, pixels: int, metres: float, stone: tuple[float, float], colors: list[Array], joint: float
) -> Array:
    """Courses of stones (width, height in m), every second course shifted by half, joints of ``joint`` m."""
    across, down = round(metres / stone[0]), round(metres / stone[1])
    x = (np.arange(pixels) + 0.5) / pixels * across
    y = (np.arange(pixels) + 0.5) / pixels * down
    row = y.astype(int)
    shifted = x[None, :] + 0.5 * (row[:, None] % 2)
    column = shifted.astype(int) % across
    palette = np.stack(colors)[rng.integers(len(colors), size=(down, across))]
    palette = palette + rng.normal(0, 14, (down, across, 1)) + rng.normal(0, 4, (down, across, 3))
    picture = palette[row[:, None], column].astype(np.float32)
    gap_x, gap_y = joint / stone[0] / 2, joint / stone[1] / 2
    inside_x, inside_y = shifted % 1.0, (y % 1.0)[:, None]
    gap = (inside_x < gap_x) | (inside_x > 1 - gap_x) | (inside_y < gap_y) | (inside_y > 1 - gap_y)
    picture[gap] = 0.25 * picture[gap] + 50
    for radius, strength in ((0, 7.0), (1, 7.0), (4, 6.0)):
        picture += strength * _noise(rng, (pixels, pixels), radius)[..., None]
    return picture


def paving(rng: np.random.Generator) -> Array:
    """20 m of paving slabs with stains and spots, crossed by a band of red bricks and a band of gravel."""
    pixels, metres = 4096, 20.0
    greys = [np.array(c, np.float32) for c in ((168, 164, 156), (150, 148, 144), (178, 170, 156), (138, 132, 124))]
    picture = masonry(rng, pixels, metres, (0.5, 0.5), greys, 0.014)
    reds = [np.array(c, np.float32) for c in ((150, 84, 66), (132, 72, 60), (164, 104, 78), (118, 82, 74))]
    bricks = masonry(rng, pixels // 4, metres / 4, (0.2, 0.1), reds, 0.008)
    scale = pixels / metres
    top, bottom = int(8.6 * scale), int(9.4 * scale)
    picture[top:bottom] = np.tile(bricks, (1, 4, 1))[: bottom - top]
    top, bottom = int(4.6 * scale), int(6.2 * scale)
    grain = _noise(rng, (bottom - top, pixels), 1) * 26 + _noise(rng, (bottom - top, pixels), 3) * 18
    picture[top:bottom] = np.array((142, 134, 120), np.float32) + grain[..., None]
    _spots(picture, rng, 5000, (2, 8), 60)
    _spots(picture, rng, 250, (10, 40), 22)
    picture += 7 * _noise(rng, (pixels, pixels), 160)[..., None]
    return _finish(picture)


def brick_wall(rng: np.random.Generator) -> Array:
    """8 m of brickwork."""
    reds = [
        np.array(c, np.float32) for c in ((156, 92, 70), (140, 80, 64), (170, 112, 84), (124, 84, 74), (184, 132, 104))
    ]
    picture = masonry(rng, 2048, 8.0, (0.25, 0.08), reds, 0.012)
    picture += 8 * _noise(rng, (2048, 2048), 80)[..., None]
    return _finish(picture)


def block_wall(rng: np.random.Generator) -> Array:
    """8 m of pale stone blocks."""
    pale = [np.array(c, np.float32) for c in ((206, 194, 170), (190, 180, 158), (216, 206, 186), (176, 166, 148))]
    picture = masonry(rng, 2048, 8.0, (0.5, 0.25), pale, 0.012)
    _spots(picture, rng, 1200, (2, 6), 50)
    return _finish(picture)


def concrete(rng: np.random.Generator) -> Array:
    """4 m of concrete with pores, pebbles and stains."""
    size = (1024, 1024)
    picture = np.full((*size, 3), (158.0, 156.0, 150.0), np.float32)
    for radius, strength in ((0, 8.0), (1, 9.0), (5, 8.0), (40, 8.0)):
        picture += strength * _noise(rng, size, radius)[..., None]
    _spots(picture, rng, 2600, (1.5, 6), 70)
    return _finish(picture)


def planks(rng: np.random.Generator) -> Array:
    """2 m of wooden planks with grain and nails."""
    size = 1024
    plank = np.arange(size) * 10 // size
    tone = rng.normal(0, 16, (10, 1)) + np.array((168.0, 122.0, 76.0))
    picture = np.repeat(tone[plank][:, None].astype(np.float32), size, 1)
    grain = _smooth(rng.standard_normal((size, size // 16), dtype=np.float32), 1)
    picture += 22 * np.repeat(grain / grain.std(), 16, 1)[..., None] * np.array((1.0, 0.9, 0.7), np.float32)
    picture += 6 * _noise(rng, (size, size), 1)[..., None]
    edge = (np.arange(size) * 10 / size) % 1.0
    picture[(edge < 0.06) | (edge > 0.96)] *= 0.35
    _spots(picture, rng, 160, (4, 9), 90)
    return _finish(picture)


def poster(rng: np.random.Generator) -> Array:
    """A printed sheet, 512 x 768: a picture of shapes over rows of type."""
    height, width = 768, 512
    colors = rng.integers(20, 250, (6, 3)).astype(np.float32)
    picture = np.broadcast_to(colors[0] * 0.3 + 178, (height, width, 3)).copy()
    rows, columns = np.mgrid[:height, :width]
    for _ in range(14):
        color = colors[rng.integers(1, 6)]
        x, y, size = rng.uniform(0, width), rng.uniform(0, 0.6 * height), rng.uniform(30, 120)
        if rng.random() < 0.5:
            picture[(columns - x) ** 2 + (rows - y) ** 2 < size**2] = color
        else:
            angle = rng.uniform(0, np.pi)
            along = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
            across = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle)
            picture[(np.abs(along) < size) & (np.abs(across) < size * rng.uniform(0.1, 0.8))] = color
    picture[int(0.62 * height) :] = colors[0] * 0.2 + 196
    for line, top in enumerate(range(int(0.65 * height), height - 50, 46 if rng.random() < 0.5 else 34)):
        x = 30
        while x < width - 60:
            letter = int(rng.integers(10, 30))
            glyph = rng.random((5, 3)) < 0.6
            block = np.kron(glyph, np.ones((5, max(1, letter // 3)))).astype(bool)
            area = picture[top : top + 25, x : x + block.shape[1]]
            area[block[: area.shape[0], : area.shape[1]]] = 25 if line else colors[1]
            x += letter + (18 if rng.random() < 0.2 else 5)
    picture[:10], picture[-10:], picture[:, :10], picture[:, -10:] = 240, 240, 240, 240
    return _finish(picture + 3 * _noise(rng, (height, width), 0)[..., None])


def window(rng: np.random.Generator) -> Array:
    """A window with its frame, 256 x 384: panes that reflect something pale."""
    height, width = 384, 256
    shade = np.linspace(110, 45, height, dtype=np.float32)[:, None] + 8 * _noise(rng, (height, width), 20)
    picture = shade[..., None] * np.array((0.75, 0.9, 1.05), np.float32)
    bars = np.zeros((height, width), bool)
    for at in (0, height // 3, 2 * height // 3, height - 12):
        bars[at : at + 12] = True
    for at in (0, width // 2 - 6, width - 12):
        bars[:, at : at + 12] = True
    picture[bars] = rng.uniform(180, 235)
    return _finish(picture)


TEXTURES: dict[str, tuple[Callable[[np.random.Generator], Array], float]] = {
    "paving": (paving, 20.0),
    "brick": (brick_wall, 8.0),
    "blocks": (block_wall, 8.0),
    "concrete": (concrete, 4.0),
    "planks": (planks, 2.0),
}


@lru_cache(maxsize=64)
def draw(name: str, seed: int) -> Array:
    """The picture of a texture: a name of ``TEXTURES``, or ``poster:N`` and ``window:N`` for the N-th of many."""
    kind, _, number = name.partition(":")
    rng = np.random.default_rng([seed, *kind.encode(), int(number or 0)])
    if kind == "poster":
        return poster(rng)
    if kind == "window":
        return window(rng)
    return TEXTURES[kind][0](rng)
