"""The colours of a person's clothes, to know them again."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .landmarker import Pose
from .regions import Picture, crop

Floats = NDArray[np.floating[Any]]

_CROP = 64
_BINS = 4


def clothes_histogram(picture: Picture, pose: Pose) -> NDArray[np.float32]:
    """(2*64,) shares of coarse RGB colours inside the person's mask, upper and lower half of the region apart."""
    inside = cv2.resize(pose.mask, (_CROP, _CROP), interpolation=cv2.INTER_AREA) > 127
    cells = (crop(picture, pose.region, _CROP) // (256 // _BINS)).astype(np.int64)
    code = (cells[..., 0] * _BINS + cells[..., 1]) * _BINS + cells[..., 2]
    halves = []
    for rows in (slice(0, _CROP // 2), slice(_CROP // 2, _CROP)):
        counts = np.bincount(code[rows][inside[rows]], minlength=_BINS**3).astype(np.float32)
        halves.append(counts / max(1.0, counts.sum()))
    return np.concatenate(halves)


def histogram_distance(a: Floats, b: Floats) -> float:
    """0 (same) to 1 (nothing in common): one less the mean overlap of both halves."""
    return 1.0 - float(np.minimum(a, b).sum()) / 2.0
