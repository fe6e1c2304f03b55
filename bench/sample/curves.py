"""Smooth curves over time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


def gaussian_smooth(values: ArrayLike, sigma: float) -> Array:
    """Values (T, ...) convolved with a Gaussian of ``sigma`` samples; the ends continue with their slope."""
    data = np.asarray(values, float)
    radius = int(np.ceil(3 * sigma))
    if radius == 0 or len(data) < 2:
        return data.copy()
    steps = np.arange(1, radius + 1).reshape(-1, *[1] * (data.ndim - 1))
    before = data[0] - steps[::-1] * (data[1] - data[0])
    after = data[-1] + steps * (data[-1] - data[-2])
    padded = np.concatenate([before, data, after])
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    flat = padded.reshape(len(padded), -1)
    smooth = np.stack([np.convolve(flat[:, k], kernel, "valid") for k in range(flat.shape[1])], -1)
    return smooth.reshape(data.shape)


def hermite(p0: Array, v0: Array, p1: Array, v1: Array, u: Array) -> Array:
    """Cubic from p0 with slope v0 at u = 0 to p1 with slope v1 at u = 1; u (T,), the others (...,)."""
    t = u.reshape(-1, *[1] * np.ndim(p0))
    return (2 * t**3 - 3 * t**2 + 1) * p0 + (t**3 - 2 * t**2 + t) * v0 + (3 * t**2 - 2 * t**3) * p1 + (t**3 - t**2) * v1


def lower_envelope(values: ArrayLike, radius: int, sigma: float) -> Array:
    """A smooth curve (T,) that never exceeds the values: their minimum over a window, smoothed within that window."""
    data = np.asarray(values, float)
    padded = np.concatenate([np.full(radius, data[0]), data, np.full(radius, data[-1])])
    lowest = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1).min(axis=-1)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    padded = np.concatenate([np.full(radius, lowest[0]), lowest, np.full(radius, lowest[-1])])
    return np.convolve(padded, kernel / kernel.sum(), "valid")


def ease(times: Array, start: float, end: float) -> Array:
    """0 before ``start``, 1 after ``end``, without a jump of the acceleration between (T,)."""
    u = np.clip((times - start) / (end - start), 0.0, 1.0)
    return u**3 * (10 - 15 * u + 6 * u * u)
