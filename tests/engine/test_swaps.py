"""Legs taken for one another for a few frames are put right; others are left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fit_helpers import seen_walk
from numpy.testing import assert_array_equal

from josh_blender.engine.fit import landmarks as lm
from josh_blender.engine.fit.swaps import untangled
from josh_blender.engine.results import Track

LEFT = [lm.LEFT_KNEE, lm.LEFT_ANKLE, lm.LEFT_HEEL, lm.LEFT_TOE]
RIGHT = [lm.RIGHT_KNEE, lm.RIGHT_ANKLE, lm.RIGHT_HEEL, lm.RIGHT_TOE]


def swap(track: Track, frames: list[int]) -> Track:
    fields = {}
    for name in ("landmarks", "visibility", "world_landmarks"):
        array = np.array(getattr(track, name))
        turned = array[frames]
        turned[:, LEFT + RIGHT] = turned[:, RIGHT + LEFT]
        array[frames] = turned
        fields[name] = array
    return replace(track, **fields)


@pytest.mark.parametrize("fps", [24.0, 60.0])
def test_swaps_of_one_and_two_frames_are_undone(fps: float) -> None:
    walk = seen_walk(seconds=2.0, fps=fps, landmark_px=1.0)
    track = walk.people.tracks[0]
    apart = np.linalg.norm(track.landmarks[:, LEFT] - track.landmarks[:, RIGHT], axis=-1).mean(1)
    # Where the legs cover each other a swap changes nothing, and nothing can tell it.
    wide = [int(t) for t in np.flatnonzero(apart > np.median(apart)) if 3 <= t < len(apart) - 4]
    frames = [wide[0], wide[len(wide) // 2], wide[len(wide) // 2] + 1]
    restored = untangled(swap(track, frames), walk.frames.time)
    for name in ("landmarks", "visibility", "world_landmarks"):
        assert_array_equal(getattr(restored, name), getattr(track, name))


@pytest.mark.parametrize("fps", [10.0, 30.0])
def test_a_walk_without_swaps_is_left_alone(fps: float) -> None:
    walk = seen_walk(seconds=2.0, fps=fps, landmark_px=1.0)
    assert untangled(walk.people.tracks[0], walk.frames.time) is walk.people.tracks[0]


def test_frames_without_detection_are_stepped_over() -> None:
    walk = seen_walk(seconds=1.0, landmark_px=1.0)
    track = walk.people.tracks[0]
    track.detected[5:9] = False
    track.landmarks[5:9] = 0.0
    assert untangled(track, walk.frames.time) is track
    track.detected[:] = False
    assert untangled(track, walk.frames.time) is track


def test_legs_that_meet_on_the_picture_and_part_again_are_not_swapped() -> None:
    """Frames that show both legs in one place look like legs passing each other; the near one is seen better before and
    after."""
    walk = seen_walk(seconds=2.0, landmark_px=0.5)
    track = walk.people.tracks[0]
    visibility = np.array(track.visibility)
    visibility[:, LEFT], visibility[:, RIGHT] = 0.8, 0.99
    landmarks = np.array(track.landmarks)
    begin = 20
    for frame, share in ((begin, 0.45), (begin + 1, 0.55), (begin + 6, 0.55), (begin + 7, 0.45)):
        left, right = track.landmarks[frame, LEFT], track.landmarks[frame, RIGHT]
        landmarks[frame, LEFT] = (1.0 - share) * left + share * right
        landmarks[frame, RIGHT] = (1.0 - share) * right + share * left
    met = replace(track, landmarks=landmarks, visibility=visibility)
    between = slice(begin + 2, begin + 6)
    assert_array_equal(untangled(met, walk.frames.time).landmarks[between], landmarks[between])
    alike = replace(met, visibility=np.ones_like(visibility))
    assert (untangled(alike, walk.frames.time).landmarks[between] != landmarks[between]).any()
