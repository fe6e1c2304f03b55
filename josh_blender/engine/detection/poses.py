"""Measures on the landmarks of one person."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .landmarker import Pose
from .regions import Region, paste

Floats = NDArray[np.floating[Any]]

#: MediaPipe's numbers of the landmarks.
SHOULDERS, ELBOWS, WRISTS = (11, 12), (13, 14), (15, 16)
HIPS, KNEES, ANKLES = (23, 24), (25, 26), (27, 28)
FEET = (27, 28, 29, 30, 31, 32)
#: Landmarks that say where a body is; those of the face and hands say little.
TRUNK_AND_LIMBS = (0, *SHOULDERS, *ELBOWS, *HIPS, *KNEES, *ANKLES)

#: Side of the grid on which masks are compared.
_GRID = 96
#: Two poses are one person below this distance (share of the size), or below the second with masks that overlap so.
_SAME_DISTANCE = 0.12
_SAME_REACH = 0.6
_SAME_IOU = 0.45


def body_size(pose: Pose) -> float:
    """The side of the region without its margin, px: about the height of a standing person."""
    return pose.next_region.side / 1.25


def pose_distance(a: Pose, b: Pose) -> float:
    """Mean distance of the main landmarks as a share of the smaller body's size."""
    rows = list(TRUNK_AND_LIMBS)
    distance = np.linalg.norm(a.points[rows] - b.points[rows], axis=1)
    return float(np.mean(distance)) / max(min(body_size(a), body_size(b)), 1e-6)


def mask_iou(a: Pose, b: Pose) -> float:
    """Intersection over union of two people's masks, on a coarse grid over both regions."""
    reach = [0.75 * region.side for region in (a.region, b.region)]
    low = np.minimum((a.region.x - reach[0], a.region.y - reach[0]), (b.region.x - reach[1], b.region.y - reach[1]))
    high = np.maximum((a.region.x + reach[0], a.region.y + reach[0]), (b.region.x + reach[1], b.region.y + reach[1]))
    scale = _GRID / float((high - low).max())
    box = (0, 0, _GRID, _GRID)
    masks = []
    for pose in (a, b):
        region = Region(
            (pose.region.x - float(low[0])) * scale,
            (pose.region.y - float(low[1])) * scale,
            pose.region.side * scale,
            pose.region.rotation,
        )
        masks.append(paste(cv2.resize(pose.mask, (64, 64), interpolation=cv2.INTER_AREA), region, box) > 127)
    union = int((masks[0] | masks[1]).sum())
    return int((masks[0] & masks[1]).sum()) / union if union else 0.0


def same_body(a: Pose, b: Pose) -> bool:
    """Whether two poses show one person: their landmarks agree, or one mistakes a part of the other for a body."""
    distance = pose_distance(a, b)
    return distance < _SAME_DISTANCE or (distance < _SAME_REACH and mask_iou(a, b) > _SAME_IOU)


def body_box(points: Floats, size: float, shape: tuple[int, int]) -> NDArray[np.float32]:
    """(4,) x0 y0 x1 y1 of landmarks (33,2) with a margin for hair and shoes, cut at the plate (width, height)."""
    low, high = points.min(axis=0) - 0.04 * size, points.max(axis=0) + 0.04 * size
    low[1] -= 0.04 * size
    limit = np.array(shape, np.float64)
    return np.concatenate([np.clip(low, 0, limit), np.clip(high, 0, limit)]).astype(np.float32)


def boxes_meet(a: Floats, b: Floats) -> bool:
    """Whether two boxes (4,) x0 y0 x1 y1 have pixels in common."""
    return bool((np.maximum(a[:2], b[:2]) < np.minimum(a[2:], b[2:])).all())


def is_plausible(pose: Pose, shape: tuple[int, int]) -> bool:
    """Whether a pose can be a person in a plate (width, height): inside it, big enough, not collapsed."""
    width, height = shape
    size = body_size(pose)
    if not np.isfinite(pose.points).all() or size < 24 or size > 4 * max(width, height):
        return False
    trunk = pose.points[[*SHOULDERS, *HIPS]]
    inside = (trunk[:, 0] > 0) & (trunk[:, 0] < width) & (trunk[:, 1] > 0) & (trunk[:, 1] < height)
    length = np.linalg.norm(trunk[:2].mean(axis=0) - trunk[2:].mean(axis=0))
    return bool(
        inside.sum() >= 2 and 0.1 * size < length < 0.8 * size and pose.visibility[[*SHOULDERS, *HIPS]].mean() > 0.4
    )
