"""Where the second-order solve starts: key frames chained by robust similarities between what their depth maps lift, as
our own solver's start is (`bench.controlled.structure`), all edges at once, and a scale that suits the people."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bench.controlled import structure
from josh_blender.engine.solver import so3

from . import objective
from .objective import SCALE, SMOOTH, STATIC, WIDE, BodyState, ReferenceState
from .problem import ReferencePerson, ReferenceProblem

_SCALE_ROUNDS = 10
#: People whose terms want the place smaller than this share of its unit are wrong.
_LEAST_SCALE = 1e-2


def start(problem: ReferenceProblem) -> ReferenceState:
    """The start: cameras and sizes from the depth maps, the given focal, the estimated bodies."""
    count, like = problem.keyframes, problem.median
    rotation, centre = torch.eye(3).to(like).repeat(count, 1, 1), like.new_zeros(count, 3)
    size = like.new_ones(count)
    if problem.tree:
        for (parent, child), scale, turn, shift in zip(problem.tree, *edge_similarities(problem), strict=True):
            rotation[child] = rotation[parent] @ turn
            centre[child] = centre[parent] + size[parent] * (rotation[parent] @ shift)
            size[child] = size[parent] * scale
    state = ReferenceState(
        so3.renormalize(rotation), centre, size.log(), like.new_zeros(()), objective.initial_bodies(problem)
    )
    scale = people_scale(problem, state)
    return replace(state, centre=scale * centre, log_size=(scale * size).log())


def edge_similarities(problem: ReferenceProblem) -> tuple[Tensor, Tensor, Tensor]:
    """Scale (E,), rotation (E,3,3) and translation (E,3) of every edge of the tree, child -> parent, both at size 1."""
    pairs, count = problem.pairs, problem.keyframes
    edges = torch.tensor(problem.tree)
    # Edges have different numbers of correspondences: rows (E,N), with a weight of 0 beyond an edge's own.
    place = torch.full((count * count,), -1)
    place[edges[:, 0] * count + edges[:, 1]] = torch.arange(len(edges))
    edge = place[pairs.first * count + pairs.second]
    chosen = torch.nonzero(edge >= 0)[:, 0]
    chosen = chosen[torch.argsort(edge[chosen], stable=True)]
    size = torch.bincount(edge[chosen], minlength=len(edges))
    slot = torch.arange(int(size.max()))
    known = slot < size[:, None]
    rows = chosen[((size.cumsum(0) - size)[:, None] + slot).clamp(max=len(chosen) - 1)]

    def lifted(key: Tensor, pixel: Tensor, anchor: Tensor, ratio: Tensor) -> Tensor:
        depth = (problem.median[key] * anchor * ratio)[rows][..., None]
        return torch.cat([pixel[rows] / problem.focal * depth, depth], -1)

    target = lifted(pairs.first, pairs.pixel_first, pairs.anchor_first, pairs.ratio_first)
    source = lifted(pairs.second, pairs.pixel_second, pairs.anchor_second, pairs.ratio_second)
    return structure.robust_similarities(source, target, known)


def people_scale(problem: ReferenceProblem, state: ReferenceState) -> Tensor:
    """The factor () on centres and sizes at which the bodies fit best: E2D does not notice it, and every SMPL term that
    does is a convex function of vectors linear in it. So reweighting finds the minimum from anywhere."""
    linear = [
        part
        for person, body in zip(problem.people, state.bodies, strict=True)
        for part in _linear_in_scale(problem, state, person, body)
    ]
    scale = state.log_size.new_ones(())
    for number in range(_SCALE_ROUNDS if linear else 0):
        above, below = scale.new_zeros(()), scale.new_zeros(())
        for factor, slope, rest in linear:
            length = objective.smooth_length(((scale * slope + rest) ** 2).sum(-1))
            # The first round counts all alike: nothing is known yet of what is wrong.
            weight = objective.robust_slope(length, WIDE) / length if number else torch.ones_like(length)
            above = above - factor * (weight * (slope * rest).sum(-1)).mean()
            below = below + factor * (weight * (slope**2).sum(-1)).mean()
        scale = (above / below.clamp(min=1e-12)).clamp(min=_LEAST_SCALE)
    return scale


def _linear_in_scale(
    problem: ReferenceProblem, state: ReferenceState, person: ReferencePerson, body: BodyState
) -> list[tuple[float, Tensor, Tensor]]:
    """(factor, slope (N,D), rest (N,D)) of the person's terms: their vectors are slope * scale + rest."""
    contacts, keys = person.contacts, person.keys
    at = objective.posed(person.points, body)
    turn, centre = state.rotation[keys], state.centre[keys]
    points, joints = at.points @ turn.transpose(1, 2), at.joints @ turn.transpose(1, 2)
    parts = []
    if len(contacts.key):
        deep = objective.depth_of(problem, state, contacts.key, contacts.anchor, contacts.ratio, corrected=False)
        parts.append((SCALE * person.share, deep[:, None], -at.points[contacts.row, contacts.point, 2:]))
    if len(contacts.before):
        before, after, point = contacts.before, contacts.after, contacts.static_point
        slip = points[after, point] - points[before, point]
        parts.append((STATIC * person.share, centre[after] - centre[before], slip))
    if len(keys) > 2:
        a, b, c = (factor[:, None] for factor in objective.smooth_coefficients(keys, centre.dtype))
        slope = a * centre[:-2] + b * centre[1:-1] + c * centre[2:]
        a, b, c = a[..., None], b[..., None], c[..., None]
        rest = a * joints[:-2] + b * joints[1:-1] + c * joints[2:]
        parts.append((SMOOTH * person.share, slope.repeat_interleave(rest.shape[1], 0), rest.flatten(0, 1)))
    return parts
