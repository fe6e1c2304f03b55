"""Pairs of key frames far apart in time: where a long walk comes back, they close it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

Name = TypeVar("Name")

#: Clips with fewer key frames hardly come back, and their neighbours are matched with one another anyhow.
_LEAST_KEYFRAMES = 48
#: Evenly spread key frames that are matched with each other.
_SPREAD = 24


def loop_pairs(names: Sequence[Name], overlap: int) -> list[tuple[Name, Name]]:
    """Pairs of key frames, in order of time, that sequential matching with ``overlap`` neighbours does not try."""
    if len(names) < _LEAST_KEYFRAMES:
        return []
    step = math.ceil(len(names) / _SPREAD)
    chosen = [*range(0, len(names) - 1, step), len(names) - 1]
    return [(names[first], names[second]) for first in chosen for second in chosen if second - first > overlap]
