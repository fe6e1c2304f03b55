"""The loss between matched points, and the similarity that minimises it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..similarity import Similarity, align

Array = NDArray[Any]

#: Exponent of the loss between matched points: below 1 it forgives wrong matches.
_GAMMA = 0.5
_ROUNDS = 20


def gamma_loss(distance: Array, gamma: float) -> Array:
    """(d + o)^gamma - o^gamma with the offset o at which its slope at zero is 1 (MASt3R-SfM, equation 8)."""
    offset = _offset(gamma)
    return np.asarray((distance + offset) ** gamma - offset**gamma)


def _offset(gamma: float) -> float:
    return float((1.0 / gamma) ** (1.0 / (gamma - 1.0)))


def align_matched(source: Array, target: Array) -> Similarity:
    """The similarity that takes points (N,3) to matched ones (N,3), some of which are wrong matches.

    Minimises the gamma loss of distances in units of their own median by reweighted least squares.
    """
    offset = _offset(_GAMMA)
    found = align(source, target, True)
    for _ in range(_ROUNDS):
        distance = np.linalg.norm(found.apply(source) - target, axis=1)
        distance = np.maximum(distance / max(float(np.median(distance)), 1e-12), 1e-3)
        # Slope of the loss over the distance.
        found = align(source, target, True, _GAMMA * (distance + offset) ** (_GAMMA - 1.0) / distance)
    return found
