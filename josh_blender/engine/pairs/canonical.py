"""One point map per picture from all pairs that it is in, and its depth told by a grid of anchors.

MASt3R-SfM (Duisterhof et al. 2024), section 3.2: the solver moves one depth per block of 8 x 8 pixels, and every pixel
keeps its depth relative to its block's anchor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .focal import focal_of_points
from .matching import GRID

Array = NDArray[Any]

#: The network's confidences begin at 1; what is left of one that says nothing.
_FLOOR = 0.999
_LEAST_RADIUS = 1e-8


@dataclass(frozen=True)
class CanonicalView:
    """A picture of H x W px, both multiples of 8. anchor_depth (H/8,W/8) m; relative_depth (H,W): depth over that of
    the own block's anchor, 1 at anchors; confidence (H,W) >= 0; focal, px, that the points imply."""

    anchor_depth: Array
    relative_depth: Array
    confidence: Array
    focal: float

    def depth(self, focal: float | None = None) -> Array:
        """Depth (H,W) along z in m for a lens of a focal length, its own by default."""
        height, width = self.relative_depth.shape
        columns, rows = np.meshgrid(np.arange(width), np.arange(height))
        return self.depth_at(columns, rows, focal)

    def depth_at(self, columns: Array, rows: Array, focal: float | None = None) -> Array:
        """Depth at integer pixels. A longer lens makes the same slope a smaller step in depth."""
        anchors = self.anchor_depth[rows // GRID, columns // GRID]
        offset = self.relative_depth[rows, columns]
        return np.asarray(anchors * (1.0 + (offset - 1.0) * (1.0 if focal is None else self.focal / focal)))


class ViewSums:
    """The predictions of one picture by its pairs, summed up: the memory does not grow with the pairs. In long clips
    two dozen pictures wait for far partners, so the sums are of single precision.

    averaging: how depths around a block's centre are averaged: as the "angle" at which the surface rises from there,
    which one prediction far off cannot spoil, or as the "ratio" to the centre's depth.
    """

    def __init__(self, height: int, width: int, averaging: Literal["angle", "ratio"] = "angle") -> None:
        self._averaging = averaging
        self._weight = np.zeros((height, width), np.float32)
        self._square = np.zeros((height, width), np.float32)
        self._points = np.zeros((height, width, 3), np.float32)
        self._relief = np.zeros((height, width), np.float32)
        self._radius = np.zeros((height, width), np.float32)
        self._count = 0

    def add(self, points: Array, confidence: Array) -> None:
        """One own-view prediction: points (H,W,3) m in the picture's camera, confidence (H,W) >= 1."""
        weight = confidence.astype(np.float64) - _FLOOR
        centre = _spread(points[GRID // 2 :: GRID, GRID // 2 :: GRID].astype(np.float64), points.shape[:2])
        radius = np.maximum(np.linalg.norm(points[..., :2] - centre[..., :2], axis=-1), _LEAST_RADIUS)
        depth = np.maximum(centre[..., 2], np.finfo(np.float32).eps)
        if self._averaging == "angle":
            self._relief += weight * np.arctan((points[..., 2] - depth) / radius)
        else:
            self._relief += weight * points[..., 2] / depth
        self._radius += radius
        self._weight += weight
        self._square += weight**2
        self._points += weight[..., None] * points
        self._count += 1

    def view(self) -> CanonicalView:
        """The picture's canonical view.

        Raises:
            ValueError: nothing was added.
        """
        if not self._count:
            raise ValueError("a view without predictions")
        points = self.points()
        anchor_depth = points[GRID // 2 :: GRID, GRID // 2 :: GRID, 2]
        relative = self._relief / self._weight
        if self._averaging == "angle":
            rise = self._radius / self._count * np.tan(relative)
            relative = 1.0 + rise / _spread(anchor_depth, rise.shape)
        return CanonicalView(
            anchor_depth,
            relative,
            self._square / self._weight,
            focal_of_points(points),
        )

    def points(self) -> Array:
        """The confidence-weighted mean (H,W,3) of the predictions."""
        return np.asarray(self._points / self._weight[..., None])


def _spread(anchors: Array, shape: tuple[int, ...]) -> Array:
    """Values per block as values per pixel."""
    return np.asarray(np.repeat(np.repeat(anchors, GRID, axis=0), GRID, axis=1)[: shape[0], : shape[1]])
