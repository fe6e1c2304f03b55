"""Elimination of a sparse symmetric system in a given order, on a front that stays small (Irons 1970).

The front is a dense matrix over the unknowns that are being worked on. An unknown enters when the first part of the
system that touches it does, and leaves, eliminated, when the last one has come.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


class NotPositiveDefinite(ArithmeticError):
    """The damped normal equations have no Cholesky factor: the damping is too small."""


def cholesky(matrix: Tensor) -> Tensor:
    """The lower Cholesky factor.

    Raises:
        NotPositiveDefinite: there is none.
    """
    lower, failed = torch.linalg.cholesky_ex(matrix)
    if int(failed) or not bool(torch.isfinite(lower.diagonal()).all()):
        raise NotPositiveDefinite
    return lower


@dataclass(frozen=True)
class Contribution:
    """A part of the system: its unknowns (N,), matrix (N,N) and gradient (N,)."""

    unknowns: Tensor
    matrix: Tensor
    gradient: Tensor


@dataclass(frozen=True)
class Reduced:
    """values (U,) of all unknowns, 0 where they may not move; the unknowns ``last`` (L,) of the last front, and their
    matrix ``schur`` (L,L) when all others were eliminated."""

    values: Tensor
    last: Tensor
    schur: Tensor


@dataclass
class _Gone:
    """Eliminated unknowns (E,), the others (R,) of their front, and the factor's rows: lower (E,E), right (E,R+1)."""

    unknowns: Tensor
    others: Tensor
    lower: Tensor
    right: Tensor


class _Front:
    """The dense matrix and gradient over ``unknowns``; place (U,) of every unknown in it, -1 outside."""

    def __init__(self, base: Tensor, gradient: Tensor, moves: Tensor) -> None:
        self.base, self.base_gradient, self.moves = base, gradient, moves
        self.unknowns = torch.zeros(0, dtype=torch.int64, device=base.device)
        self.matrix, self.gradient = base.new_zeros(0, 0), base.new_zeros(0)
        self.place = torch.full((len(moves),), -1, device=base.device)
        self.done = ~moves

    def enter(self, unknowns: Tensor) -> None:
        """Takes unknowns in that are not there yet, with what the base says of them and of those that are."""
        new = torch.unique(unknowns)
        new = new[(self.place[new] < 0) & ~self.done[new]]
        before, after = len(self.unknowns), len(self.unknowns) + len(new)
        self.place[new] = torch.arange(before, after, device=new.device)
        self.unknowns = torch.cat([self.unknowns, new])
        matrix, gradient = self.base.new_zeros(after, after), self.base.new_zeros(after)
        matrix[:before, :before], gradient[:before] = self.matrix, self.gradient
        width = len(self.base)
        based = torch.nonzero(self.unknowns < width)[:, 0]
        fresh = based[based >= before]
        block = self.base[self.unknowns[fresh][:, None], self.unknowns[based]]
        matrix[fresh[:, None], based] = block
        matrix[based[:, None], fresh] = block.T
        gradient[fresh] = self.base_gradient[self.unknowns[fresh]]
        self.matrix, self.gradient = matrix, gradient

    def add(self, part: Contribution) -> None:
        """Adds a part whose unknowns are all in the front."""
        place = self.place[part.unknowns]
        self.matrix[place[:, None], place] += part.matrix
        self.gradient[place] += part.gradient

    def neighbours(self, unknowns: Tensor) -> Tensor:
        """Unknowns that the base couples to these."""
        inside = unknowns[unknowns < len(self.base)]
        return torch.nonzero((self.base[inside] != 0.0).any(0))[:, 0]

    def leave(self, unknowns: Tensor) -> _Gone:
        """Eliminates unknowns of the front."""
        gone = torch.zeros(len(self.unknowns), dtype=torch.bool, device=unknowns.device)
        gone[self.place[unknowns]] = True
        out, rest = torch.nonzero(gone)[:, 0], torch.nonzero(~gone)[:, 0]
        lower = cholesky(self.matrix[out[:, None], out])
        right = torch.cat([self.matrix[out[:, None], rest], self.gradient[out, None]], -1)
        right = torch.linalg.solve_triangular(lower, right, upper=False)
        record = _Gone(self.unknowns[out], self.unknowns[rest], lower, right)
        self.matrix = self.matrix[rest[:, None], rest] - right[:, :-1].T @ right[:, :-1]
        self.gradient = self.gradient[rest] - right[:, :-1].T @ right[:, -1]
        self.done[record.unknowns] = True
        self.unknowns = record.others
        self.place[record.unknowns] = -1
        self.place[self.unknowns] = torch.arange(len(self.unknowns), device=self.unknowns.device)
        return record


def eliminate(
    base: Tensor, gradient: Tensor, piece: Tensor, moves: Tensor, contributions: dict[int, list[Contribution]]
) -> Reduced:
    """Solves (base + contributions) x = -gradient for all U unknowns.

    base (Z,Z) and gradient (Z,) are those of the first Z unknowns. piece (U,): at which number each may be eliminated,
    all that touches it having come; moves (U,): which take part. ``contributions`` by their number.

    Raises:
        NotPositiveDefinite: the matrix is not positive definite.
    """
    front = _Front(base, gradient, moves)
    numbers = sorted({*contributions, *(int(number) for number in torch.unique(piece[moves]))})
    records = []
    for number in numbers[:-1]:
        leaving = torch.nonzero((piece == number) & moves)[:, 0]
        parts = contributions.get(number, [])
        front.enter(torch.cat([leaving, front.neighbours(leaving), *(part.unknowns for part in parts)]))
        for part in parts:
            front.add(part)
        if len(leaving):
            records.append(front.leave(leaving))
    values = base.new_zeros(len(moves))
    if not numbers:
        return Reduced(values, front.unknowns, front.matrix)
    front.enter(torch.nonzero(moves)[:, 0])
    for part in contributions.get(numbers[-1], []):
        front.add(part)
    if len(front.unknowns):
        values[front.unknowns] = -torch.cholesky_solve(front.gradient[:, None], cholesky(front.matrix))[:, 0]
    for record in reversed(records):
        known = torch.cat([values[record.others], values.new_ones(1)])
        solved = torch.linalg.solve_triangular(record.lower.T, -(record.right @ known)[:, None], upper=True)
        values[record.unknowns] = solved[:, 0]
    return Reduced(values, front.unknowns, front.matrix)
