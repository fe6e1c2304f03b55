"""The reference's optimiser: its parametrisation (R1) and its schedule (R3)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from josh_blender.scene4d.rotations import quaternion_from_matrix

from . import objective
from .objective import BodyState, ReferenceState
from .problem import Defects, ReferenceProblem

STAGE_1_RATE, STAGE_1_STEPS = 0.07, 500
STAGE_2_RATE, STAGE_2_STEPS = 0.014, 200
_BETAS = (0.9, 0.9)


@dataclass
class Parameters:
    """K key frames: turn (K,4) quaternions w x y z, shift (K,3) of the pivots, log_size (K,), log_focal (); per person
    root (T,4), trans (T,3), pose (T,23,3,3) raw matrices, betas (B,)."""

    turn: Tensor
    shift: Tensor
    log_size: Tensor
    log_focal: Tensor
    root: list[Tensor]
    trans: list[Tensor]
    pose: list[Tensor]
    betas: list[Tensor]

    def everything(self) -> list[Tensor]:
        """What the optimiser moves, but for the focal."""
        return [self.turn, self.shift, self.log_size, *self.root, *self.trans, *self.pose, *self.betas]


@dataclass
class Trace:
    """Seconds since the start and the stage-2 cost, once every few iterations, with the state."""

    seconds: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    states: list[ReferenceState] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """The end of a run, the seconds it took without the trace, and the trace."""

    state: ReferenceState
    seconds: float
    trace: Trace


def quaternion_matrix(quaternion: Tensor) -> Tensor:
    """Rotations (...,3,3) of quaternions (...,4) w x y z, normalised inside."""
    w, x, y, z = (quaternion / quaternion.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, -1).reshape(*quaternion.shape[:-1], 3, 3)


def start(problem: ReferenceProblem) -> Parameters:
    """Identity cameras, sizes 1, the given focal, the estimated bodies (R1)."""
    count, like = problem.keyframes, problem.median
    turn = like.new_zeros(count, 4)
    turn[:, 0] = 1.0
    people = problem.people
    return Parameters(
        turn,
        like.new_zeros(count, 3),
        like.new_zeros(count),
        like.new_zeros(()),
        [torch.as_tensor(quaternion_from_matrix(p.rotation[:, 0].numpy())).to(like) for p in people],
        [p.trans.clone() for p in people],
        [p.rotation[:, 1:].clone() for p in people],
        [p.betas.clone() for p in people],
    )


def tree_levels(problem: ReferenceProblem) -> list[tuple[Tensor, Tensor]]:
    """The tree's edges by distance from the root: parents and children that can be placed at once."""
    level = {problem.tree[0][0] if problem.tree else 0: 0}
    found: dict[int, list[tuple[int, int]]] = {}
    for parent, child in problem.tree:
        level[child] = level[parent] + 1
        found.setdefault(level[child], []).append((parent, child))
    return [
        (torch.tensor([edge[0] for edge in found[key]]), torch.tensor([edge[1] for edge in found[key]]))
        for key in sorted(found)
    ]


def state_of(problem: ReferenceProblem, parameters: Parameters, levels: list[tuple[Tensor, Tensor]]) -> ReferenceState:
    """The state that the parameters mean: the camera chain about its pivots (R1)."""
    turn, shift = quaternion_matrix(parameters.turn), parameters.shift
    rotation, place = turn, shift
    for parent, child in levels:
        base = rotation[parent]
        rotation = rotation.index_copy(0, child, base @ turn[child])
        moved = (base @ shift[child][..., None])[..., 0] + place[parent]
        place = place.index_copy(0, child, moved)
    pivot = parameters.log_size.exp() * problem.median.to(turn) * parameters.log_focal.exp()
    centre = place - rotation[..., 2] * pivot[:, None]
    bodies = []
    parts = zip(parameters.root, parameters.trans, parameters.pose, parameters.betas, strict=True)
    for root, trans, pose, betas in parts:
        bodies.append(BodyState(torch.cat([quaternion_matrix(root)[:, None], pose], 1), trans, betas))
    return ReferenceState(rotation, centre, parameters.log_size, parameters.log_focal, tuple(bodies))


def converted(value: Any, dtype: torch.dtype) -> Any:
    """A dataclass with its floating tensors in another precision."""
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{part.name: converted(getattr(value, part.name), dtype) for part in fields(value)})
    if isinstance(value, tuple):
        return tuple(converted(part, dtype) for part in value)
    return value


def _detached(state: ReferenceState) -> ReferenceState:
    def plain(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.detach().to(torch.float64).clone()
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{part.name: plain(getattr(value, part.name)) for part in fields(value)})
        return tuple(plain(part) for part in value)

    return plain(state)  # type: ignore[no-any-return]


def solve(
    problem: ReferenceProblem,
    defects: Defects,
    steps: tuple[int, int] = (STAGE_1_STEPS, STAGE_2_STEPS),
    trace_every: int = 0,
) -> Run:
    """Both stages. ``trace_every`` (0: never) stage-2 iterations the state is kept; keeping costs no counted time."""
    single = converted(problem, torch.float32)
    parameters = start(single)
    for parameter in [*parameters.everything(), parameters.log_focal]:
        parameter.requires_grad_(True)
    levels = tree_levels(problem)
    trace = Trace()
    spent = 0.0
    for cost, rate, count, with_focal in (
        (objective.stage_1, STAGE_1_RATE, steps[0], False),
        (objective.stage_2, STAGE_2_RATE, steps[1], True),
    ):
        spent = _stage(problem, single, parameters, levels, defects, cost, rate, count, with_focal,
                       trace, trace_every if with_focal else 0, spent)  # fmt: skip
    return Run(_detached(state_of(single, parameters, levels)), spent, trace)


def _stage(
    problem: ReferenceProblem, single: ReferenceProblem, parameters: Parameters, levels: list[tuple[Tensor, Tensor]],
    defects: Defects, cost: Callable[[ReferenceProblem, ReferenceState], Tensor], rate: float, count: int,
    with_focal: bool, trace: Trace, trace_every: int, spent: float,
) -> float:  # fmt: skip
    optimisers = [torch.optim.Adam(parameters.everything(), lr=rate, betas=_BETAS)]
    if with_focal:
        optimisers.append(torch.optim.Adam([parameters.log_focal], lr=rate, betas=_BETAS))
    # The shared focal stands once per key frame in the released code's list of parameters.
    repeats = problem.keyframes if defects.repeated_focal else 1
    began = perf_counter() - spent
    for iteration in range(count):
        for group in (group for optimiser in optimisers for group in optimiser.param_groups):
            group["lr"] = rate * (1.0 + math.cos(math.pi * iteration / count)) / 2.0
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        value = cost(single, state_of(single, parameters, levels))
        if not torch.isfinite(value):
            break
        value.backward()
        optimisers[0].step()
        for _ in range(repeats if with_focal else 0):
            optimisers[1].step()
        _renormalise(parameters, defects)
        if trace_every and (iteration + 1) % trace_every == 0:
            pause = perf_counter()
            state = _detached(state_of(single, parameters, levels))
            trace.seconds.append(pause - began)
            trace.cost.append(float(objective.stage_2(problem, state)))
            trace.states.append(state)
            began += perf_counter() - pause
    return perf_counter() - began


def _renormalise(parameters: Parameters, defects: Defects) -> None:
    with torch.no_grad():
        parameters.turn /= parameters.turn.norm(dim=-1, keepdim=True)
        if not defects.free_matrices:
            for pose in parameters.pose:
                # Two Newton steps of the polar decomposition: back on SO(3) after every step.
                for _ in range(2):
                    pose.copy_(1.5 * pose - 0.5 * pose @ pose.transpose(-1, -2) @ pose)
