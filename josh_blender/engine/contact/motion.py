"""How region points of a body move in the world, in metres and seconds whatever the frame rate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: Sigma of the window in which positions are taken to move straight, s.
WINDOW_S = 0.035


def world_positions(points: Array, world_from_camera: Array, scale: float) -> Array:
    """Points (T,P,3) of camera axes, metres, in the axes of the scene's world, metres.

    world_from_camera (T,4,4) in scene units; scale: metres per scene unit.
    """
    turn, centre = world_from_camera[:, :3, :3], world_from_camera[:, :3, 3] * scale
    return points @ turn.transpose(0, 2, 1) + centre[:, None]


def velocities(positions: Array, time: Array, window: float = WINDOW_S) -> Array:
    """Velocities (T,P,3), m/s, of positions (T,P,3) at times (T,): slopes of local straight lines.

    A Gaussian window in seconds makes 24 and 60 frames per second give the same answer; at the ends it is one-sided.
    """
    if len(time) < 2:
        return np.zeros_like(positions)
    # At low rates the window would hold one frame only.
    step = float(np.median(np.diff(time)))
    offset = time[None, :] - time[:, None]
    weight = np.exp(-0.5 * (offset / max(window, 0.8 * step)) ** 2)
    weight[np.abs(offset) > 4.0 * max(window, step)] = 0.0
    weight /= weight.sum(1, keepdims=True)
    mean = (weight * offset).sum(1)
    spread = (weight * offset**2).sum(1) - mean**2
    slope = weight * (offset - mean[:, None]) / spread[:, None]
    return np.einsum("ts,spi->tpi", slope, positions)


def up_direction(ground: Array, world_from_camera: Array, up_of_bodies: Array) -> Array:
    """Upwards (3,) in the scene's world: the ground's normal, else the median direction (N,3) of people's bodies."""
    if ground.size:
        return ground[:3] / np.linalg.norm(ground[:3])
    if len(up_of_bodies):
        mean = np.median(up_of_bodies, axis=0)
        if np.linalg.norm(mean) > 0.1:
            return mean / np.linalg.norm(mean)
    return -world_from_camera[0, :3, 1]
