"""Canonical views of a long clip, on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from .canonical import CanonicalView

#: Views that are remembered: pairs ask for the same few again and again.
_REMEMBERED = 8


class StoredViews(Mapping[int, CanonicalView]):
    """Canonical views by their number, as float32 files in a folder; the last few that were asked for are in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._focal: dict[int, float] = {}
        self._read = lru_cache(_REMEMBERED)(self._load)

    @property
    def focal(self) -> list[float]:
        """The focal length, px, that each view implies."""
        return list(self._focal.values())

    def add(self, number: int, view: CanonicalView) -> None:
        """Keep a view whose number is new."""
        parts = {
            "anchor_depth": view.anchor_depth,
            "relative_depth": view.relative_depth,
            "confidence": view.confidence,
        }
        np.savez(
            self._path(number), allow_pickle=False, **{key: part.astype(np.float32) for key, part in parts.items()}
        )
        self._focal[number] = view.focal

    def __getitem__(self, number: int) -> CanonicalView:
        if number not in self._focal:
            raise KeyError(number)
        return self._read(number)

    def __iter__(self) -> Iterator[int]:
        return iter(self._focal)

    def __len__(self) -> int:
        return len(self._focal)

    def _load(self, number: int) -> CanonicalView:
        with np.load(self._path(number), allow_pickle=False) as data:
            return CanonicalView(data["anchor_depth"], data["relative_depth"], data["confidence"], self._focal[number])

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.npz"
