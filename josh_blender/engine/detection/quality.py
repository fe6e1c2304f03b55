"""Whether the landmarks of a person can be trusted: a body mixed out of two people must not be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .landmarker import Pose
from .regions import Region

if TYPE_CHECKING:
    from .tracker import Tracklet

#: Limbs as pairs of landmarks, and their thickness as a share of the region, to compare with the mask.
_LIMBS = (
    (11, 12), (11, 13), (13, 15), (12, 14), (14, 16), (11, 23), (12, 24), (23, 24), (23, 25), (25, 27), (24, 26),
    (26, 28), (27, 31), (28, 32), (0, 11), (0, 12),
)  # fmt: skip
_TRUNK = (11, 12, 24, 23)
_GRID = 128
_THICKNESS = 0.086
_HEAD = 0.07


def nearby(region: Region, share: float) -> list[Region]:
    """The region moved to the left, moved to the right, and shrunk, by about a share of its side."""
    return [
        Region(region.x - share * region.side, region.y, region.side, region.rotation),
        Region(region.x + share * region.side, region.y, region.side, region.rotation),
        Region(region.x, region.y, region.side * (1 - 2 * share), region.rotation),
    ]


def spill(pose: Pose) -> float:
    """The share of the person's mask that lies off a thick skeleton of the landmarks."""
    inside = cv2.resize(pose.mask, (_GRID, _GRID), interpolation=cv2.INTER_AREA) > 127
    if not inside.any():
        return 1.0
    affine = pose.region.plate_from_unit()
    unit = np.linalg.solve(affine[:, :2], (pose.points - affine[:, 2]).T).T
    points = np.clip(np.rint(unit * _GRID), -10 * _GRID, 10 * _GRID).astype(np.int32)
    skeleton = np.zeros((_GRID, _GRID), np.uint8)
    for a, b in _LIMBS:
        cv2.line(skeleton, points[a].tolist(), points[b].tolist(), 255, round(_THICKNESS * _GRID))
    cv2.fillConvexPoly(skeleton, points[list(_TRUNK)], 255)
    cv2.circle(skeleton, points[0].tolist(), round(_HEAD * _GRID), 255, -1)
    return float((inside & (skeleton == 0)).sum() / inside.sum())


@dataclass(frozen=True)
class QualitySettings:
    """disagreement: pose distance (share of the body) between slightly different regions above which landmarks are
    unsure. spill: share of the mask off the skeleton that says several people. share: share of unsure checks above
    which a whole track is unreliable. overlap: share of the box covered by others from which unsure poses are dropped.
    """

    disagreement: float = 0.025
    spill: float = 0.1
    share: float = 0.4
    overlap: float = 0.1


def unsure_frames(tracklet: Tracklet, settings: QualitySettings) -> set[int]:
    """The pictures of a tracklet whose nearest check found the landmarks unsure."""
    disagreement = {**tracklet.crowded, **tracklet.disagreement}
    checks = np.array(sorted(disagreement))
    if len(checks) == 0:
        return set()
    bad = np.array([disagreement[int(k)] > settings.disagreement for k in checks])
    frames = np.array(sorted(tracklet.poses))
    nearest = np.abs(frames[:, None] - checks[None]).argmin(axis=1)
    return {int(frame) for frame in frames[bad[nearest]]}


def judge(tracklet: Tracklet, settings: QualitySettings) -> str:
    """Why a track is not reliable; empty where it is."""
    checks = list(tracklet.disagreement.values())
    if not checks or np.mean(np.array(checks) > settings.disagreement) <= settings.share:
        return ""
    spills = [spill(tracklet.poses[k]) for k in sorted(tracklet.poses)[:: max(1, len(tracklet.poses) // 20)]]
    if np.median(spills) > settings.spill:
        return "overlaps other people: the landmarks mix several bodies"
    return "seen too unsteadily"
