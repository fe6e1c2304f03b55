"""A depth buffer for triangle meshes in numpy: what a ray through each pixel's centre hits first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from josh_blender.scene4d.camera import project, unproject

Array = NDArray[Any]


def mesh_depth(vertices_camera: Array, triangles: Array, intrinsics: Array, width: int, height: int) -> Array:
    """Depth (H, W) along z of the nearest surface, inf where there is none; vertices (V, 3) in camera axes.

    Triangles that reach behind the camera are left out.
    """
    depth = np.full(height * width, np.inf)
    front = (vertices_camera[triangles][..., 2] > 1e-3).all(axis=1)
    corners = vertices_camera[triangles[front]]
    pixels = project(corners, intrinsics)
    # The pixels whose centres lie in the triangle's bounding box.
    low = np.ceil(pixels.min(axis=1) - 0.5).astype(int)
    high = np.floor(pixels.max(axis=1) - 0.5).astype(int)
    low, high = np.maximum(low, 0), np.minimum(high, [width - 1, height - 1])
    extent = high - low + 1
    seen = (extent > 0).all(axis=1)
    a, b, c = (pixels[seen, k] for k in range(3))
    low, extent = low[seen], extent[seen]
    # A triangle's plane n.x = d gives the depth along a ray r (z = 1) as d / n.r.
    normal = np.cross(corners[seen, 1] - corners[seen, 0], corners[seen, 2] - corners[seen, 0])
    offset = np.sum(normal * corners[seen, 0], axis=-1)
    area = _cross(b - a, c - a)
    whole = np.abs(area) > 1e-12
    for column in range(int(extent[:, 0].max(initial=0))):
        for row in range(int(extent[:, 1].max(initial=0))):
            chosen = np.flatnonzero(whole & (extent[:, 0] > column) & (extent[:, 1] > row))
            cell = low[chosen] + (column, row)
            point = cell + 0.5
            sign = np.sign(area[chosen])
            pairs = ((a, b), (b, c), (c, a))
            inside = np.all(
                [sign * _cross(to[chosen] - at[chosen], point - at[chosen]) >= 0 for at, to in pairs], axis=0
            )
            chosen, cell, point = chosen[inside], cell[inside], point[inside]
            z = offset[chosen] / np.sum(normal[chosen] * unproject(point, intrinsics), axis=-1)
            np.minimum.at(depth, cell[:, 1] * width + cell[:, 0], z)
    return depth.reshape(height, width)


def _cross(a: Array, b: Array) -> Array:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
