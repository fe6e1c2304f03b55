"""One point of the body per contact region: what touches the scene there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.body import BodyModel
from ...scene4d.conventions import CONTACT_REGIONS

Array = NDArray[Any]

#: Regions of the feet with their row in `BodyModel.foot_vertices`.
FOOT_REGIONS: dict[str, int] = {"left_heel": 0, "left_ball": 1, "right_heel": 2, "right_ball": 3}
#: Vertices of a foot region this near to its lowest one are its sole.
_SOLE_DEPTH = 0.003
#: In so many directions, evenly spread, the outermost vertex of a region is known.
_DIRECTIONS = 200


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
    """Vertices (H,) that can touch a plane first, and the regions (H,) they belong to: the outermost ones, at rest, of
    every region that is not a foot's."""
    names = list(model.region_names)
    directions = _spread_directions(_DIRECTIONS)
    vertices, regions = [np.zeros(0, int)], [np.zeros(0, int)]
    for row, name in enumerate(CONTACT_REGIONS):
        inside = np.flatnonzero(np.asarray(model.region_of_vertex) == (names.index(name) if name in names else -2))
        if name not in FOOT_REGIONS and len(inside):
            outside = inside[np.unique((np.asarray(model.v_template)[inside] @ directions.T).argmax(0))]
            vertices.append(outside)
            regions.append(np.full(len(outside), row))
    return np.concatenate(vertices), np.concatenate(regions)


def _spread_directions(count: int) -> Array:
    """Unit vectors (N,3) on a Fibonacci spiral."""
    height = 1.0 - (2.0 * np.arange(count) + 1.0) / count
    angle = np.pi * (3.0 - np.sqrt(5.0)) * np.arange(count)
    radius = np.sqrt(1.0 - height**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], 1)
