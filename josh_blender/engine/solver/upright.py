"""Which way is up, from people: they mostly keep their backs upright."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_ROUNDS = 10
_TOLERANCE = 0.15


def mean_direction(directions: Array) -> Array:
    """Robust mean (3,) of unit vectors (N,3); camera's up where there are none is the caller's business.

    Raises:
        ValueError: no directions.
    """
    if not len(directions):
        raise ValueError("no directions")
    mean = directions.mean(0)
    for _ in range(_ROUNDS):
        mean = mean / max(np.linalg.norm(mean), 1e-12)
        weight = 1.0 / (1.0 + (np.linalg.norm(directions - mean, axis=1) / _TOLERANCE) ** 2)
        mean = (weight[:, None] * directions).sum(0)
    return np.asarray(mean / max(np.linalg.norm(mean), 1e-12))
