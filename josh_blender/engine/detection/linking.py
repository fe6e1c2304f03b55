"""Joins the pieces of one person's path that were broken by an occlusion, and drops what is no person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from .appearance import histogram_distance
from .poses import body_size
from .tracker import Tracklet


@dataclass(frozen=True)
class LinkSettings:
    """gap: longest break in seconds that is bridged. reach: how far, in body sizes, a person may be from where the
    speed before the break leads, plus as much again per second. clothes: greatest distance of the colours.
    shortest: seconds that a person must be seen. seen: least share of pictures seen on between the first and last.
    presence, visibility: least mean of a person. unsteady: disagreement of the landmarks from which a person must be
    seen for ``shortest_unsteady`` seconds; from twice that, who is smaller than ``small`` of the picture's short side
    must be seen with a mean visibility of ``visibility_unsteady``, who is larger with ``visibility_unsteady_large``.
    nobody: disagreement from which landmarks of a small person go with the region that is looked at, not with a body.
    extent: least extent of a person's landmarks as a share of the size that the model gives the body.
    """

    gap: float = 2.0
    reach: float = 0.35
    clothes: float = 0.45
    shortest: float = 0.4
    seen: float = 0.5
    presence: float = 0.75
    visibility: float = 0.5
    unsteady: float = 0.02
    shortest_unsteady: float = 1.0
    visibility_unsteady: float = 0.75
    visibility_unsteady_large: float = 0.6
    small: float = 0.25
    nobody: float = 0.075
    extent: float = 0.5


def link_tracklets(tracklets: list[Tracklet], rate: float, settings: LinkSettings) -> list[Tracklet]:
    """The tracklets with broken paths joined; ``rate`` in pictures per second."""
    pieces = sorted(tracklets, key=lambda piece: piece.first)
    if len(pieces) < 2:
        return pieces
    cost = np.full((len(pieces), len(pieces)), _FAR)
    for i, a in enumerate(pieces):
        for j, b in enumerate(pieces):
            if i != j and a.last < b.first <= a.last + settings.gap * rate:
                cost[i, j] = _link_cost(a, b, rate, settings)
    following = {int(i): int(j) for i, j in zip(*linear_sum_assignment(cost), strict=True) if cost[i, j] < _FAR}
    starts = set(range(len(pieces))) - set(following.values())
    joined = []
    for start in sorted(starts):
        whole, at = pieces[start], start
        while at in following:
            at = following[at]
            whole.poses.update(pieces[at].poses)
            whole.histograms.update(pieces[at].histograms)
            whole.around.update(pieces[at].around)
            whole.disagreement.update(pieces[at].disagreement)
            whole.crowded.update(pieces[at].crowded)
        joined.append(whole)
    return joined


_FAR = 1e6


def _link_cost(a: Tracklet, b: Tracklet, rate: float, settings: LinkSettings) -> float:
    seconds = (b.first - a.last) / rate
    size = 0.5 * (body_size(a.poses[a.last]) + body_size(b.poses[b.first]))
    forward, backward = a.predicted(b.first), b.predicted(a.last)
    end, begin = a.poses[a.last].next_region, b.poses[b.first].next_region
    miss = min(
        np.hypot(forward.x - begin.x, forward.y - begin.y),
        np.hypot(backward.x - end.x, backward.y - end.y),
        np.hypot(end.x - begin.x, end.y - begin.y),
    )
    reach = settings.reach * (1 + 2 * seconds) * size
    clothes = histogram_distance(a.histogram(), b.histogram())
    ratio = max(end.side, begin.side) / min(end.side, begin.side)
    if miss > reach or clothes > settings.clothes or ratio > 1.6:
        return _FAR
    return float(miss / reach + clothes / settings.clothes)


def is_person(tracklet: Tracklet, rate: float, short_side: int, settings: LinkSettings) -> bool:
    """Whether a path was seen long and surely enough to be a person, in pictures with a short side of so many px.

    Animals and bags are small, and seen dimly and unsteadily; so are patterns on posters, which may be larger.
    """
    poses = list(tracklet.poses.values())
    visibility = float(np.mean([pose.visibility.mean() for pose in poses]))
    unsteady = float(np.median(list(tracklet.disagreement.values()) or [0.0]))
    needed = settings.shortest if unsteady < settings.unsteady else settings.shortest_unsteady
    small = float(np.median([body_size(pose) for pose in poses])) < settings.small * short_side
    dimmest = settings.visibility
    if unsteady >= 2 * settings.unsteady:
        dimmest = settings.visibility_unsteady if small else settings.visibility_unsteady_large
    extent = float(np.median([np.ptp(pose.points, axis=0).max() / body_size(pose) for pose in poses]))
    return (
        len(poses) >= max(needed * rate, settings.seen * (tracklet.last - tracklet.first + 1))
        and float(np.mean([pose.presence for pose in poses])) >= settings.presence
        and visibility >= dimmest
        and extent >= settings.extent
        and not (small and unsteady >= settings.nobody)
    )
