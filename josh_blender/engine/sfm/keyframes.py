"""Which frames carry the scene."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def choose_keyframes(time: Array, per_second: float) -> list[int]:
    """Indices of frames about evenly spread over time (F,) in s, the first and the last among them."""
    count = len(time)
    wanted = max(1, round((time[-1] - time[0]) * per_second)) + 1
    targets = np.linspace(time[0], time[-1], wanted)
    after = np.clip(np.searchsorted(time, targets), 1, max(1, count - 1)) if count > 1 else np.zeros(wanted, int)
    before = np.maximum(after - 1, 0)
    nearest = np.where(targets - time[before] < time[after] - targets, before, after)
    return sorted({int(index) for index in nearest})
