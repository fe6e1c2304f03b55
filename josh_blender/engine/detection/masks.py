"""Label masks of a picture from the masks of its people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .landmarker import Pose
from .poses import FEET
from .regions import paste

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Labelled:
    """One person in one picture and the value that stands for them."""

    pose: Pose
    value: int


def label_mask(people: Sequence[Labelled], width: int, height: int, untracked: int) -> NDArray[np.uint8]:
    """(height, width) uint8: each person's value, 0 nobody.

    Who is nearer covers who is farther: the feet lower in the picture are nearer; people with the value ``untracked``
    lie behind all others.
    """
    label = np.zeros((height, width), np.uint8)
    for person in sorted(people, key=lambda p: (p.value != untracked, lowest_foot(p.pose))):
        box = _mask_box(person.pose, width, height)
        if box is None:
            continue
        x0, y0, x1, y1 = box
        inside = paste(person.pose.mask, person.pose.region, box) > 127
        label[y0:y1, x0:x1][inside] = person.value
    return label


def lowest_foot(pose: Pose) -> float:
    """The y of the lowest landmark of the feet, px."""
    return float(pose.points[list(FEET), 1].max())


def _mask_box(pose: Pose, width: int, height: int) -> tuple[int, int, int, int] | None:
    """The part of the plate that the pose's region covers."""
    corners = pose.region.to_plate(np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]]))
    x0, y0 = np.floor(corners.min(axis=0)).astype(int)
    x1, y1 = np.ceil(corners.max(axis=0)).astype(int)
    box = (max(0, int(x0)), max(0, int(y0)), min(width, int(x1)), min(height, int(y1)))
    return box if box[0] < box[2] and box[1] < box[3] else None
