"""A network that knows the drawn street: what MASt3R would say of it if it made known errors only."""

from __future__ import annotations

import numpy as np
import torch
from plane_world import draw, street
from torch import Tensor

from josh_blender.engine.networks.mast3r import ViewPrediction
from josh_blender.engine.networks.pictures import PictureFit
from josh_blender.scene4d.camera import invert_rigid, transform

DESCRIPTOR = 24


class StreetOracle:
    """Points of a pair in the first camera, each pair in a unit of its own; descriptors that name the spot.

    poses (K,4,4): of the key frames; intrinsics (4,) of the network's pictures. unit: spread of the logarithm of a
    pair's unit; depth: of a pixel's depth, relative; wrong: share of pixels whose descriptor names another spot.
    """

    def __init__(
        self,
        poses: np.ndarray,
        intrinsics: np.ndarray,
        size: tuple[int, int],
        unit: float = 0.0,
        depth: float = 0.0,
        wrong: float = 0.0,
    ) -> None:
        self._poses, self._unit, self._noise, self._wrong = poses, unit, depth, wrong
        self._random = np.random.default_rng(4)
        self._directions = self._random.normal(size=(3, DESCRIPTOR)) * 4.0
        self._phases = self._random.uniform(0.0, 2.0 * np.pi, DESCRIPTOR)
        columns, rows = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
        rays = np.stack([columns, rows, np.ones_like(rows)], -1)
        rays[..., :2] = (rays[..., :2] - intrinsics[2:]) / intrinsics[:2]
        self._world = []
        for pose in poses:
            depths = draw(street(), pose, intrinsics, size)[1]
            self._world.append(transform(pose, rays * np.where(depths > 0, depths, 60.0)[..., None]))

    def predict(self, first: int, second: int) -> tuple[ViewPrediction, ViewPrediction]:
        unit = float(np.exp(self._unit * self._random.normal()))
        into = invert_rigid(self._poses[first])
        return self._view(first, into, unit), self._view(second, into, unit)

    def _view(self, view: int, into: np.ndarray, unit: float) -> ViewPrediction:
        world = self._world[view]
        points = unit * transform(into, world) * np.exp(self._noise * self._random.normal(size=(*world.shape[:2], 1)))
        named = world.copy()
        chosen = self._random.random(world.shape[:2]) < self._wrong
        named[chosen] = self._random.permutation(world.reshape(-1, 3))[: chosen.sum()]
        descriptor = np.cos(named @ self._directions + self._phases)
        descriptor /= np.linalg.norm(descriptor, axis=-1, keepdims=True)
        return ViewPrediction(
            _row(points), _row(np.full(world.shape[:2], 4.0)), _row(descriptor), _row(np.ones(world.shape[:2]))
        )


def oracle_for(fit: PictureFit, poses: np.ndarray, intrinsics: np.ndarray, **errors: float) -> StreetOracle:
    """For pictures of a camera with intrinsics (4,) of the video."""
    return StreetOracle(poses, fit.intrinsics(intrinsics), fit.size, **errors)


def _row(values: np.ndarray) -> Tensor:
    return torch.as_tensor(values[None].astype(np.float32))
