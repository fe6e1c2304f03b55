"""Legs taken for one another are put right, legs blended into one are left out, others are left alone."""

from __future__ import annotations

import numpy as np
import pytest
from fit_helpers import seen_walk
from made_people import person
from numpy.testing import assert_allclose, assert_array_equal

from josh_blender.engine.detection.legs import AS_SEEN, BLENDED, LEGS, SWAPPED, exchanged, leg_states
from josh_blender.engine.detection.tracker import Tracklet
from josh_blender.engine.results import Track
from josh_blender.engine.stages.people import make_track

HALF = len(LEGS) // 2
LEFT, RIGHT = list(LEGS[:HALF]), list(LEGS[HALF:])
LEFT_SIDE, RIGHT_SIDE = [23, *LEFT], [24, *RIGHT]


def swapped(values: np.ndarray, frames: list[int]) -> np.ndarray:
    """Left and right of hips and legs exchanged on those frames."""
    result = np.array(values)
    turned = result[frames]
    turned[:, LEFT_SIDE + RIGHT_SIDE] = turned[:, RIGHT_SIDE + LEFT_SIDE]
    result[frames] = turned
    return result


def blended(values: np.ndarray, frames: list[int]) -> np.ndarray:
    """Both legs near the mean of the two on those frames."""
    result = np.array(values)
    for frame in frames:
        left, right = values[frame, LEFT], values[frame, RIGHT]
        result[frame, LEFT], result[frame, RIGHT] = 0.55 * left + 0.45 * right, 0.45 * left + 0.55 * right
    return result


def states(points: np.ndarray, visibility: np.ndarray, track: Track, time: np.ndarray) -> np.ndarray:
    return leg_states(points, visibility, np.asarray(track.box[:, 3] - track.box[:, 1]), time)


def apart(points: np.ndarray) -> list[int]:
    """Frames whose legs are far from each other: where they cover each other a swap changes nothing."""
    distance = np.linalg.norm(points[:, LEFT] - points[:, RIGHT], axis=-1).mean(1)
    return [int(t) for t in np.flatnonzero(distance > np.median(distance)) if 3 <= t < len(points) - 4]


@pytest.mark.parametrize("fps", [24.0, 60.0])
def test_swaps_of_one_and_two_frames_are_undone(fps: float) -> None:
    walk = seen_walk(seconds=2.0, fps=fps, landmark_px=1.0)
    track = walk.people.tracks[0]
    points = np.asarray(track.landmarks, np.float64)
    wide = apart(points)
    frames = [wide[0], wide[len(wide) // 2], wide[len(wide) // 2] + 1]
    seen = swapped(points, frames)
    found = states(seen, track.visibility, track, walk.frames.time)
    assert np.flatnonzero(found != AS_SEEN).tolist() == frames
    assert (found[frames] == SWAPPED).all()
    assert_array_equal(exchanged(seen, found), points)


def test_frames_that_blend_both_legs_are_left_out_among_swapped_ones() -> None:
    """As a network does in the middle of a stride: right, swapped, blended, swapped, blended, right."""
    walk = seen_walk(seconds=2.0, landmark_px=0.5)
    track = walk.people.tracks[0]
    points = np.asarray(track.landmarks, np.float64)
    distance = np.linalg.norm(points[:, LEFT] - points[:, RIGHT], axis=-1).mean(1)
    widest = int(distance[10:-10].argmax()) + 10
    seen = blended(swapped(points, [widest - 2, widest]), [widest - 1, widest + 1])
    found = states(seen, track.visibility, track, walk.frames.time)
    expected = np.full(len(points), AS_SEEN)
    expected[[widest - 2, widest]] = SWAPPED
    expected[[widest - 1, widest + 1]] = BLENDED
    assert_array_equal(found, expected)


@pytest.mark.parametrize("fps", [10.0, 30.0])
def test_a_walk_without_swaps_is_left_alone(fps: float) -> None:
    walk = seen_walk(seconds=2.0, fps=fps, landmark_px=1.0)
    track = walk.people.tracks[0]
    assert (states(np.asarray(track.landmarks), track.visibility, track, walk.frames.time) == AS_SEEN).all()


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_the_shortest_tracks_have_states_too(count: int) -> None:
    walk = seen_walk(seconds=1.0, landmark_px=1.0)
    track = walk.people.tracks[0]
    size = np.full(count, 200.0)
    found = leg_states(np.asarray(track.landmarks)[:count], track.visibility[:count], size, walk.frames.time[:count])
    assert found.tolist() == [AS_SEEN] * count


def test_legs_that_meet_on_the_picture_and_part_again_are_not_swapped() -> None:
    """Frames that show both legs in one place look like legs passing each other; the near one is seen better before and
    after."""
    walk = seen_walk(seconds=2.0, landmark_px=0.5)
    track = walk.people.tracks[0]
    visibility = np.array(track.visibility)
    visibility[:, LEFT], visibility[:, RIGHT] = 0.8, 0.99
    points = np.asarray(track.landmarks, np.float64)
    met = points.copy()
    begin = 20
    for frame, share in ((begin, 0.45), (begin + 1, 0.55), (begin + 6, 0.55), (begin + 7, 0.45)):
        left, right = points[frame, LEFT], points[frame, RIGHT]
        met[frame, LEFT] = (1.0 - share) * left + share * right
        met[frame, RIGHT] = (1.0 - share) * right + share * left
    between = slice(begin + 2, begin + 6)
    assert (states(met, visibility, track, walk.frames.time)[between] == AS_SEEN).all()


def test_a_track_is_sorted_before_it_is_smoothed_and_bridges_blended_legs() -> None:
    """Both legs swing evenly; a mean over swapped and other pictures would draw them together."""
    poses = {}
    time = np.arange(20) / 30.0
    for k in range(20):
        pose = person(100.0, 200.0)
        pose.points[LEFT, 0] += 30.0 - 2.0 * k
        pose.points[RIGHT, 0] -= 30.0 - 2.0 * k
        poses[k] = pose
    clean = make_track(1, Tracklet(1, dict(poses)), time, (640, 480), 1.0, 0.6)
    points = np.stack([poses[k].points for k in range(20)])
    spoilt = blended(swapped(points, [5]), [3])
    for k in (3, 5):
        poses[k] = person(100.0, 200.0)
        poses[k].points[:] = spoilt[k]
    track = make_track(1, Tracklet(1, poses), time, (640, 480), 1.0, 0.6)
    assert_allclose(track.landmarks, clean.landmarks, atol=1e-3)
    assert (track.visibility[3, list(LEGS)] == 0.0).all() and track.visibility[3, 23] > 0.0
    assert track.detected.all()
