"""The reference's E2D (R2), linearised for a second-order solve, and what that solves for.

The values are those of `objective`, computed from what the slopes need too, so that a trial step costs one pass over
the correspondences.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from josh_blender.engine.solver import so3
from josh_blender.engine.solver.arrowhead import Arrowhead
from josh_blender.engine.solver.rows import add_block

from .objective import EPSILON, NARROW, NEAREST, PIXEL_HIGH, PIXEL_LOW, BodyState, ReferenceState
from .problem import ReferenceProblem

#: Correspondences of one pair of key frames per block.
_BLOCK = 32
#: o of the robust function rho_g(x) = (x + o)^g - o^g of E2D.
_OFFSET = (1.0 / NARROW) ** (1.0 / (NARROW - 1.0))


@dataclass(frozen=True)
class Layout:
    """Columns of the border: 6 per key frame (turn, shift in the camera), a log size each, the log focal, betas."""

    keyframes: int
    betas: tuple[int, ...]

    @property
    def sizes(self) -> int:
        return 6 * self.keyframes

    @property
    def focal(self) -> int:
        return 7 * self.keyframes

    def betas_start(self, person: int) -> int:
        return self.focal + 1 + sum(self.betas[:person])

    @property
    def size(self) -> int:
        return self.betas_start(len(self.betas))

    @classmethod
    def of(cls, problem: ReferenceProblem) -> Layout:
        return cls(problem.keyframes, tuple(len(person.betas) for person in problem.people))

    def camera(self, key: Tensor) -> Tensor:
        """Columns (...,6) of the cameras of key frames (...)."""
        return 6 * key[..., None] + torch.arange(6)


def retract(state: ReferenceState, layout: Layout, border: Tensor, chains: list[Tensor]) -> ReferenceState:
    """The state after a step: border (Z,), per person (T,75)."""
    keys = border[: layout.sizes].reshape(-1, 6)
    bodies = []
    for person, (body, step) in enumerate(zip(state.bodies, chains, strict=True)):
        start = layout.betas_start(person)
        turn = so3.exp(step[:, 3:].reshape(len(step), -1, 3))
        betas = body.betas + border[start : start + layout.betas[person]]
        bodies.append(BodyState(so3.renormalize(body.rotation @ turn), body.trans + step[:, :3], betas))
    return ReferenceState(
        so3.renormalize(state.rotation @ so3.exp(keys[:, :3])),
        state.centre + (state.rotation @ keys[:, 3:, None])[..., 0],
        state.log_size + border[layout.sizes : layout.focal],
        state.log_focal + border[layout.focal],
        tuple(bodies),
    )


# --- the correspondences ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Correspondences:
    """E2D's correspondences in order of their Q ordered pairs of key frames, in N blocks of S of the same pair.

    first, second (Q,): key frames; pair (N,): that of a block. pixel (N,2,S): where the first saw it; ray (N,2,S): the
    second's pixel over the start's focal; anchor, ratio (N,1,S) of the second side; share (N,1,S): what it counts, 0
    where a block is not full.
    """

    first: Tensor
    second: Tensor
    pair: Tensor
    pixel: Tensor
    ray: Tensor
    anchor: Tensor
    ratio: Tensor
    share: Tensor

    @classmethod
    def of(cls, problem: ReferenceProblem) -> Correspondences:
        pairs, count = problem.pairs, problem.keyframes
        number, order = torch.sort(pairs.first * count + pairs.second)
        every, size = torch.unique_consecutive(number, return_counts=True)
        blocks = (size + _BLOCK - 1) // _BLOCK
        pair = torch.repeat_interleave(torch.arange(len(every)), blocks)
        # Rows of a block begin where its pair does, moved on by the blocks of the pair before it.
        within = torch.arange(len(pair)) - (blocks.cumsum(0) - blocks)[pair]
        start = (size.cumsum(0) - size)[pair] + _BLOCK * within
        left = (size[pair] - _BLOCK * within)[:, None]
        slot = torch.arange(_BLOCK)
        # A block that is not full repeats its first row, which then counts nothing.
        full = slot < left
        row = order[start[:, None] + torch.where(full, slot, 0)]
        share = full.to(pairs.pixel_first) / len(order)
        pixel = pairs.pixel_first[row].transpose(1, 2).contiguous()
        ray = (pairs.pixel_second[row] / problem.focal).transpose(1, 2).contiguous()
        anchor, ratio = (side[row][:, None] for side in (pairs.anchor_second, pairs.ratio_second))
        return cls(every // count, every % count, pair, pixel, ray, anchor, ratio, share[:, None])


@dataclass(frozen=True)
class Projected:
    """The correspondences as a state shows them: turn (Q,3,3), shift (Q,3,1) of the second camera in the first; deep
    (N,1,S): depth of the second side at size 1; point (N,3,S) in the first camera; offset (N,2,S): its pixel less the
    one seen, with the square of its length (N,1,S); moves (N,2,S): 0 where the pixel is clamped; length (N,1,S): the
    offset's, smoothed; power (N,1,S): (length + o)^(g - 2) of the robust function; cost ()."""

    turn: Tensor
    shift: Tensor
    deep: Tensor
    point: Tensor
    offset: Tensor
    squared: Tensor
    moves: Tensor
    length: Tensor
    power: Tensor
    cost: Tensor


def project(seen: Correspondences, problem: ReferenceProblem, state: ReferenceState) -> Projected:
    """E2D of a state, with what its slopes need."""
    zoom = state.log_focal.exp()
    back = state.rotation[seen.first].transpose(-1, -2)
    turn = back @ state.rotation[seen.second]
    shift = back @ (state.centre[seen.second] - state.centre[seen.first])[..., None]
    size = state.log_size.exp() * problem.median
    deep = (seen.anchor + (zoom - 1.0)) * ((seen.ratio - 1.0) / zoom + 1.0)
    local = torch.cat([seen.ray * (deep / zoom), deep], 1)
    point = torch.baddbmm(shift[seen.pair], (turn * size[seen.second, None, None])[seen.pair], local)
    pixel = (problem.focal * zoom) * point[:, :2] / point[:, 2:].clamp(min=NEAREST)
    clamped = pixel.clamp(PIXEL_LOW, PIXEL_HIGH)
    offset = clamped - seen.pixel
    squared = (offset * offset).sum(1, keepdim=True)
    length = (squared + EPSILON**2).sqrt()
    power = (length + _OFFSET) ** (NARROW - 2.0)
    # As `objective.penalty`, 0 at 0; the shares add up to 1.
    cost = (seen.share * power * (length + _OFFSET) ** 2).sum() - (EPSILON + _OFFSET) ** NARROW
    moves = (pixel == clamped).to(pixel)
    return Projected(turn, shift, deep, point, offset, squared, moves, length, power, cost)


def add_correspondences(
    system: Arrowhead, layout: Layout, seen: Correspondences, problem: ReferenceProblem, state: ReferenceState,
    at: Projected,
) -> None:  # fmt: skip
    """Adds E2D.

    A pair's cameras act by their relative motion alone: seven slopes each, (shift, turn of what is there in the first
    camera, log focal). The second map's size is a shift too: stretching about the second camera is stretching about
    the first, which no pixel notices, and a shift.

    Across the offset the robust function has the curvature of plain reweighting, along it Newton's where that is not
    negative (Triggs et al. 2000): less by so much that reweighting alone takes twice the steps.
    """
    along, across = (_slopes(seen, problem, state, at, direction) for direction in _directions(at))
    outer = at.length + _OFFSET
    slope = (NARROW * seen.share) * at.power * outer
    weight = slope / at.length
    bent = weight - at.squared / at.length**2 * (weight + (1.0 - NARROW) * slope / outer)
    block = (along * bent.clamp(min=0.0)) @ along.transpose(1, 2) + (across * weight) @ across.transpose(1, 2)
    pull = along @ (weight * at.squared.sqrt()).transpose(1, 2)
    pairs = len(seen.first)
    hessian = block.new_zeros(pairs, 7, 7).index_add_(0, seen.pair, block)
    gradient = block.new_zeros(pairs, 7, 1).index_add_(0, seen.pair, pull)

    by = _relative(at)
    focal = torch.full_like(seen.first, layout.focal)
    columns = torch.cat(
        [
            layout.camera(seen.first),
            layout.camera(seen.second),
            torch.stack([layout.sizes + seen.second, focal], 1),
        ],
        1,
    )
    add_block(system.matrix, columns, columns, by.transpose(1, 2) @ hessian @ by)
    system.gradient.index_add_(0, columns.reshape(-1), (by.transpose(1, 2) @ gradient).reshape(-1))


def _directions(at: Projected) -> tuple[Tensor, Tensor]:
    """Unit vectors (N,2,S) along the offsets and across them."""
    unit = at.offset / at.squared.sqrt().clamp(min=1e-12)
    return unit, torch.cat([-unit[:, 1:], unit[:, :1]], 1)


def _slopes(
    seen: Correspondences, problem: ReferenceProblem, state: ReferenceState, at: Projected, direction: Tensor
) -> Tensor:
    """Slopes (N,7,S) of the pixels in directions (N,2,S). Nothing is behind its camera and yet not clamped."""
    zoom = state.log_focal.exp()
    focal = problem.focal * zoom
    inverse = 1.0 / at.point[:, 2:].clamp(min=NEAREST)
    x, y = at.point[:, :1] * inverse, at.point[:, 1:2] * inverse
    pixels = focal * inverse
    # A longer focal moves the lifted point, at size 1 by this.
    size = (state.log_size.exp() * problem.median)[seen.second, None, None]
    deeper = zoom - (seen.ratio - 1.0) * (seen.anchor - 1.0) / zoom
    lifted = torch.cat([seen.ray * ((deeper - at.deep) / zoom), deeper], 1)
    moved = (at.turn * size)[seen.pair] @ lifted
    a, b = direction[:, :1] * at.moves[:, :1], direction[:, 1:] * at.moves[:, 1:]
    both = a * x + b * y
    return torch.cat(
        [
            a * pixels,
            b * pixels,
            -both * pixels,
            -focal * (y * both + b),
            focal * (x * both + a),
            focal * (b * x - a * y),
            focal * both + pixels * (a * moved[:, :1] + b * moved[:, 1:2] - both * moved[:, 2:]),
        ],
        1,
    )


def _relative(at: Projected) -> Tensor:
    """(Q,7,14): what turn and shift of the first camera and of the second, the second's log size and the log focal do
    to the shift and turn of what the second saw, in the first camera's axes, and to the log focal."""
    by = at.shift.new_zeros(len(at.shift), 7, 14)
    eye = torch.eye(3, dtype=by.dtype)
    by[:, :3, 3:6] = by[:, 3:6, :3] = -eye
    by[:, :3, 6:9] = so3.hat(at.shift[..., 0]) @ at.turn
    by[:, 3:6, 6:9] = by[:, :3, 9:12] = at.turn
    by[:, :3, 12:13] = -at.shift
    by[:, 6, 13] = 1.0
    return by
