"""Linearised residuals, and how they enter the normal equations.

A group is the few numbers that belong together (two of a pixel, three of a point): robust weights act on its norm.
Residuals are already divided by their sigma.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from .arrowhead import BAND, Arrowhead, Chain


@dataclass
class Rows:
    """N rows of G groups of g numbers: residual (N,G,g), weight (N,G).

    body: (frame (N,), Jacobian (N,G,g,75)) of each body block touched, in rising order of time; a narrower Jacobian is
    by the first of the body's parameters.
    columns (N,C) of the border with Jacobian border (N,G,g,C); a column may come twice.
    """

    residual: Tensor
    weight: Tensor
    body: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    columns: Tensor | None = None
    border: Tensor | None = None

    @classmethod
    def of_border(cls, residual: Tensor, columns: Tensor, jacobian: Tensor) -> Rows:
        """N residuals (N,) that touch only the border: columns and Jacobian (N,C)."""
        residual = residual[:, None, None]
        return cls(residual, residual.new_ones(len(residual), 1), [], columns, jacobian[:, None, None])


@dataclass
class DiagonalRows:
    """Residuals that depend on one body parameter each: residual, weight (N,75); body: (frame (N,), slope (N,1))."""

    residual: Tensor
    weight: Tensor
    body: list[tuple[Tensor, Tensor]]


def add_block(matrix: Tensor, rows: Tensor, columns: Tensor, values: Tensor) -> None:
    """Adds values (N,A,B) to matrix (Z,Z) at rows (N,A) and columns (N,B), which may repeat."""
    place = rows[:, :, None] * matrix.shape[1] + columns[:, None, :]
    matrix.view(-1).index_add_(0, place.reshape(-1), values.reshape(-1))


def add_rows(system: Arrowhead, chain: Chain | None, rows: Rows) -> None:
    """Adds J'WJ and J'Wr of the rows."""
    count = len(rows.residual)
    if not count:
        return
    residual = rows.residual.reshape(count, -1)
    group = rows.residual.shape[-1]
    weight = rows.weight.repeat_interleave(group, dim=-1)
    weighted_residual = (weight * residual)[..., None]
    bodies = [(frame, jacobian.reshape(count, residual.shape[1], -1)) for frame, jacobian in rows.body]
    for first, (frame, jacobian) in enumerate(bodies):
        assert chain is not None
        # Sums go through index_add_ over whole blocks in one place of memory, many times faster than index_put_.
        size, own = chain.gradient.shape[-1], jacobian.shape[-1]
        weighted = (jacobian * weight[..., None]).transpose(-1, -2)
        gradient = (jacobian.transpose(-1, -2) @ weighted_residual)[..., 0]
        chain.gradient[:, :own].index_add_(0, frame, gradient)
        band = chain.band.view(-1, size, size)
        for later, other in bodies[first:]:
            block = band[:, :own, : other.shape[-1]]
            block.index_add_(0, frame * BAND + later - frame, weighted @ other)
        if rows.border is not None and rows.columns is not None:
            border = rows.border.reshape(count, residual.shape[1], -1)
            width = chain.border.shape[1]
            place = (frame[:, None] * width + chain.slots(frame, rows.columns)).reshape(-1)
            coupled = (border * weight[..., None]).transpose(-1, -2) @ jacobian
            chain.border.view(-1, size)[:, :own].index_add_(0, place, coupled.reshape(-1, own))
    if rows.border is not None and rows.columns is not None:
        border = rows.border.reshape(count, residual.shape[1], -1)
        weighted = (border * weight[..., None]).transpose(-1, -2)
        columns = rows.columns
        add_block(system.matrix, columns, columns, weighted @ border)
        gradient = (border.transpose(-1, -2) @ weighted_residual)[..., 0]
        system.gradient.index_add_(0, columns.reshape(-1), gradient.reshape(-1))


def add_diagonal(chain: Chain, rows: DiagonalRows) -> None:
    """Adds J'WJ and J'Wr of residuals with a diagonal Jacobian."""
    main = chain.band.view(-1, *chain.band.shape[2:]).diagonal(dim1=-2, dim2=-1)
    for first, (frame, slope) in enumerate(rows.body):
        chain.gradient.index_add_(0, frame, slope * rows.weight * rows.residual)
        for later, other in rows.body[first:]:
            main.index_add_(0, frame * BAND + later - frame, slope * rows.weight * other)
