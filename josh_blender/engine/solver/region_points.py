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
