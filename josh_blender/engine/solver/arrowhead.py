"""The normal equations of the joint problem, and their elimination in the order of time.

Unknowns are the bodies of each person (a chain of T frames whose blocks couple to the next two frames) and the border
(scale, focal, cameras, depth scales, shapes):

    [ B_1       E_1 ]        B_i: block band of half-width 2, blocks of 75
    [      B_2  E_2 ]        E_i: T x 75 rows by the border's columns
    [ E_1' E_2'  A  ]        A:   border by border

A body couples to the few cameras near it in time. So chains are cut into pieces of equal length in time. The frames
inside a piece are eliminated by a block Cholesky factorisation onto the columns that they touch and onto the first pair
of frames of their piece and of the next one (its *heads*). Heads and border are then eliminated piece by piece, each
as soon as nothing later touches it (`front.py`). Nothing is approximated, and with cameras that see each other over a
bounded time the cost of a step is linear in the length of the video.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .front import Contribution, NotPositiveDefinite, cholesky, eliminate

__all__ = ["BAND", "Arrowhead", "Chain", "Cut", "NotPositiveDefinite", "Step", "solve"]

#: A frame couples to itself and to the next two.
BAND = 3


def row_of(start: list[int], frame: Tensor) -> Tensor:
    """Which (N,) of the pieces that begin at frames ``start`` holds frames (N,)."""
    return torch.bucketize(frame.contiguous(), torch.tensor(start, device=frame.device), right=True) - 1


@dataclass(frozen=True)
class Cut:
    """How a chain of T frames is cut into G pieces.

    start (G,): first frame of each, even numbers from 0 on. piece (G,): their numbers in time, rising. slot (G,Z): the
    place of a border column among those that the piece touches, -1 where it does not.
    """

    start: list[int]
    piece: list[int]
    slot: Tensor

    @classmethod
    def whole(cls, columns: int) -> Cut:
        """One piece that touches every column."""
        return cls([0], [0], torch.arange(columns)[None])

    @property
    def width(self) -> int:
        """The most columns that a piece touches."""
        return int(self.slot.max()) + 1 if self.slot.numel() else 0


@dataclass
class Chain:
    """One person: band (T,3,D,D) with band[t,o] the block of frames t and t+o; border (T,W,D), row w that of the column
    in slot w of the frame's piece; gradient (T,D)."""

    band: Tensor
    border: Tensor
    gradient: Tensor
    cut: Cut

    @classmethod
    def zeros(cls, frames: int, size: int, cut: Cut, like: Tensor) -> Chain:
        """An empty chain of the dtype and device of ``like``."""
        return cls(
            like.new_zeros(frames, BAND, size, size),
            like.new_zeros(frames, cut.width, size),
            like.new_zeros(frames, size),
            cut,
        )

    def slots(self, frame: Tensor, columns: Tensor) -> Tensor:
        """Rows (N,C) of ``border`` for border columns (N,C) on frames (N,)."""
        return self.cut.slot[row_of(self.cut.start, frame)[:, None], columns]


@dataclass
class Arrowhead:
    """Chains with a common border: matrix (Z,Z), gradient (Z,). piece (Z,): the number of the piece of time in which a
    column lies; those of columns that belong to all of time are higher than all others."""

    chains: list[Chain]
    matrix: Tensor
    gradient: Tensor
    piece: Tensor

    @classmethod
    def zeros(cls, piece: Tensor, like: Tensor) -> Arrowhead:
        """A border without chains, of the dtype and device of ``like``."""
        size = len(piece)
        return cls([], like.new_zeros(size, size), like.new_zeros(size), piece)


@dataclass
class Step:
    """The minimiser of the damped quadratic model: chains (T_i,D), border (Z,). ``last`` (L,) are the columns of all of
    time that may move, ``schur`` (L,L) what is left of the matrix on them."""

    chains: list[Tensor]
    border: Tensor
    last: Tensor
    schur: Tensor


# --- the inside of a piece -------------------------------------------------------------------------------------------


@dataclass
class _Inside:
    """The factor of the inside of a piece. lower, upper: per pair of frames; coupled: the same for what it is
    eliminated onto, the head before (150 columns, or none), the border columns (C,), and the gradient."""

    lower: list[Tensor]
    upper: list[Tensor]
    coupled: list[Tensor]
    columns: Tensor
    head: int | None
    next_head: int | None


@dataclass
class _Pairs:
    """Frames as a block-tridiagonal matrix of S pairs: diagonal, upper (S,2D,2D), border (S,2D,W), gradient (S,2D)."""

    diagonal: Tensor
    upper: Tensor
    border: Tensor
    gradient: Tensor


def _pairs(chain: Chain, frame: slice, damping: float, floor: float) -> _Pairs:
    """The frames of a piece in pairs."""
    band, border, gradient = chain.band[frame], chain.border[frame].transpose(1, 2), chain.gradient[frame]
    frames, _, size, _ = band.shape
    count = (frames + 1) // 2
    if frames % 2:
        pad = band.new_zeros(1, BAND, size, size)
        pad[0, 0] = torch.eye(size, dtype=band.dtype, device=band.device)
        band = torch.cat([band, pad])
        border = torch.cat([border, border.new_zeros(1, size, border.shape[-1])])
        gradient = torch.cat([gradient, gradient.new_zeros(1, size)])
    even, odd = band[0::2], band[1::2]
    diagonal = band.new_zeros(count, 2 * size, 2 * size)
    diagonal[:, :size, :size] = even[:, 0]
    diagonal[:, :size, size:] = even[:, 1]
    diagonal[:, size:, :size] = even[:, 1].transpose(-1, -2)
    diagonal[:, size:, size:] = odd[:, 0]
    main = diagonal.diagonal(dim1=-2, dim2=-1)
    main += damping * main + floor
    upper = band.new_zeros(count, 2 * size, 2 * size)
    upper[:, :size, :size] = even[:, 2]
    upper[:, size:, :size] = odd[:, 1]
    upper[:, size:, size:] = odd[:, 2]
    return _Pairs(diagonal, upper, border.reshape(count, 2 * size, -1), gradient.reshape(count, 2 * size))


def _eliminate_inside(pairs: _Pairs, inside: _Inside, slots: Tensor) -> None:
    """Factors the pairs of a piece but its head."""
    first = 0 if inside.head is None else 1
    for step in range(first, len(pairs.diagonal)):
        block = pairs.diagonal[step]
        parts = [pairs.border[step][:, slots], pairs.gradient[step][:, None]]
        if inside.head is not None:
            before = pairs.upper[0].T if step == first else torch.zeros_like(block)
            parts = [before, *parts]
        value = torch.cat(parts, -1)
        if step > first:
            link = inside.upper[-1]
            block = block - link.T @ link
            value = value - link.T @ inside.coupled[-1]
        lower = cholesky(block)
        solved = torch.linalg.solve_triangular(lower, torch.cat([pairs.upper[step], value], -1), upper=False)
        size = block.shape[0]
        inside.lower.append(lower)
        inside.upper.append(solved[:, :size])
        inside.coupled.append(solved[:, size:])


def _piece(pairs: _Pairs, inside: _Inside, slots: Tensor, heads: int) -> Contribution:
    """What the pairs of a piece leave on their heads and columns. Heads are unknowns ``heads`` + 2D h + i."""
    size = pairs.diagonal.shape[-1]
    own = torch.arange(size, device=slots.device)
    _eliminate_inside(pairs, inside, slots)
    groups = [] if inside.head is None else [heads + size * inside.head + own]
    groups.append(inside.columns)
    if inside.next_head is not None:
        groups.append(heads + size * inside.next_head + own)
    unknowns = torch.cat(groups)
    matrix = pairs.diagonal.new_zeros(len(unknowns), len(unknowns))
    gradient = pairs.diagonal.new_zeros(len(unknowns))
    before = 0 if inside.head is None else size
    middle = before + len(inside.columns)
    if inside.coupled:
        coupled = torch.cat(inside.coupled)
        reduced = coupled.T @ coupled
        matrix[:middle, :middle] -= reduced[:-1, :-1]
        gradient[:middle] -= reduced[:-1, -1]
    if inside.next_head is not None and inside.coupled:
        link, end = inside.upper[-1], inside.coupled[-1]
        cross = link.T @ end
        matrix[middle:, middle:] -= link.T @ link
        matrix[middle:, :middle] -= cross[:, :-1]
        matrix[:middle, middle:] -= cross[:, :-1].T
        gradient[middle:] -= cross[:, -1]
    if inside.head is not None:
        border = pairs.border[0][:, slots]
        matrix[:size, :size] += pairs.diagonal[0]
        matrix[:size, before:middle] += border
        matrix[before:middle, :size] += border.T
        gradient[:size] += pairs.gradient[0]
        if inside.next_head is not None and not inside.coupled:
            matrix[:size, middle:] += pairs.upper[0]
            matrix[middle:, :size] += pairs.upper[0].T
    return Contribution(unknowns, matrix, gradient)


def _substitute(inside: _Inside, values: Tensor, heads: int) -> list[Tensor]:
    """The pairs inside a piece (2D,) from last to first, from the values of what they were eliminated onto."""
    size = inside.lower[0].shape[0]
    own = torch.arange(size, device=values.device)
    tail = [] if inside.head is None else [values[heads + size * inside.head + own]]
    right = torch.cat([*tail, values[inside.columns], values.new_ones(1)])
    following = None if inside.next_head is None else values[heads + size * inside.next_head + own]
    parts = []
    for step in reversed(range(len(inside.lower))):
        value = -(inside.coupled[step] @ right)
        if following is not None:
            value = value - inside.upper[step] @ following
        following = torch.linalg.solve_triangular(inside.lower[step].T, value[:, None], upper=True)[:, 0]
        parts.append(following)
    return parts


# --- all of it -------------------------------------------------------------------------------------------------------


def solve(system: Arrowhead, free: Tensor, damping: float, floor: float = 1e-9) -> Step:
    """The step x that solves (H + damping diag H) x = -g; border columns where ``free`` (Z,) is False stay put.

    Raises:
        NotPositiveDefinite: the damped matrix is not positive definite (raise the damping).
    """
    width = len(system.gradient)
    matrix = system.matrix.clone()
    main = matrix.diagonal()
    main += damping * main + floor
    contributions: dict[int, list[Contribution]] = {}
    insides: list[list[_Inside]] = []
    head_piece: list[int] = []
    home = system.piece.clone()
    for chain in system.chains:
        cut = chain.cut
        ends = [*cut.start[1:], len(chain.gradient)]
        insides.append([])
        for number, (start, end, piece) in enumerate(zip(cut.start, ends, cut.piece, strict=True)):
            columns = torch.nonzero((cut.slot[number] >= 0) & free)[:, 0]
            head = len(head_piece) - 1 if number else None
            next_head = len(head_piece) if end < len(chain.gradient) else None
            if next_head is not None:
                head_piece.append(cut.piece[number + 1])
            inside = _Inside([], [], [], columns, head, next_head)
            pairs = _pairs(chain, slice(start, end), damping, floor)
            contributions.setdefault(piece, []).append(_piece(pairs, inside, cut.slot[number][columns], width))
            insides[-1].append(inside)
            home[columns] = torch.maximum(home[columns], home.new_tensor(piece))
    size = 2 * system.chains[0].gradient.shape[-1] if system.chains else 0
    every = torch.cat([home, home.new_tensor(head_piece).repeat_interleave(size)])
    moves = torch.cat([free, free.new_ones(len(every) - width)])
    reduced = eliminate(matrix, system.gradient, every, moves, contributions)
    chains = [
        _chain_step(chain, parts, reduced.values, width) for chain, parts in zip(system.chains, insides, strict=True)
    ]
    return Step(chains, reduced.values[:width], reduced.last, reduced.schur)


def _chain_step(chain: Chain, insides: list[_Inside], values: Tensor, heads: int) -> Tensor:
    frames, size = chain.gradient.shape
    parts: list[Tensor] = []
    for inside in insides:
        if inside.head is not None:
            begin = heads + 2 * size * inside.head
            parts.append(values[begin : begin + 2 * size])
        if inside.lower:
            parts += _substitute(inside, values, heads)[::-1]
    return torch.stack(parts).reshape(-1, size)[:frames]
