"""Legs that a landmark network takes for one another, put right.

Where the legs pass each other, a network that looks at single frames swaps left and right for a while. The true
assignment is the one in which feet move smoothly, and in which the leg that is seen better stays the one that is: on
the picture alone, legs that pass each other and legs that meet and part again look alike. The network's depths do not
help: it leaves them behind where it swaps legs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..results import Track
from . import landmarks as lm

Array = NDArray[Any]

#: Left and right landmarks of the legs.
_LEFT = [lm.LEFT_KNEE, lm.LEFT_ANKLE, lm.LEFT_HEEL, lm.LEFT_TOE]
_RIGHT = [lm.RIGHT_KNEE, lm.RIGHT_ANKLE, lm.RIGHT_HEEL, lm.RIGHT_TOE]
#: Change of velocity of a leg's landmark from frame to frame, share of the person's size on the image, at 30 frames a
#: second; one swapped leg costs no more than a change of so many sigmas; cost of a swapped frame (the network is mostly
#: right); size of the person on the image that a change of visibility from 0 to 1 counts as.
_SIGMA = 0.02
_KERNEL = 3.0
_SWAPPED = 8.0
_VISIBILITY = 0.15
_RATE = 30.0


def swapped_legs(points: Array, visibility: Array, size: Array, time: Array, seen: Array) -> Array:
    """Frames (T,) whose legs are taken for one another.

    points (T,33,2) px; visibility (T,33) 0..1; size (T,) px of the person; time (T,) s; seen (T,) frames with
    landmarks. The assignment of least total change of velocity, relative to the hips, with a price on every swapped
    frame (Viterbi over pairs of frames).
    """
    frames = np.flatnonzero(seen)
    swapped = np.zeros(len(points), bool)
    if len(frames) < 3:
        return swapped
    hips = points[frames][:, [lm.LEFT_HIP, lm.RIGHT_HIP]].mean(1, keepdims=True)
    legs = np.stack([points[frames][:, _LEFT] - hips, points[frames][:, _RIGHT] - hips], axis=1)
    clear = _VISIBILITY * np.stack([visibility[frames][:, _LEFT], visibility[frames][:, _RIGHT]], axis=1)
    legs = np.concatenate([legs / float(np.median(size[frames])), clear[..., None]], axis=-1)
    # states[s]: both legs (2,4,3) as they came (0) or swapped (1).
    states = np.stack([legs, legs[:, ::-1]])
    step = np.maximum(np.diff(time[frames]), 1e-6) * _RATE
    total = np.array([[0.0, _SWAPPED], [_SWAPPED, 2.0 * _SWAPPED]])
    origin = np.zeros((len(frames), 2, 2), dtype=int)
    for t in range(2, len(frames)):
        # Sampled more coarsely, feet change their velocity more.
        sigma = _SIGMA * max(step[t - 1], step[t - 2])
        speed = [[(states[b, t - 1] - states[a, t - 2]) / step[t - 2] for b in (0, 1)] for a in (0, 1)]
        cost = np.empty((2, 2, 2))
        for a in (0, 1):
            for b in (0, 1):
                for c in (0, 1):
                    change = (states[c, t] - states[b, t - 1]) / step[t - 1] - speed[a][b]
                    squared = (change**2).sum(-1) / sigma**2
                    cost[a, b, c] = total[a, b] + (squared / (1.0 + squared / _KERNEL**2)).sum() + c * _SWAPPED
        origin[t] = cost.argmin(0)
        total = cost.min(0)
    before, now = np.unravel_index(int(total.argmin()), (2, 2))
    path = np.empty(len(frames), dtype=int)
    path[-1], path[-2] = now, before
    for t in reversed(range(2, len(frames))):
        path[t - 2] = origin[t, path[t - 1], path[t]]
    swapped[frames] = path == 1
    return swapped


def untangled(track: Track, time: Array) -> Track:
    """The track with swapped legs put right; time (T,) s of its frames."""
    seen = np.asarray(track.detected, bool) & np.isfinite(track.landmarks).all((1, 2))
    size = np.maximum(np.asarray(track.box)[:, 3] - np.asarray(track.box)[:, 1], 1.0)
    swapped = swapped_legs(
        np.asarray(track.landmarks, np.float64),
        np.nan_to_num(np.asarray(track.visibility, np.float64)),
        size,
        np.asarray(time, np.float64),
        seen,
    )
    if not swapped.any():
        return track
    rows, both, turned = np.flatnonzero(swapped)[:, None], np.array(_LEFT + _RIGHT), np.array(_RIGHT + _LEFT)

    def exchanged(array: Array) -> Array:
        result = np.array(array)
        result[rows, both] = array[rows, turned]
        return result

    return replace(
        track,
        landmarks=exchanged(track.landmarks),
        visibility=exchanged(track.visibility),
        world_landmarks=exchanged(track.world_landmarks),
    )
