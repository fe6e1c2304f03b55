"""A track of any length in bounded memory: its shape from frames all over it, its poses in windows that overlap."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ...scene4d.rotations import slerp_matrices
from .problem import FitState, Problem, minimise

#: Frames that are fitted at once at most, and which share of them two windows have in common.
_LONGEST = 400
_SHARED = 0.15
#: Steps with the shape as it came, before it is free.
_FIRST_STEPS = 4


def solve(problem: Problem, start: FitState, iterations: int, longest: int = _LONGEST) -> FitState:
    """The fit of a whole track from a start; at most ``longest`` frames are in memory at once."""
    count = len(start.trans)
    if count <= longest:
        state = minimise(problem, start, _FIRST_STEPS, free_shape=False)
        return minimise(problem, state, iterations, free_shape=True)
    some = torch.arange(0, count, -(-count // longest))
    spread = solve(problem.part(some), start.part(some), iterations, longest)
    state = replace(start, betas=spread.betas, scale=spread.scale)
    rotation, trans = state.rotation.clone(), state.trans.clone()
    done = 0
    for first, end in windows(count, longest, round(_SHARED * longest)):
        rows = torch.arange(first, end)
        found = minimise(problem.part(rows), state.part(rows), iterations + _FIRST_STEPS, free_shape=False)
        # From the window before to this one over the middle half of what they share: a window's ends hang loose.
        shared = done - first
        weight = ((rows - first + 1.0 - 0.25 * shared) / (0.5 * shared + 1.0)).clamp(0.0, 1.0).to(trans.dtype)
        rotation[rows] = _between(rotation[rows], found.rotation, weight)
        trans[rows] += weight[:, None] * (found.trans - trans[rows])
        done = end
    return replace(state, rotation=rotation, trans=trans)


def windows(count: int, longest: int, shared: int) -> Iterator[tuple[int, int]]:
    """First frame and end of each window: as many as needed, equally long but for rounding, each sharing ``shared``
    frames with the next."""
    number = -(-(count - shared) // (longest - shared))
    edges = np.linspace(0, count - shared, number + 1).round().astype(int)
    for first, end in itertools.pairwise(edges):
        yield int(first), int(end) + shared


def _between(first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    weights = weight[:, None].expand(first.shape[:2])
    return torch.as_tensor(slerp_matrices(first.numpy(), second.numpy(), weights.numpy()))
