"""Legs that the landmark network takes for one another, put right, and legs that it blends into one, left out.

Where the legs pass each other, a network that looks at single pictures swaps left and right for a while, and on some
pictures gives both legs the mean of the two. The true assignment is the one in which knees and feet move smoothly, and
in which the leg that is seen better stays the one that is: on the picture alone, legs that pass each other and legs
that meet and part again look alike. The network's depths do not help: it leaves them behind where it swaps legs.

Asked for before anything is smoothed over time: a mean of both assignments shows no leg at all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .poses import FEET, HIPS, KNEES

Floats = NDArray[np.floating[Any]]

#: Knees, ankles, heels and toes.
LEFT_LEG, RIGHT_LEG = (KNEES[0], *FEET[::2]), (KNEES[1], *FEET[1::2])
LEGS = (*LEFT_LEG, *RIGHT_LEG)
#: All 33 landmarks with left and right hips and legs exchanged: ``points[OTHER_LEGS]``.
OTHER_LEGS = np.arange(33)
OTHER_LEGS[[*HIPS, *LEGS]] = [*HIPS[::-1], *RIGHT_LEG, *LEFT_LEG]
#: What can be the matter with the legs of one picture; where they are swapped the hips are too.
AS_SEEN, SWAPPED, BLENDED = 0, 1, 2

#: Sigmas as shares of the person's size on the image: a landmark's noise, and its change of velocity in 1/30 s over
#: 1/30 s; one landmark costs no more than a change of so many sigmas; cost of a swapped picture (the network is mostly
#: right) and of one that is left out; size of the person that a change of visibility from 0 to 1 counts as.
_NOISE = 0.01
_ACCELERATION = 0.02
_KERNEL = 3.0
_SWAPPED = 8.0
_LEFT_OUT = 24.0
_VISIBILITY = 0.15
_RATE = 30.0
#: A picture that is kept is at most so many after the last that was.
_REACH = 4


def leg_states(points: Floats, visibility: Floats, size: Floats, time: Floats) -> NDArray[np.int_]:
    """`AS_SEEN`, `SWAPPED` or `BLENDED` (T,) for the legs of each picture on which a person was found.

    points (T,33,2) px; visibility (T,33) 0..1; size (T,) px of the person; time (T,) s, rising. The choice of least
    total change of velocity, relative to the hips, with a price on every picture that is swapped or left out (Viterbi
    over pairs of pictures that are kept).
    """
    count = len(points)
    if count < 3:
        return np.full(count, AS_SEEN)
    path = _cheapest_path(_both_ways(points, visibility, size), np.asarray(time, np.float64) * _RATE)
    states = np.full(count, BLENDED)
    for picture, way in path:
        states[picture] = SWAPPED if way else AS_SEEN
    return states


def exchanged(values: Floats, states: NDArray[np.int_]) -> Floats:
    """Values (T,33,…) of landmarks with left and right legs and hips exchanged where they are `SWAPPED`."""
    rows = states == SWAPPED
    result = np.array(values)
    result[rows] = values[rows][:, OTHER_LEGS]
    return result


def _both_ways(points: Floats, visibility: Floats, size: Floats) -> Floats:
    """Both legs (2,T,2,4,3) as they came and exchanged: place relative to the hips in sizes, and visibility."""
    place = points - points[:, list(HIPS)].mean(1, keepdims=True)
    clear = _VISIBILITY * visibility[..., None]
    seen = np.concatenate([place / float(np.median(size)), clear], axis=-1)
    legs = np.stack([seen[:, list(LEFT_LEG)], seen[:, list(RIGHT_LEG)]], axis=1)
    return np.stack([legs, legs[:, ::-1]])


def _variance(step: float, before: float) -> float:
    """Of a change of velocity over two gaps of so many 1/30 s: sampled finely it is noise, coarsely swing."""
    noise = step**-2 + before**-2 + (1.0 / step + 1.0 / before) ** 2
    return _NOISE**2 * noise + (_ACCELERATION * max(step, before)) ** 2


def _cheapest_path(legs: Floats, time: Floats) -> list[tuple[int, int]]:
    """The pictures that are kept and whether each is exchanged (0 or 1), last first; legs (2,T,…), time (T,)."""
    count = len(time)
    price = np.array([0.0, _SWAPPED])
    # cost[t,a,g,b]: of the best choice that keeps picture t as a and before it picture t-1-g as b; source[t,a,g,b]: gap
    # and way of the picture kept before these two, -1 where these are the first.
    cost = np.full((count, 2, _REACH, 2), np.inf)
    source = np.full((count, 2, _REACH, 2, 2), -1)
    for t in range(1, count):
        for gap in range(min(_REACH, t)):
            s = t - 1 - gap
            step = max(float(time[t] - time[s]), 1e-6)
            speed = (legs[:, None, t] - legs[None, :, s]) / step
            entering = price[:, None] + gap * _LEFT_OUT
            if s < _REACH:
                cost[t, :, gap] = price[None, :] + s * _LEFT_OUT + entering
            for earlier in range(min(_REACH, s)):
                r = s - 1 - earlier
                before = max(float(time[s] - time[r]), 1e-6)
                change = speed[:, :, None] - ((legs[:, None, s] - legs[None, :, r]) / before)[None]
                squared = (change**2).sum(-1) / _variance(step, before)
                total = cost[s, :, earlier][None] + (squared / (1.0 + squared / _KERNEL**2)).sum((-2, -1))
                total += entering[..., None]
                way, least = total.argmin(-1), total.min(-1)
                better = least < cost[t, :, gap]
                cost[t, :, gap] = np.minimum(cost[t, :, gap], least)
                source[t, :, gap][better] = np.stack([np.full_like(way, earlier), way], -1)[better]
    ends = [cost[t].min() + (count - 1 - t) * _LEFT_OUT for t in range(count)]
    t = int(np.argmin(ends))
    way, gap, other = (int(k) for k in np.unravel_index(cost[t].argmin(), cost[t].shape))
    path = [(t, way)]
    while True:
        earlier, before_it = (int(k) for k in source[t, way, gap, other])
        t, way = t - 1 - gap, other
        path.append((t, way))
        if earlier < 0:
            return path
        gap, other = earlier, before_it
