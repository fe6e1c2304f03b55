"""The reference's objective (R2) as functions of the state, smooth where the reference has corners.

Every |x| is sqrt(|x|^2 + eps^2): its slope at zero, where the prior starts, would give a second-order method infinite
weights. First- and second-order solvers are measured by the same function.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from josh_blender.engine.solver.body_points import BodyPoints, PosedPoints, pose

from .problem import Pairs, ReferencePerson, ReferenceProblem

EPSILON = 1e-3
SCALE, STATIC, PRIOR, SMOOTH = 1.0, 0.1, 100.0, 0.1
WIDE, NARROW = 1.1, 0.4
NEAREST = 1e-3
PIXEL_LOW, PIXEL_HIGH = -1000.0, 2000.0


@dataclass(frozen=True)
class BodyState:
    """rotation (T,24,3,3) of each joint in its parent, the root's in its camera; trans (T,3) m; betas (B,)."""

    rotation: Tensor
    trans: Tensor
    betas: Tensor


@dataclass(frozen=True)
class ReferenceState:
    """rotation (K,3,3), centre (K,3): world from camera, m; log_size (K,): metres per unit of each depth map;
    log_focal (): of the focal at 512 px over its start."""

    rotation: Tensor
    centre: Tensor
    log_size: Tensor
    log_focal: Tensor
    bodies: tuple[BodyState, ...]


def robust(length: Tensor, power: float) -> Tensor:
    """rho_g(x) = (x + o)^g - o^g with slope 1 at 0 (R2)."""
    offset = (1.0 / power) ** (1.0 / (power - 1.0))
    return (length + offset) ** power - offset**power


def robust_slope(length: Tensor, power: float) -> Tensor:
    """rho_g'(x)."""
    offset = (1.0 / power) ** (1.0 / (power - 1.0))
    return power * (length + offset) ** (power - 1.0)


def smooth_length(squared: Tensor) -> Tensor:
    """sqrt(|x|^2 + eps^2)."""
    return (squared + EPSILON**2).sqrt()


def penalty(squared: Tensor, power: float) -> Tensor:
    """rho_g of the smoothed length of vectors with these squares, zero at zero."""
    return robust(smooth_length(squared), power) - robust(squared.new_tensor(EPSILON), power)


def depth_of(
    problem: ReferenceProblem, state: ReferenceState, key: Tensor, anchor: Tensor, ratio: Tensor, corrected: bool = True
) -> Tensor:
    """Depth (N,) of map pixels: z_k + (d - 1) m_k sigma_k, times the ratio corrected for the focal (R1)."""
    scale = state.log_size.exp()[key] * problem.median.to(state.log_size)[key]
    zoom = state.log_focal.exp()
    depth = scale * (zoom + anchor - 1.0)
    return depth * (1.0 + (ratio - 1.0) / zoom) if corrected else depth * ratio


def lifted(
    problem: ReferenceProblem, state: ReferenceState, key: Tensor, pixel: Tensor, anchor: Tensor, ratio: Tensor
) -> Tensor:
    """Points (N,3) in camera axes of pixels (N,2)."""
    focal = problem.focal * state.log_focal.exp()
    depth = depth_of(problem, state, key, anchor, ratio)
    return torch.cat([pixel / focal, torch.ones_like(pixel[:, :1])], -1) * depth[:, None]


def to_world(state: ReferenceState, key: Tensor, point: Tensor) -> Tensor:
    """Points (N,3) of cameras key (N,) in the world."""
    return (state.rotation[key] @ point[..., None])[..., 0] + state.centre[key]


def correspondence_3d(problem: ReferenceProblem, state: ReferenceState) -> Tensor:
    """E3D: both sides of a correspondence are one point."""
    pairs = problem.pairs
    first = lifted(problem, state, pairs.first, pairs.pixel_first, pairs.anchor_first, pairs.ratio_first)
    second = lifted(problem, state, pairs.second, pairs.pixel_second, pairs.anchor_second, pairs.ratio_second)
    gap = to_world(state, pairs.first, first) - to_world(state, pairs.second, second)
    return penalty((gap**2).sum(-1), WIDE).mean()


def projected(problem: ReferenceProblem, state: ReferenceState, pairs: Pairs) -> tuple[Tensor, Tensor]:
    """Pixels (C,2) of the second sides in the first cameras, and their points (C,3) in those cameras."""
    second = lifted(problem, state, pairs.second, pairs.pixel_second, pairs.anchor_second, pairs.ratio_second)
    offset = to_world(state, pairs.second, second) - state.centre[pairs.first]
    local = (state.rotation[pairs.first].transpose(-1, -2) @ offset[..., None])[..., 0]
    focal = problem.focal * state.log_focal.exp()
    pixel = focal * local[:, :2] / local[:, 2:].clamp(min=NEAREST)
    return pixel.clamp(PIXEL_LOW, PIXEL_HIGH), local


def correspondence_2d(problem: ReferenceProblem, state: ReferenceState) -> Tensor:
    """E2D: ... and projects where it was seen, px at 512 px."""
    pixel, _ = projected(problem, state, problem.pairs)
    return penalty(((problem.pairs.pixel_first - pixel) ** 2).sum(-1), NARROW).mean()


def posed(points: BodyPoints, body: BodyState) -> PosedPoints:
    """The person's contact vertices and joints in the camera."""
    return pose(points, body.rotation, body.trans, body.betas)


def prior_squares(person: ReferencePerson, body: BodyState) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Squared distances from the estimate: |q - q0|^2 (T,), |t - t0|^2 (T,), |R - R0|^2 of the pose (T,), betas ()."""
    trace = (person.rotation[:, 0] * body.rotation[:, 0]).sum((-1, -2))
    # |q - q0|^2 = 2 - 2 cos(angle / 2), and 1 + trace = 4 cos^2(angle / 2).
    turn = 2.0 - (1.0 + trace).clamp(min=1e-9).sqrt()
    return (
        turn.clamp(min=0.0),
        ((body.trans - person.trans) ** 2).sum(-1),
        ((body.rotation[:, 1:] - person.rotation[:, 1:]) ** 2).sum((-1, -2, -3)),
        ((body.betas - person.betas) ** 2).sum(),
    )


def smooth_coefficients(keys: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """Coefficients (T-2,) of three key frames in a row in the change of velocity per key frame (R2)."""
    gap = (keys[1:] - keys[:-1]).to(dtype)
    before, after = 1.0 / gap[:-1], 1.0 / gap[1:]
    return [before, -before - after, after]


def person_terms(problem: ReferenceProblem, state: ReferenceState, number: int) -> dict[str, Tensor]:
    """The SMPL terms of one person with their weights, before the person's share."""
    person, body = problem.people[number], state.bodies[number]
    contacts = person.contacts
    at = posed(person.points, body)
    none = body.trans.new_zeros(())
    terms = {"scale": none, "static": none, "smooth": none}
    if len(contacts.key):
        scene = depth_of(problem, state, contacts.key, contacts.anchor, contacts.ratio, corrected=False)
        gap = scene - at.points[contacts.row, contacts.point, 2] * state.log_focal.exp()
        terms["scale"] = SCALE * penalty(gap**2, WIDE).mean()
    if len(contacts.before):
        ends = [
            to_world(state, person.keys[row], at.points[row, contacts.static_point])
            for row in (contacts.before, contacts.after)
        ]
        terms["static"] = STATIC * penalty(((ends[1] - ends[0]) ** 2).sum(-1), WIDE).mean()
    if len(person.keys) > 2:
        world = (state.rotation[person.keys][:, None] @ at.joints[..., None])[..., 0]
        world = world + state.centre[person.keys][:, None]
        count = len(world) - 2
        change = sum(
            factor[:, None, None] * world[shift : shift + count]
            for shift, factor in enumerate(smooth_coefficients(person.keys, world.dtype))
        )
        terms["smooth"] = SMOOTH * penalty((change**2).sum(-1), WIDE).mean()
    turn, place, joints, shape = prior_squares(person, body)
    terms["prior"] = PRIOR * (
        penalty(turn, WIDE).mean() + penalty(place, WIDE).mean() + penalty(joints, WIDE).mean() + penalty(shape, WIDE)
    )
    return terms


def people_cost(problem: ReferenceProblem, state: ReferenceState) -> Tensor:
    """All SMPL terms, people weighted by their key frames (R2)."""
    total = state.log_size.new_zeros(())
    for number, person in enumerate(problem.people):
        total = total + person.share * sum(person_terms(problem, state, number).values())
    return total


def stage_1(problem: ReferenceProblem, state: ReferenceState) -> Tensor:
    """E3D and the SMPL terms."""
    return correspondence_3d(problem, state) + people_cost(problem, state)


def stage_2(problem: ReferenceProblem, state: ReferenceState) -> Tensor:
    """E2D and the SMPL terms: the cost that both solvers are measured by."""
    return correspondence_2d(problem, state) + people_cost(problem, state)


def initial_bodies(problem: ReferenceProblem) -> tuple[BodyState, ...]:
    """The estimates of all people."""
    return tuple(BodyState(person.rotation, person.trans, person.betas) for person in problem.people)
