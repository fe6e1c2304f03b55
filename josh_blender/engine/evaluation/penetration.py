"""Scene points inside a body's mesh, by the generalised winding number (Jacobson et al. 2013; van Oosterom 1983)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[Any]

_INSIDE = 0.5
_CHUNK = 64


def winding_number(points: Array, vertices: Array, faces: Array) -> Array:
    """How often the mesh (V,3), (F,3) winds around points (N,3): 1 inside a closed mesh, 0 outside."""
    corners = vertices[faces]
    result = np.zeros(len(points))
    for start in range(0, len(points), _CHUNK):
        part = points[start : start + _CHUNK]
        a, b, c = (corners[None, :, i] - part[:, None] for i in range(3))
        la, lb, lc = (np.linalg.norm(v, axis=-1) for v in (a, b, c))
        above = np.einsum("nfi,nfi->nf", a, np.cross(b, c))
        below = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
        result[start : start + _CHUNK] = np.arctan2(above, below).sum(1) / (2.0 * np.pi)
    return result


def penetration(points: Array, vertices: Array, faces: Array) -> tuple[int, Array]:
    """How many points (N,3) lie near enough to be asked, and the depth (M,) in m below the skin of those inside."""
    low, high = vertices.min(0), vertices.max(0)
    near = points[((points > low) & (points < high)).all(1)]
    if not len(near):
        return 0, np.zeros(0)
    inside = near[np.abs(winding_number(near, vertices, faces)) > _INSIDE]
    depth = cKDTree(vertices).query(inside)[0] if len(inside) else np.zeros(0)
    return len(near), np.asarray(depth)
