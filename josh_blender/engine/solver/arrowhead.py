"""The normal equations of the joint problem, and their elimination.

Unknowns are the bodies of each person (a chain of T frames whose blocks couple to the next two frames) and the border
(scale, focal, cameras, depth scales, shapes), which couples to everything:

    [ B_1       E_1 ]        B_i: block band of half-width 2, blocks of 75
    [      B_2  E_2 ]        E_i: T x 75 rows by the border's columns
    [ E_1' E_2'  A  ]        A:   border by border

Chains are eliminated first by a block Cholesky factorisation along time, which costs time and memory linear in the
number of frames; what remains is a dense system of the border's size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


class NotPositiveDefinite(ArithmeticError):
    """The damped normal equations have no Cholesky factor: the damping is too small."""


#: A frame couples to itself and to the next two.
BAND = 3


@dataclass
class Chain:
    """One person: band (T,3,D,D) with band[t,o] the block of frames t and t+o; border (T,Z,D); gradient (T,D)."""

    band: Tensor
    border: Tensor
    gradient: Tensor

    @classmethod
    def zeros(cls, frames: int, size: int, columns: int, like: Tensor) -> Chain:
        """An empty chain of the dtype and device of ``like``."""
        return cls(
            like.new_zeros(frames, BAND, size, size),
            like.new_zeros(frames, columns, size),
            like.new_zeros(frames, size),
        )


@dataclass
class Arrowhead:
    """Chains with a common border: matrix (Z,Z), gradient (Z,)."""

    chains: list[Chain]
    matrix: Tensor
    gradient: Tensor


@dataclass
class Step:
    """The minimiser of the damped quadratic model: chains (T_i,D), border (Z,), the Schur complement on the border."""

    chains: list[Tensor]
    border: Tensor
    schur: Tensor


@dataclass
class _Factor:
    lower: list[Tensor]
    upper: list[Tensor]
    coupled: list[Tensor]
    columns: Tensor
    frames: int


def _cholesky(matrix: Tensor) -> Tensor:
    lower, failed = torch.linalg.cholesky_ex(matrix)
    if int(failed) or not bool(torch.isfinite(lower.diagonal()).all()):
        raise NotPositiveDefinite
    return lower


def _pairs(chain: Chain, columns: Tensor, damping: float, floor: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The band as a block-tridiagonal matrix of frame pairs: diagonal (S,2D,2D), upper (S,2D,2D), border, gradient."""
    frames, _, size, _ = chain.band.shape
    count = (frames + 1) // 2
    band = chain.band
    border, gradient = chain.border[:, columns].transpose(1, 2), chain.gradient
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
    return diagonal, upper, border.reshape(count, 2 * size, -1), gradient.reshape(count, 2 * size)


def _eliminate(chain: Chain, columns: Tensor, damping: float, floor: float) -> tuple[_Factor, Tensor]:
    """Factors the chain; returns also Y'Y of Y = L^-1 [E g] over the used columns and the gradient."""
    diagonal, upper, border, gradient = _pairs(chain, columns, damping, floor)
    right = torch.cat([border, gradient[..., None]], -1)
    factor = _Factor([], [], [], columns, chain.band.shape[0])
    for step in range(len(diagonal)):
        block, value = diagonal[step], right[step]
        if step:
            link = factor.upper[-1]
            block = block - link.T @ link
            value = value - link.T @ factor.coupled[-1]
        lower = _cholesky(block)
        solved = torch.linalg.solve_triangular(lower, torch.cat([upper[step], value], -1), upper=False)
        size = block.shape[0]
        factor.lower.append(lower)
        factor.upper.append(solved[:, :size])
        factor.coupled.append(solved[:, size:])
    coupled = torch.cat(factor.coupled)
    return factor, coupled.T @ coupled


def _substitute(factor: _Factor, border: Tensor, size: int) -> Tensor:
    tail = torch.cat([border[factor.columns], border.new_ones(1)])
    following: Tensor | None = None
    parts = []
    for step in reversed(range(len(factor.lower))):
        value = -(factor.coupled[step] @ tail)
        if following is not None:
            value = value - factor.upper[step] @ following
        following = torch.linalg.solve_triangular(factor.lower[step].T, value[:, None], upper=True)[:, 0]
        parts.append(following)
    return torch.stack(parts[::-1]).reshape(-1, size)[: factor.frames]


def solve(system: Arrowhead, free: Tensor, damping: float, floor: float = 1e-9) -> Step:
    """The step x that solves (H + damping diag H) x = -g; border columns where ``free`` (Z,) is False stay put.

    Raises:
        NotPositiveDefinite: the damped matrix is not positive definite (raise the damping).
    """
    schur = system.matrix.clone()
    main = schur.diagonal()
    main += damping * main + floor
    gradient = system.gradient.clone()
    factors = []
    for chain in system.chains:
        touched = torch.any(torch.any(chain.border != 0.0, -1), 0) & free
        columns = torch.nonzero(touched)[:, 0]
        factor, reduced = _eliminate(chain, columns, damping, floor)
        factors.append(factor)
        schur[columns[:, None], columns[None]] -= reduced[:-1, :-1]
        gradient[columns] -= reduced[:-1, -1]
    kept = torch.nonzero(free)[:, 0]
    schur = schur[kept[:, None], kept[None]]
    border = torch.zeros_like(gradient)
    if len(kept):
        lower = _cholesky(schur)
        border[kept] = -torch.cholesky_solve(gradient[kept, None], lower)[:, 0]
    chains = [
        _substitute(factor, border, chain.gradient.shape[-1])
        for factor, chain in zip(factors, system.chains, strict=True)
    ]
    return Step(chains, border, schur)
