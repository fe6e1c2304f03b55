"""Metres per scene unit, roughly, so that speeds of feet are speeds: the joint solve finds the true one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .motion import velocities, world_positions

Array = NDArray[Any]

_CANDIDATES = np.geomspace(1e-3, 1e3, 121)
#: Camera paths shorter than this share of the distance to people say nothing about scale.
_STILL = 1e-6


def scale_from_ground(soles: Array, world_from_camera: Array, ground: Array) -> Array:
    """Scales (N,), one per frame where the lower sole's ray meets the ground: metres over scene units along it.

    soles (T,P,3) in camera axes, metres; ground (4,) plane n.x + d = 0 in scene units.
    """
    normal = ground[:3]
    turn, centre = world_from_camera[:, :3, :3], world_from_camera[:, :3, 3]
    height = np.einsum("tpi,ti->tp", soles @ turn.transpose(0, 2, 1), np.broadcast_to(normal, centre.shape))
    lowest = soles[np.arange(len(soles)), height.argmin(1)]
    ray = np.einsum("tij,tj->ti", turn, lowest / lowest[:, 2:])
    downward = ray @ normal
    distance = -(centre @ normal + ground[3]) / np.where(np.abs(downward) < 1e-6, np.nan, downward)
    scale = lowest[:, 2] / distance
    return scale[np.isfinite(scale) & (scale > 0.0)]


def scale_from_standing(soles: list[Array], cameras: list[Array], times: list[Array]) -> float:
    """The scale at which the slower foot of people stands stillest; 1 where the camera does not move.

    Of all frames the stiller half counts: everybody who walks has one foot on the ground most of the time.
    """
    moves = any(len(c) > 1 and np.ptp(c[:, :3, 3], axis=0).max() > _STILL for c in cameras)
    if not moves:
        return 1.0
    best, least = 1.0, np.inf
    for candidate in _CANDIDATES:
        speeds = [
            np.linalg.norm(velocities(world_positions(s, c, candidate), t), axis=-1).min(1)
            for s, c, t in zip(soles, cameras, times, strict=True)
        ]
        value = float(np.mean([np.sort(speed)[: max(1, len(speed) // 2)].mean() for speed in speeds]))
        if value < least:
            best, least = float(candidate), value
    return best
