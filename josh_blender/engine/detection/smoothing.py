"""Gaps in a person's path filled, and jitter taken out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

Floats = NDArray[np.floating[Any]]


def fill_gaps(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """Values (T,…) with the rows that are not known drawn straight between their neighbours."""
    rows = np.arange(len(values))
    flat = values.reshape(len(values), -1).astype(np.float64)
    filled = np.stack([np.interp(rows, rows[known], column[known]) for column in flat.T], axis=1)
    return filled.reshape(values.shape)


def smooth(values: Floats, sigma: float) -> Floats:
    """A Gaussian over time (T,…) of ``sigma`` pictures."""
    return values if sigma <= 0 or len(values) < 3 else gaussian_filter1d(values, sigma, axis=0, mode="nearest")
