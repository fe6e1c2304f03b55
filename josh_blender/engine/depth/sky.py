"""Which pixels of a picture are sky: smooth, reaching the upper edge, and without depth."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: Largest change of any channel between neighbouring pixels of the sky.
_STEP = 5
#: Share of a smooth region that may have confident depth and still be called sky.
_MOST_DEPTH = 0.12
_CONFIDENT = 0.5
_LEAST_SHARE = 0.005
#: Matching windows carry the depth of roofs and trees this many px into the sky.
_FRINGE = 4
#: Pixels of the fringe are sky when they are this near in colour to the sky beside them.
_SAME_COLOR = 22.0


def find_sky(color: Array, confidence: Array) -> Array:
    """Sky (h,w) bool of an RGB picture (h,w,3) whose depth has this confidence (h,w)."""
    height, width = confidence.shape
    smooth = cv2.GaussianBlur(color, (3, 3), 0)
    reached = np.zeros((height + 2, width + 2), np.uint8)
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
    found = []
    for column in range(0, width, 4):
        if reached[1, column + 1]:
            continue
        before = reached[1:-1, 1:-1].copy()
        cv2.floodFill(smooth, reached, (column, 0), 0, (_STEP,) * 3, (_STEP,) * 3, flags)
        region = (reached[1:-1, 1:-1] > 0) & (before == 0)
        if region.mean() >= _LEAST_SHARE:
            found.append(region)
    sky = np.zeros((height, width), bool)
    for region in sorted(found, key=np.sum, reverse=True):
        inside = cv2.erode(region.astype(np.uint8), np.ones((2 * _FRINGE + 1,) * 2, np.uint8)) > 0
        judged = inside if inside.any() else region
        empty = np.mean(confidence[judged] > _CONFIDENT) < _MOST_DEPTH
        # Between trunks and poles the sky carries their depth; its colour gives it away.
        like_sky = sky.any() and np.linalg.norm(smooth[region].mean(axis=0) - smooth[sky].mean(axis=0)) < _SAME_COLOR
        if empty or like_sky:
            sky |= region
    return sky | _fringe(smooth, sky)


def _fringe(color: Array, sky: Array) -> Array:
    """Pixels beside the sky that have its colour (between leaves, along wires)."""
    if not sky.any():
        return sky
    weight = sky.astype(np.float32)
    size = (4 * _FRINGE + 1,) * 2
    near = cv2.boxFilter(weight, -1, size)
    mean = cv2.boxFilter(color.astype(np.float32) * weight[..., None], -1, size) / np.maximum(near, 1e-6)[..., None]
    distance = np.linalg.norm(color.astype(np.float32) - mean, axis=2)
    return (near > 0.02) & (distance < _SAME_COLOR)
