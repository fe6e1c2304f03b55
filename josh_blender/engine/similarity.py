"""Similarities between sets of points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Similarity:
    """x -> scale rotation x + translation."""

    scale: float
    rotation: Array
    translation: Array

    def apply(self, points: Array) -> Array:
        """Points (...,3) moved."""
        return np.asarray(self.scale * points @ self.rotation.T + self.translation)


def align(source: Array, target: Array, with_scale: bool, weight: Array | None = None) -> Similarity:
    """The similarity (or rigid motion) that takes points (N,3) nearest to others in least squares (Umeyama 1991),
    weighted with weights (N,) where they are given.

    Points on a line leave the turn about it open; points all in one place leave turn and scale open: then those are 1.
    """
    source, target = source.reshape(-1, 3), target.reshape(-1, 3)
    share = np.full(len(source), 1.0 / len(source)) if weight is None else weight / weight.sum()
    source_mean, target_mean = share @ source, share @ target
    a, b = source - source_mean, target - target_mean
    u, singular, vt = np.linalg.svd(b.T @ (share[:, None] * a))
    sign = np.ones(3)
    if np.linalg.det(u) * np.linalg.det(vt) < 0.0:
        sign[2] = -1.0
    rotation = (u * sign) @ vt
    variance = float(share @ (a**2).sum(1))
    scale = float((singular * sign).sum() / variance) if with_scale and variance > 1e-18 else 1.0
    return Similarity(scale, rotation, target_mean - scale * rotation @ source_mean)
