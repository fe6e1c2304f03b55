"""The depth maps of the key frames as a state of the reference has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.controlled.inputs import Inputs

from . import objective
from .objective import ReferenceState
from .problem import ReferenceProblem, anchor_of

Array = NDArray[Any]


def depths_of(problem: ReferenceProblem, state: ReferenceState, inputs: Inputs) -> list[Array]:
    """Depth (H,W) in metres along z of every key frame, 0 for the sky: each map with its own size (R1)."""
    maps = []
    for number, view in enumerate(inputs.depths):
        row, column = np.nonzero(view.depth > 0.0)
        depth = view.depth[row, column]
        anchor = anchor_of(view, row, column, depth)
        key = torch.full((len(depth),), number)
        relative = torch.as_tensor(anchor) / problem.median[number]
        result = np.zeros(view.depth.shape)
        result[row, column] = objective.depth_of(problem, state, key, relative, torch.as_tensor(depth / anchor)).numpy()
        maps.append(result)
    return maps
