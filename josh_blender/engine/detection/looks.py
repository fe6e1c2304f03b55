"""Two looks at one person, from a little nearer the second time: their mean is steadier than either."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .landmarker import Pose
from .legs import LEGS, OTHER_LEGS
from .poses import HIPS, body_size
from .regions import Picture, Region
from .workers import Workers

#: Side of the second look's region relative to the first one's. Where knees and feet of the two looks are further apart
#: than so much of the person's size, one of them shows other legs than there are, and their mean would be none.
_NEARER = 0.92
_ALIKE = 0.025


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

    def apart(pose: Pose) -> float:
        return float(np.linalg.norm(pose.points[list(LEGS)] - first.points[list(LEGS)], axis=1).mean())

    other_way = replace(
        second,
        points=second.points[OTHER_LEGS],
        visibility=second.visibility[OTHER_LEGS],
        world=second.world[OTHER_LEGS],
    )
    nearest = min(second, other_way, key=apart)
    own = [] if apart(nearest) < _ALIKE * body_size(first) else [*HIPS, *LEGS]

    def mean(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        both = 0.5 * (one + other)
        both[own] = one[own]
        return both

    return replace(
        first,
        points=mean(first.points, nearest.points),
        visibility=mean(first.visibility, nearest.visibility),
        world=mean(first.world, nearest.world),
    )
