"""The focal length that a picture's own point map implies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_ROUNDS = 10
#: Shortest and longest focal length, as a share of that of a lens with a field of 60 degrees.
_BOUNDS = (0.5, 3.5)


def focal_of_points(points: Array) -> float:
    """Focal length in px at which points (H,W,3) of a picture, in its own camera, project onto their pixels.

    Weighted least squares of f (x, y)/z = pixel, weights 1/distance (Weiszfeld's rounds for the sum of distances);
    principal point in the middle. DUSt3R, Wang et al. 2024, section 3.3.
    """
    height, width = points.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    pixel = np.stack([columns - width / 2.0, rows - height / 2.0], axis=-1).reshape(-1, 2).astype(np.float64)
    flat = points.reshape(-1, 3).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.nan_to_num(flat[:, :2] / flat[:, 2:], posinf=0.0, neginf=0.0)
    along, square = np.sum(slope * pixel, axis=1), np.sum(slope**2, axis=1)
    middle = max(width, height) / (2.0 * np.tan(np.radians(30.0)))
    focal = along.mean() / max(square.mean(), 1e-12)
    for _ in range(_ROUNDS):
        weight = 1.0 / np.maximum(np.linalg.norm(pixel - focal * slope, axis=1), 1e-8)
        focal = (weight @ along) / max(weight @ square, 1e-12)
    return float(np.clip(focal, _BOUNDS[0] * middle, _BOUNDS[1] * middle))
