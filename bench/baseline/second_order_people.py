"""The reference's SMPL terms (R2), linearised for a second-order solve: a chain of bodies per person.

The values are those of `objective.person_terms`. Each penalty is bounded from above by a weighted square that touches
it where the state is (iteratively reweighted least squares).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from josh_blender.engine.solver import so3
from josh_blender.engine.solver.arrowhead import BAND, Arrowhead, Chain, Cut
from josh_blender.engine.solver.body_points import (
    BODY_SIZE,
    BodyPoints,
    PosedPoints,
    pose_jacobian,
    shape_jacobian,
    stack_points,
)
from josh_blender.engine.solver.rows import Rows, add_block, add_rows
from josh_blender.scene4d.conventions import JOINT_COUNT

from . import objective
from .objective import PRIOR, SCALE, SMOOTH, STATIC, WIDE, BodyState, ReferenceState
from .problem import ReferencePerson, ReferenceProblem
from .second_order_terms import Layout


@dataclass(frozen=True)
class Person:
    """given: the person of the problem; points: the 24 joints, then the contact points; coefficients: those of three
    key frames in a row in smoothness, (T-2,) each, none where there are fewer key frames."""

    given: ReferencePerson
    points: BodyPoints
    coefficients: list[Tensor]

    @classmethod
    def of(cls, given: ReferencePerson) -> Person:
        points = given.points
        eye = torch.eye(JOINT_COUNT).to(points.weight)
        joints = replace(
            points, weight=eye, rest=eye[..., None] * points.joint_rest, dirs=eye[..., None, None] * points.joint_dirs
        )
        coefficients = objective.smooth_coefficients(given.keys, points.weight.dtype) if len(given.keys) > 2 else []
        return cls(given, stack_points(joints, points), coefficients)


@dataclass(frozen=True)
class Posed:
    """A person as a state shows them. at: the points in the camera; world (T,P,3): the same in the world. Residuals of
    smoothness: change (T-2,24,3), of static pairs: slip (S,3), of the contact scale: gap (E,). weight: of the vectors
    of each term, those of the priors called root, place, joints (T,) and betas (); cost ()."""

    at: PosedPoints
    world: Tensor
    change: Tensor
    slip: Tensor
    gap: Tensor
    weight: dict[str, Tensor]
    cost: Tensor


def pose_person(person: Person, problem: ReferenceProblem, state: ReferenceState, body: BodyState) -> Posed:
    """The SMPL terms of one person in a state, with what their slopes need."""
    given = person.given
    contacts = given.contacts
    at = objective.posed(person.points, body)
    turn, centre = state.rotation[given.keys], state.centre[given.keys]
    world = at.points @ turn.transpose(1, 2) + centre[:, None]
    count = max(len(world) - 2, 0)
    change = world.new_zeros(count, JOINT_COUNT, 3)
    for shift, coefficient in enumerate(person.coefficients):
        change += coefficient[:, None, None] * world[shift : shift + count, :JOINT_COUNT]
    point = JOINT_COUNT + contacts.static_point
    slip = world[contacts.after, point] - world[contacts.before, point]
    scene = objective.depth_of(problem, state, contacts.key, contacts.anchor, contacts.ratio, corrected=False)
    gap = scene - at.points[contacts.row, JOINT_COUNT + contacts.point, 2] * state.log_focal.exp()

    squares = {"smooth": (SMOOTH, (change**2).sum(-1)), "static": (STATIC, (slip**2).sum(-1)), "scale": (SCALE, gap**2)}
    priors = zip(("root", "place", "joints", "betas"), objective.prior_squares(given, body), strict=True)
    squares |= {name: (PRIOR, squared) for name, squared in priors}
    cost, weight = world.new_zeros(()), {}
    for name, (factor, squared) in squares.items():
        # The mean of no vectors is none.
        part = factor * given.share / max(squared.numel(), 1)
        length = objective.smooth_length(squared)
        weight[name] = part * objective.robust_slope(length, WIDE) / length
        cost = cost + part * objective.penalty(squared, WIDE).sum()
    return Posed(at, world, change, slip, gap, weight, cost)


def add_person(
    system: Arrowhead, layout: Layout, number: int, person: Person, problem: ReferenceProblem, state: ReferenceState,
    posed: Posed,
) -> None:  # fmt: skip
    """Adds the SMPL terms of one person as a chain of their own."""
    chain = Chain.zeros(len(posed.world), BODY_SIZE, Cut.whole(layout.size), state.log_size)
    system.chains.append(chain)
    by_body, by_shape = pose_jacobian(person.points, posed.at), shape_jacobian(person.points, posed.at)
    betas = torch.arange(layout.betas_start(number), layout.betas_start(number + 1))
    _add_world(system, chain, layout, person, state, posed, by_body, by_shape, betas)
    _add_scale(system, chain, layout, person, problem, state, posed, by_body, by_shape, betas)
    _add_priors(system, chain, person.given, state.bodies[number], posed.weight, betas)


def _add_world(
    system: Arrowhead, chain: Chain, layout: Layout, person: Person, state: ReferenceState, posed: Posed,
    by_body: Tensor, by_shape: Tensor, betas: Tensor,
) -> None:  # fmt: skip
    """Smoothness and static pairs: both are sums of one point's places in the world at different times. So all of them
    come down to a weight of every point with itself 0, 1 and 2 key frames later, and a force on it."""
    given, contacts = person.given, person.given.contacts
    frames, points = posed.world.shape[:2]
    stiff, force = posed.world.new_zeros(BAND, frames, points), posed.world.new_zeros(frames, points, 3)
    count = len(posed.change)
    for first, one in enumerate(person.coefficients):
        pull = posed.weight["smooth"] * one[:, None]
        force[first : first + count, :JOINT_COUNT] += pull[..., None] * posed.change
        for last, other in enumerate(person.coefficients[first:], first):
            stiff[last - first, first : first + count, :JOINT_COUNT] += pull * other[:, None]
    if len(contacts.before):
        before, after, point = contacts.before, contacts.after, JOINT_COUNT + contacts.static_point
        weight, gap = posed.weight["static"], contacts.after - contacts.before
        # A pair that spans more than the band is replaced by what bounds it from above, each end on its own.
        near = gap < BAND
        for end, sign in ((before, -1.0), (after, 1.0)):
            force.index_put_((end, point), sign * weight[:, None] * posed.slip, accumulate=True)
            stiff[0].index_put_((end, point), torch.where(near, weight, 2.0 * weight), accumulate=True)
        stiff.index_put_((gap[near], before[near], point[near]), -weight[near], accumulate=True)

    keys = given.keys
    turn = state.rotation[keys]
    eye = torch.eye(3, dtype=turn.dtype).expand(frames, points, 3, 3)
    local = torch.cat([by_body, -so3.hat(posed.at.points), eye, by_shape], -1)
    jacobian = (turn[:, None] @ local).flatten(1, 2)
    stiff, force = stiff.repeat_interleave(3, -1)[..., None], force.flatten(1)[:, None]
    gradient = (force @ jacobian)[:, 0]
    cameras = layout.camera(keys)
    columns = torch.cat([cameras, betas.expand(frames, -1)], 1)
    chain.gradient += gradient[:, :BODY_SIZE]
    system.gradient.index_add_(0, columns.reshape(-1), gradient[:, BODY_SIZE:].reshape(-1))
    time = torch.arange(frames)[:, None]
    for later in range(BAND):
        now, then = slice(0, frames - later), slice(later, frames)
        block = (jacobian[now] * stiff[later, now]).transpose(1, 2) @ jacobian[then]
        chain.band[now, later] += block[:, :BODY_SIZE, :BODY_SIZE]
        own, other = block[:, :BODY_SIZE, BODY_SIZE:], block[:, BODY_SIZE:, :BODY_SIZE]
        border = block[:, BODY_SIZE:, BODY_SIZE:]
        chain.border.index_put_((time[now], columns[then]), own.transpose(1, 2), accumulate=True)
        add_block(system.matrix, columns[now], columns[then], border)
        if later:
            chain.border.index_put_((time[then], columns[now]), other, accumulate=True)
            add_block(system.matrix, columns[then], columns[now], border.transpose(1, 2))


def _add_scale(
    system: Arrowhead, chain: Chain, layout: Layout, person: Person, problem: ReferenceProblem, state: ReferenceState,
    posed: Posed, by_body: Tensor, by_shape: Tensor, betas: Tensor,
) -> None:  # fmt: skip
    """Contact scale: in depth only, the body's times the focal's factor."""
    contacts = person.given.contacts
    if not len(contacts.key):
        return
    zoom = state.log_focal.exp()
    point = JOINT_COUNT + contacts.point
    deep = posed.gap + posed.at.points[contacts.row, point, 2] * zoom
    size = (state.log_size.exp() * problem.median)[contacts.key]
    by_focal = zoom * (size * contacts.ratio - posed.at.points[contacts.row, point, 2])
    slopes = torch.cat([deep[:, None], by_focal[:, None], -zoom * by_shape[contacts.row, point, 2]], 1)
    sizes, focal = layout.sizes + contacts.key, torch.full_like(contacts.key, layout.focal)
    columns = torch.cat([sizes[:, None], focal[:, None], betas.expand(len(sizes), -1)], 1)
    body = [(contacts.row, -zoom * by_body[contacts.row, point, 2][:, None, None])]
    weight = posed.weight["scale"][:, None]
    add_rows(system, chain, Rows(posed.gap[:, None, None], weight, body, columns, slopes[:, None, None]))


def _add_priors(
    system: Arrowhead, chain: Chain, given: ReferencePerson, body: BodyState, weight: dict[str, Tensor], betas: Tensor
) -> None:
    """The priors. Turned by an angle a about an axis from its estimate, a joint is 2 sqrt(2) sin(a/2) away as a matrix
    and 2 sin(a/4) as a quaternion: at most a sqrt(2) and a/2, which bounds their squares by quadratic functions."""
    off = given.rotation.transpose(-1, -2) @ body.rotation
    # The axis times 2 sin(a).
    spin = torch.stack(
        [off[..., 2, 1] - off[..., 1, 2], off[..., 0, 2] - off[..., 2, 0], off[..., 1, 0] - off[..., 0, 1]], -1
    )
    half = 1.0 + off[:, 0].diagonal(dim1=-2, dim2=-1).sum(-1)
    place, root, joints = (weight[name][:, None] for name in ("place", "root", "joints"))
    chain.gradient[:, :3] += place * (body.trans - given.trans)
    chain.gradient[:, 3:6] += root * spin[:, 0] / (4.0 * half.clamp(min=1e-9).sqrt()[:, None])
    chain.gradient[:, 6:] += joints * spin[:, 1:].flatten(1)
    main = chain.band[:, 0].diagonal(dim1=-2, dim2=-1)
    main[:, :3] += place
    main[:, 3:6] += 0.25 * root
    main[:, 6:] += 2.0 * joints
    system.gradient[betas] += weight["betas"] * (body.betas - given.betas)
    system.matrix.diagonal()[betas] += weight["betas"]
