"""Rotary positions in two dimensions (CroCo v2, Weinzaepfel et al. 2023; rotary embedding: Su et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

#: Base of the frequencies in every network here.
ROPE_BASE = 100.0


def grid_positions(rows: int, columns: int, device: torch.device | None = None) -> Tensor:
    """Integer (y, x) of every patch, row by row: (rows * columns, 2)."""
    y, x = torch.meshgrid(torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij")
    return torch.stack([y, x], dim=-1).reshape(-1, 2)


def rotary_tables(positions: Tensor, head_width: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines (B,1,N,head_width) for positions (B,N,2), which may be negative.

    The first half of a head turns by y, the second by x; inside a half of width D, component i is paired with
    i + D/2 and turns by p * base^(-2i/D).
    """
    half = head_width // 2
    exponent = torch.arange(0, half, 2, device=positions.device, dtype=torch.float32) / half
    angle = positions.float()[..., None] * ROPE_BASE ** (-exponent)
    # (B,N,2,D/2) -> per half the same angles twice.
    angle = torch.cat([angle, angle], dim=-1).flatten(-2)
    return angle.cos()[:, None], angle.sin()[:, None]


def rotate(vectors: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
    """Turn queries or keys (B,heads,N,head_width) by their positions."""
    cosine, sine = tables
    parts = vectors.reshape(*vectors.shape[:-1], 2, 2, -1)
    first, second = parts[..., 0, :], parts[..., 1, :]
    turned = torch.stack([-second, first], dim=-2).flatten(-3)
    return vectors * cosine.to(vectors.dtype) + turned * sine.to(vectors.dtype)
