"""Two looks at a person give their mean; legs are not blended, and a look that sees nobody does not count."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from made_people import person
from numpy.testing import assert_allclose

from josh_blender.engine.detection.landmarker import Pose
from josh_blender.engine.detection.legs import LEFT_LEG, LEGS, SWAPPED, exchanged
from josh_blender.engine.detection.looks import combined, look_twice
from josh_blender.engine.detection.poses import HIPS
from josh_blender.engine.detection.regions import Region

RIGHTWARDS = np.array([1.0, 0.0])


def test_the_mean_of_both_has_the_legs_of_the_first() -> None:
    first = person(100.0, 200.0)
    first.points[list(LEFT_LEG), 0] += 30.0
    second = replace(first, points=first.points + 2.0 * RIGHTWARDS, visibility=first.visibility - 0.2)
    both = combined(first, second)
    assert_allclose(both.points, first.points + RIGHTWARDS)
    assert_allclose(both.visibility, first.visibility - 0.1)
    assert both.region == first.region and both.next_region == first.next_region
    other_way = replace(second, points=exchanged(second.points[None], np.array([SWAPPED]))[0])
    assert_allclose(combined(first, other_way).points, both.points)


def test_legs_that_differ_too_much_stay_those_of_the_first() -> None:
    first = person(100.0, 200.0)
    second = replace(first, points=first.points + RIGHTWARDS)
    second.points[list(LEGS), 0] += 12.0
    both = combined(first, second)
    legs = [*HIPS, *LEGS]
    assert_allclose(both.points[legs], first.points[legs])
    assert_allclose(np.delete(both.points, legs, 0), np.delete(first.points, legs, 0) + 0.5 * RIGHTWARDS)


@dataclass(frozen=True)
class Eyes:
    """`Workers` that see a person in the whole region, and from nearer the same person 3 px further, so surely."""

    seen: Pose
    nearer: float

    def locate(self, picture: np.ndarray, regions: list[Region]) -> list[Pose]:
        moved = replace(self.seen, points=self.seen.points + 3.0 * RIGHTWARDS, presence=self.nearer)
        return [moved if region.side < self.seen.region.side else self.seen for region in regions]


@pytest.mark.parametrize(("nearer", "shift"), [(0.4, 0.0), (0.9, 1.5)])
def test_a_second_look_that_sees_nobody_does_not_count(nearer: float, shift: float) -> None:
    eyes = Eyes(person(100.0, 200.0), nearer)
    (found,) = look_twice(eyes, np.zeros((4, 4, 3), np.uint8), [eyes.seen.region], 0.5)
    assert_allclose(found.points, eyes.seen.points + shift * RIGHTWARDS)


def test_where_the_first_look_sees_nobody_there_is_no_second() -> None:
    eyes = Eyes(replace(person(100.0, 200.0), presence=0.1), 0.9)
    (found,) = look_twice(eyes, np.zeros((4, 4, 3), np.uint8), [eyes.seen.region], 0.5)
    assert found is eyes.seen
