"""Linearised residuals, and how they enter the normal equations.

A group is the few numbers that belong together (two of a pixel, three of a point): robust weights act on its norm.
Residuals are already divided by their sigma.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from .arrowhead import Arrowhead, Chain


@dataclass
class Rows:
    """N rows of G groups of g numbers: residual (N,G,g), weight (N,G).

    body: (frame (N,), Jacobian (N,G,g,75)) of each body block touched, in rising order of time.
    columns (N,C) of the border with Jacobian border (N,G,g,C); a column may come twice.
    """

    residual: Tensor
    weight: Tensor
    body: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    columns: Tensor | None = None
    border: Tensor | None = None


@dataclass
class DiagonalRows:
    """Residuals that depend on one body parameter each: residual, weight (N,75); body: (frame (N,), slope (N,1))."""

    residual: Tensor
    weight: Tensor
    body: list[tuple[Tensor, Tensor]]


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
        weighted = (jacobian * weight[..., None]).transpose(-1, -2)
        chain.gradient.index_add_(0, frame, (jacobian.transpose(-1, -2) @ weighted_residual)[..., 0])
        for later, other in bodies[first:]:
            offset = later - frame
            chain.band.index_put_((frame, offset), weighted @ other, accumulate=True)
        if rows.border is not None and rows.columns is not None:
            border = rows.border.reshape(count, residual.shape[1], -1)
            place = torch.arange(chain.gradient.shape[-1], device=frame.device)
            chain.border.index_put_(
                (frame[:, None, None], place[None, :, None], rows.columns[:, None, :]),
                weighted @ border,
                accumulate=True,
            )
    if rows.border is not None and rows.columns is not None:
        border = rows.border.reshape(count, residual.shape[1], -1)
        weighted = (border * weight[..., None]).transpose(-1, -2)
        columns = rows.columns
        system.matrix.index_put_((columns[:, :, None], columns[:, None, :]), weighted @ border, accumulate=True)
        gradient = (border.transpose(-1, -2) @ weighted_residual)[..., 0]
        system.gradient.index_put_((columns,), gradient, accumulate=True)


def add_diagonal(chain: Chain, rows: DiagonalRows) -> None:
    """Adds J'WJ and J'Wr of residuals with a diagonal Jacobian."""
    for first, (frame, slope) in enumerate(rows.body):
        chain.gradient.index_add_(0, frame, slope * rows.weight * rows.residual)
        for later, other in rows.body[first:]:
            offset = later - frame
            value = torch.diag_embed(slope * rows.weight * other)
            chain.band.index_put_((frame, offset), value, accumulate=True)
