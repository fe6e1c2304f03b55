"""One point of the body per contact region: what touches the scene there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from ...scene4d.body import BodyModel
from ...scene4d.conventions import CONTACT_REGIONS

Array = NDArray[Any]

#: Regions of the feet with their row in `BodyModel.foot_vertices`.
FOOT_REGIONS: dict[str, int] = {"left_heel": 0, "left_ball": 1, "right_heel": 2, "right_ball": 3}
#: Vertices of a foot region this near to its lowest one are its sole.
_SOLE_DEPTH = 0.003
#: A convex hull in space needs four points.
_LEAST_OF_HULL = 4


def region_mix(model: BodyModel) -> Array:
    """vertex_mix (R,V): the sole of each foot region, the middle of the others (rows of absent regions are zero)."""
    template = np.asarray(model.v_template)
    names = list(model.region_names)
    mix = np.zeros((len(CONTACT_REGIONS), len(template)))
    for row, name in enumerate(CONTACT_REGIONS):
        inside = np.asarray(model.region_of_vertex) == (names.index(name) if name in names else -2)
        if name in FOOT_REGIONS:
            if inside.any():
                inside &= template[:, 1] < template[inside, 1].min() + _SOLE_DEPTH
            else:
                inside[model.foot_vertices[FOOT_REGIONS[name]]] = True
        if inside.any():
            mix[row, inside] = 1.0 / inside.sum()
    return mix


def region_hulls(model: BodyModel) -> tuple[Array, Array]:
    """Vertices (H,) that can touch a plane first, and the regions (H,) they belong to: those on the convex hull, at
    rest, of every region that is not a foot's."""
    names = list(model.region_names)
    vertices, regions = [np.zeros(0, int)], [np.zeros(0, int)]
    for row, name in enumerate(CONTACT_REGIONS):
        inside = np.flatnonzero(np.asarray(model.region_of_vertex) == (names.index(name) if name in names else -2))
        if name in FOOT_REGIONS or len(inside) < _LEAST_OF_HULL:
            continue
        # QJ: flat regions have a hull, too.
        outside = inside[ConvexHull(np.asarray(model.v_template)[inside], qhull_options="QJ").vertices]
        vertices.append(outside)
        regions.append(np.full(len(outside), row))
    return np.concatenate(vertices), np.concatenate(regions)
