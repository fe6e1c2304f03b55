"""Pairs as a mirror shows them: twice as much to learn from, and neither side is special."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .labels import PairLabel, PersonLabel

#: Left becomes right, in the axes of cameras and of bodies alike.
FLIP = np.array([-1.0, 1.0, 1.0])
#: Left and right foot, left and right ankle change places (see `labels.FEET`).
_OTHER_SIDE = [1, 0, 3, 2]


def mirrored_pair(pair: PairLabel, width: int) -> PairLabel:
    """The pair as it is on pictures ``width`` px wide whose columns are reversed. Twice mirrored it is itself."""
    turn = np.append(FLIP, 1.0)
    first_from_second = pair.first_from_second * turn[:, None] * turn
    people = tuple(_mirrored(person, width) for person in pair.people)
    return replace(pair, first_from_second=first_from_second, people=people)


def _mirrored(person: PersonLabel, width: int) -> PersonLabel:
    boxes = person.boxes.copy()
    boxes[:, [0, 2]] = width - person.boxes[:, [2, 0]]
    return PersonLabel(
        boxes=boxes,
        translation=person.translation * FLIP,
        rotation=person.rotation * FLIP[:, None] * FLIP,
        facing=person.facing * FLIP[:, None] * FLIP,
        in_camera=person.in_camera * FLIP,
        feet=person.feet[:, _OTHER_SIDE] * FLIP,
        in_place=person.in_place[:, _OTHER_SIDE] * FLIP,
    )
