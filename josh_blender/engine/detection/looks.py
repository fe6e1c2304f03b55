"""Two looks at one person, from a little nearer the second time: their mean is steadier than either."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .landmarker import Pose
from .legs import AS_SEEN, LEGS, SWAPPED, exchanged
from .poses import HIPS, body_size
from .regions import Picture, Region
from .workers import Workers

#: Side of the second look's region relative to the first one's. Where knees and feet of the two looks are further apart
#: than so much of the person's size, one of them shows other legs than there are, and their mean would be none.
_NEARER = 0.92
_OTHER_LEGS = 0.025


def look_twice(workers: Workers, picture: Picture, regions: list[Region], least: float) -> list[Pose]:
    """The pose in each region of an RGB picture; region, mask and where to look next are those of the first look.

    least: presence that a look must have to count; where the first has less there is no second.
    """
    poses = workers.locate(picture, regions)
    there = [row for row, pose in enumerate(poses) if pose.presence >= least]
    nearer = [replace(poses[row].region, side=_NEARER * poses[row].region.side) for row in there]
    for row, second in zip(there, workers.locate(picture, nearer), strict=True):
        if second.presence >= least:
            poses[row] = combined(poses[row], second)
    return poses


def combined(first: Pose, second: Pose) -> Pose:
    """The first pose with the mean of both looks' landmarks; legs that differ too much stay those of the first."""
    rows = list(LEGS)

    def apart(points: np.ndarray) -> float:
        return float(np.linalg.norm(points[rows] - first.points[rows], axis=1).mean())

    swapped = np.array([SWAPPED])
    other_way = exchanged(second.points[None], swapped)[0]
    state = swapped if apart(other_way) < apart(second.points) else np.array([AS_SEEN])
    alike = min(apart(other_way), apart(second.points)) < _OTHER_LEGS * body_size(first)

    def mean(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        both = 0.5 * (one + exchanged(other[None], state)[0])
        if not alike:
            both[[*HIPS, *LEGS]] = one[[*HIPS, *LEGS]]
        return both

    return replace(
        first,
        points=mean(first.points, second.points),
        visibility=mean(first.visibility, second.visibility),
        world=mean(first.world, second.world),
    )
