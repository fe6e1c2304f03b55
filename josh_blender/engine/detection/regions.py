"""Square, rotated regions of a picture: cropping them for a model and carrying its answers back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Region:
    """A square of the plate: centre and side in px, rotation in radians (clockwise on the screen)."""

    x: float
    y: float
    side: float
    rotation: float

    def plate_from_unit(self) -> NDArray[np.float64]:
        """(2,3) affine map from the unit square of the region to px of the plate."""
        c, s = np.cos(self.rotation) * self.side, np.sin(self.rotation) * self.side
        linear = np.array([[c, -s], [s, c]])
        offset = np.array([self.x, self.y]) - linear @ np.array([0.5, 0.5])
        return np.column_stack([linear, offset])

    def to_plate(self, points: Floats) -> NDArray[np.float64]:
        """Points (…,2) of the unit square in px of the plate."""
        affine = self.plate_from_unit()
        return points @ affine[:, :2].T + affine[:, 2]


def region_from_points(centre: Floats, end: Floats, scale: float) -> Region:
    """The square about ``centre`` whose half side is ``scale`` times the distance to ``end``, turned so that ``end``
    lies straight above the centre."""
    dx, dy = float(end[0] - centre[0]), float(end[1] - centre[1])
    rotation = float(np.arctan2(dx, -dy))
    return Region(float(centre[0]), float(centre[1]), 2.0 * scale * float(np.hypot(dx, dy)), rotation)


def _pixel_map(unit_scale: int, affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """``affine`` between the unit square and the plate as OpenCV's map between pixel indices (centres at integers)."""
    linear = affine[:, :2] / unit_scale
    return np.column_stack([linear, affine[:, 2] + linear @ np.array([0.5, 0.5]) - 0.5])


def crop(picture: Picture, region: Region, size: int) -> Picture:
    """The region as a (size,size,3) picture; black outside the plate."""
    index_map = _pixel_map(size, region.plate_from_unit())
    return cv2.warpAffine(
        picture, index_map, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT
    )


def paste(values: NDArray[np.uint8], region: Region, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """A square map (S,S) of the region resampled onto the px box (x0, y0, x1, y1) of the plate; 0 outside."""
    x0, y0, x1, y1 = box
    index_map = _pixel_map(values.shape[0], region.plate_from_unit())
    index_map[:, 2] -= (x0, y0)
    return cv2.warpAffine(values, index_map, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
