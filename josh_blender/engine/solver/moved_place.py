"""The place as cameras, lens and depth maps say after a solve: contacts are looked for where it is now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .state import Cameras
from .surfaces import DepthCloud
from .touches import Place

Array = NDArray[Any]

#: Points whose height over the ground is within this share of their depth lie on it; as many of them must be.
_ON_GROUND = 0.03
_LEAST_POINTS = 30


def stretch(cameras: Cameras, frame: Tensor, log_depth: Tensor) -> Tensor:
    """How many times (N,3) as large points in the axes of the cameras of frames (N,) are as before the solve: sideways
    for the focal lengths, and all of it for the factors (N,) on the depth maps."""
    shorter = (-cameras.log_focal_on(frame)).exp()
    return torch.stack([shorter, shorter, torch.ones_like(shorter)], -1) * log_depth.exp()[:, None]


def moved_place(place: Place, cameras: Cameras, log_depth: Tensor) -> Place:
    """The place with the points of every depth map, of log factor (D,), where the camera that saw them is now.

    The ground goes with the maps that show it; where none does it stays. The maps themselves stay as they are.
    """
    if not place.clouds:
        return place
    frames = torch.tensor([cloud.frame for cloud in place.clouds])
    factor = stretch(cameras, frames, log_depth).numpy()
    rotation, centre = cameras.rotation[frames].numpy(), cameras.centre[frames].numpy()
    parts = zip(place.clouds, factor, rotation, centre, strict=True)
    clouds = [
        replace(cloud, rotation=turn, centre=middle, local=times * cloud.local) for cloud, times, turn, middle in parts
    ]
    if not len(place.ground):
        return replace(place, clouds=clouds)
    pairs = zip(place.clouds, clouds, factor, strict=True)
    spots = np.concatenate([_ground_of(place.ground, cloud, now, times) for cloud, now, times in pairs])
    if len(spots) < _LEAST_POINTS:
        return replace(place, clouds=clouds)
    middle = spots.mean(0)
    normal = np.linalg.svd(spots - middle, full_matrices=False)[2][2]
    normal *= np.sign(normal @ place.up)
    return Place(normal, np.append(normal, -normal @ middle), clouds)


def _ground_of(ground: Array, before: DepthCloud, now: DepthCloud, factor: Array) -> Array:
    """Where the ground's points (N,3) that a map shows are now, moved from the plane: free of the map's noise."""
    height = before.points @ ground[:3] + ground[3]
    on = np.abs(height) < _ON_GROUND * before.local[:, 2]
    spots = before.points[on] - height[on, None] * ground[:3]
    local = (spots - before.centre) @ before.rotation
    return np.asarray((factor * local) @ now.rotation.T + now.centre)
