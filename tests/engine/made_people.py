"""People made of numbers, as the landmark model would see them."""

from __future__ import annotations

import numpy as np

from josh_blender.engine.detection.landmarker import Pose, pack_mask
from josh_blender.engine.detection.regions import Region
from josh_blender.engine.detection.tracker import Tracklet

_STANDING = {
    0: (0.5, 0.12), 7: (0.53, 0.12), 8: (0.47, 0.12), 11: (0.58, 0.25), 12: (0.42, 0.25), 13: (0.61, 0.38),
    14: (0.39, 0.38), 15: (0.62, 0.5), 16: (0.38, 0.5), 23: (0.55, 0.5), 24: (0.45, 0.5), 25: (0.55, 0.7),
    26: (0.45, 0.7), 27: (0.55, 0.88), 28: (0.45, 0.88), 29: (0.55, 0.9), 30: (0.45, 0.9), 31: (0.56, 0.91),
    32: (0.44, 0.91),
}  # fmt: skip


def person(x: float, y: float, side: float = 200.0, wide: float = 0.12, visibility: float = 0.9) -> Pose:
    """A standing person in the region centred at (x, y), with an elliptic mask of half width ``wide``."""
    region = Region(x, y, side, 0.0)
    unit = np.full((33, 2), (0.5, 0.12))
    for row, point in _STANDING.items():
        unit[row] = point
    v, u = (np.mgrid[0:256, 0:256] + 0.5) / 256
    mask = ((u - 0.5) / wide) ** 2 + ((v - 0.5) / 0.43) ** 2 < 1
    return Pose(1.0, region, region.to_plate(unit), np.full(33, visibility), np.zeros((33, 3)), pack_mask(mask), region)


def path(number: int, xs: dict[int, float], colour: int = 0, y: float = 200.0) -> Tracklet:
    histogram = np.zeros(128, np.float32)
    histogram[[colour, 64 + colour]] = 1
    poses = {k: person(x, y) for k, x in xs.items()}
    return Tracklet(number, poses, {min(xs): histogram}, {k: 0.005 for k in xs})
