"""Squares to search for people of every size: the detector sees a square at 224 px."""

from __future__ import annotations

import numpy as np

from .detector import Tile

#: Sides of the tiles as shares of the picture's short side, coarse to fine, and their overlap.
_SHARES = (1.0, 0.62, 0.36)
_OVERLAP = 0.33


def make_tiles(width: int, height: int) -> list[list[Tile]]:
    """Tiles over a picture, one list per size: the whole picture, then finer and finer.

    The finest tiles leave out the top and bottom quarter: people that small stand near the horizon.
    """
    side = max(width, height)
    levels = [[Tile((width - side) // 2, (height - side) // 2, side)]]
    for number, share in enumerate(_SHARES):
        side = round(min(width, height) * share)
        margin = 0.25 if number == len(_SHARES) - 1 else 0.0
        xs = _starts(0, width, side)
        ys = _starts(round(height * margin), round(height * (1 - margin)), side)
        levels.append([Tile(int(x), int(y), side) for y in ys for x in xs])
    return levels


def _starts(low: int, high: int, side: int) -> list[int]:
    room = max(0, high - low - side)
    count = int(np.ceil(room / (side * (1 - _OVERLAP)))) + 1 if room else 1
    return [round(low + room * (k / max(1, count - 1))) for k in range(count)]
