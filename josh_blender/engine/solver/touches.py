"""What touches the place, and what lies under it: feet on levels, everything else on planes of any direction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.conventions import CONTACT_REGIONS
from ..fit import landmarks as lm
from .body_points import pose
from .figures import Figure
from .region_points import FOOT_REGIONS
from .scale import ray_votes
from .state import Body
from .surfaces import DepthCloud, Support, find_support, find_support_along_rays
from .touched_planes import find_planes

Array = NDArray[Any]

#: A region touches the scene where its probability is at least this.
CONTACT_LEAST = 0.5
#: A plane belongs to a touching region where the skin is within so many metres of it.
_TOUCHES_M = 0.12
#: The feet's regions.
FEET = np.array([CONTACT_REGIONS.index(name) for name in FOOT_REGIONS])
#: The landmark at each of them.
FOOT_LANDMARKS = np.array([lm.LEFT_HEEL, lm.LEFT_TOE, lm.RIGHT_HEEL, lm.RIGHT_TOE])
_SEAT = CONTACT_REGIONS.index("seat")
_OTHERS = np.setdiff1d(np.arange(len(CONTACT_REGIONS)), FEET)


@dataclass(frozen=True)
class Place:
    """The scene as contacts see it: up (3,) unit, ground plane (4,) or (0,), and the depth maps' points."""

    up: Array
    ground: Array
    clouds: list[DepthCloud]


@dataclass(frozen=True)
class Touches:
    """Regions in contact: N rows of (frame of the person, region), the region's point (N,3) in camera axes (a foot's is
    its sole), weight (N,), and reach (N,): how far the skin lies beyond that point where it touches, m."""

    frame: Array
    region: Array
    point: Array
    weight: Array
    reach: Array

    def thinned(self, most: int) -> Touches:
        """At most ``most`` of them, spread evenly."""
        kept = np.unique(np.linspace(0, len(self.frame) - 1, min(most, len(self.frame))).round().astype(int))
        return self.some(kept)

    def some(self, rows: Array) -> Touches:
        """These of them."""
        return Touches(self.frame[rows], self.region[rows], self.point[rows], self.weight[rows], self.reach[rows])

    def and_also(self, others: Touches) -> Touches:
        """Both."""
        parts = zip(vars(self).values(), vars(others).values(), strict=True)
        return Touches(*(np.concatenate(pair) for pair in parts))


def touches_of(figure: Figure, body: Body, regions: Array) -> Touches:
    """Every frame on which one of these regions is in contact, with the body as it is now; reach 0."""
    probability = figure.contact[:, regions] * figure.map.region_present[regions]
    probability = probability * (figure.fit.confidence > 0.0)[:, None]
    frame, column = np.nonzero(probability >= CONTACT_LEAST)
    touched, row = np.unique(frame, return_inverse=True)
    points = pose(figure.points, body.rotation[touched], body.trans[touched], body.betas).points.numpy()
    point = points[row, figure.map.region_row(0) + regions[column]]
    weight = probability[frame, column] * figure.fit.confidence[frame]
    return Touches(frame, regions[column], point, weight, np.zeros(len(frame)))


def foot_touches(figure: Figure, body: Body) -> Touches:
    """Every frame and foot region in contact, with the body as it is now."""
    return touches_of(figure, body, FEET)


def lower_foot_touches(figure: Figure, body: Body, up_camera: Array) -> Touches:
    """The lowest foot region of every frame as if it stood; up_camera (T,3) is the upward direction in each camera."""
    points = pose(figure.points, body.rotation, body.trans, body.betas).points.numpy()
    soles = points[:, figure.map.region_row(0) + FEET]
    lowest = np.argmin(np.einsum("tfi,ti->tf", soles, up_camera), axis=1)
    frame = np.arange(len(points))
    weight = np.asarray(figure.fit.confidence, np.float64)
    return Touches(frame, FEET[lowest], soles[frame, lowest], weight, np.zeros(len(frame)))


def stands(touches: Touches) -> Array:
    """Number (N,) of the stand each touch belongs to: one region on consecutive frames."""
    order = np.lexsort((touches.frame, touches.region))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(touches.region[order]) != 0) | (np.diff(touches.frame[order]) != 1)
    result = np.empty(len(order), dtype=int)
    result[order] = np.cumsum(new)
    return result


# --- what lies under them --------------------------------------------------------------------------------------------


def support_of(
    figure: Figure, touches: Touches, rotation: Array, centre: Array, scale: float | None, place: Place
) -> Support:
    """Levels under the touches; ``scale`` None: whatever their rays meet, wherever the body's metres end."""
    index = figure.fit.index[touches.frame]
    turn, origin = rotation[index], centre[index]
    if scale is not None:
        spot = origin + np.einsum("nij,nj->ni", turn, touches.point) / scale
        return find_support(spot, index, scale, place.up, place.ground, place.clouds)
    return find_support_along_rays(touches.point, index, turn, origin, place.up, place.ground, place.clouds)


def supported(
    figure: Figure, body: Body, feet: Touches, rotation: Array, centre: Array, scale: float, place: Place
) -> tuple[Touches, Support]:
    """The feet given and all other regions in contact, with what lies under each: levels under feet, planes at the
    others (level ones under a seat)."""
    support = support_of(figure, feet, rotation, centre, scale, place)
    others = touches_of(figure, body, _OTHERS)
    if not len(others.frame) or not place.clouds:
        return feet, support
    index = figure.fit.index[others.frame]
    turn = rotation[index]
    spot = centre[index] + np.einsum("nij,nj->ni", turn, others.point) / scale
    planes = find_planes(spot, index, others.region == _SEAT, scale, place.up, place.clouds)
    others = replace(others, reach=reach_of(figure, body, others, -np.einsum("nji,nj->ni", turn, planes.normal)))
    gap = scale * np.einsum("nj,nj->n", spot - planes.point, planes.normal) - others.reach
    planes = replace(planes, weight=np.where(np.abs(gap) < _TOUCHES_M, planes.weight, 0.0))
    return feet.and_also(others), support.and_also(planes)


def reach_of(figure: Figure, body: Body, touches: Touches, toward: Array) -> Array:
    """How far (N,) each touching region's skin lies beyond its point in directions toward (N,3) (camera axes), m."""
    reach = np.zeros(len(touches.frame))
    for region in np.unique(touches.region):
        rows = np.flatnonzero(touches.region == region)
        hull = np.flatnonzero(figure.map.hull_region == region)
        if not len(hull):
            continue
        points = replace(
            figure.hull, weight=figure.hull.weight[hull], rest=figure.hull.rest[hull], dirs=figure.hull.dirs[hull]
        )
        frame = touches.frame[rows]
        skin = pose(points, body.rotation[frame], body.trans[frame], body.betas).points.numpy()
        beyond = np.einsum("nhj,nj->nh", skin - touches.point[rows, None], toward[rows])
        reach[rows] = beyond.max(1)
    return reach


def touch_votes(
    figure: Figure, touches: Touches, support: Support, rotation: Array, centre: Array
) -> tuple[Array, Array]:
    """Votes (log scale, weight) of the touches on these surfaces."""
    index = figure.fit.index[touches.frame]
    value, weight = ray_votes(touches.point, rotation[index], centre[index], support.point, support.normal)
    return value, weight * support.weight * touches.weight
