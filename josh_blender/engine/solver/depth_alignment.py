"""How far each depth map is from the scene points that it shows: one factor per map.

Depth networks see every picture in a unit of its own, and plane sweeps are off by a little. Scene points tie the maps
to the cameras (L_3D); what is looked for in the maps, surfaces under feet above all, is looked for after that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..results import SceneResult
from .surfaces import DepthCloud

Array = NDArray[Any]

#: As many points must be seen near a map's rays.
_LEAST_MATCHES = 20
#: Logarithms of depth beyond which a point is not what the map shows: it lies behind or in front.
_OTHER_SURFACE = 0.2
#: No map is trusted more than this share of the sigma that maps without points get.
_LEAST_SHARE = 0.2
#: Key frames on each side of a map's whose points it may show.
_AROUND = 5


def depth_factors(scene: SceneResult, clouds: list[DepthCloud], sigma: float) -> tuple[Array, Array]:
    """Log factor (D,) that takes each depth map to the scene points seen near its pixels, and its sigma (D,).

    Maps that show too few points keep factor 1 and get ``sigma``.
    """
    value, spread = np.zeros(len(clouds)), np.full(len(clouds), sigma)
    if not len(scene.points):
        return value, spread
    points = np.asarray(scene.points, np.float64)
    for number, (cloud, near) in enumerate(zip(clouds, _seen_around(scene, clouds), strict=True)):
        there = (points[near] - cloud.centre) @ cloud.rotation
        there = there[there[:, 2] > 1e-6]
        ratio = np.log(there[:, 2] / cloud.depths_at(there[:, :2] / there[:, 2:]))
        ratio = ratio[np.abs(ratio) < _OTHER_SURFACE]
        if len(ratio) >= _LEAST_MATCHES:
            value[number] = np.median(ratio)
            deviation = 1.4826 * np.median(np.abs(ratio - value[number]))
            spread[number] = max(deviation / np.sqrt(len(ratio)), _LEAST_SHARE * sigma)
    return value, spread


def _seen_around(scene: SceneResult, clouds: list[DepthCloud]) -> Iterator[Array]:
    """Per depth map the points that key frames around it saw: what others saw may be hidden from it."""
    keyframe = np.asarray(scene.observation_keyframe)
    order = np.argsort(keyframe, kind="stable")
    point, keyframe = np.asarray(scene.observation_point)[order], keyframe[order]
    for cloud in clouds:
        nearest = int(np.argmin(np.abs(np.asarray(scene.keyframe) - cloud.frame)))
        begin, end = np.searchsorted(keyframe, [nearest - _AROUND, nearest + _AROUND + 1])
        yield np.unique(point[begin:end])


def aligned(scene: SceneResult, clouds: list[DepthCloud], sigma: float) -> list[DepthCloud]:
    """The clouds with each map's depth multiplied by its factor."""
    factors = np.exp(depth_factors(scene, clouds, sigma)[0])
    return [cloud.scaled(factor) for cloud, factor in zip(clouds, factors, strict=True)]
