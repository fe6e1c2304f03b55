"""Rotations in torch: the exponential and logarithm of SO(3), batched over leading axes."""

from __future__ import annotations

import torch
from torch import Tensor

_SMALL_ANGLE = 1e-6


def hat(vector: Tensor) -> Tensor:
    """Cross-product matrices (..., 3, 3) of vectors (..., 3)."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*vector.shape[:-1], 3, 3)


def exp(vector: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of axis-angle vectors (..., 3) (Rodrigues' formula)."""
    angle = vector.norm(dim=-1)[..., None, None]
    small = angle < _SMALL_ANGLE
    safe = torch.where(small, torch.ones_like(angle), angle)
    sine = torch.where(small, 1.0 - angle**2 / 6.0, safe.sin() / safe)
    cosine = torch.where(small, 0.5 - angle**2 / 24.0, (1.0 - safe.cos()) / safe**2)
    cross = hat(vector)
    return torch.eye(3, dtype=vector.dtype, device=vector.device) + sine * cross + cosine * (cross @ cross)


def log(matrix: Tensor) -> Tensor:
    """Axis-angle vectors (..., 3) of rotation matrices (..., 3, 3), for angles well below pi.

    The solver takes logarithms only of differences between neighbouring states, which are small; close to pi the axis
    is ill-conditioned and only its length is right.
    """
    axis = torch.stack(
        [
            matrix[..., 2, 1] - matrix[..., 1, 2],
            matrix[..., 0, 2] - matrix[..., 2, 0],
            matrix[..., 1, 0] - matrix[..., 0, 1],
        ],
        -1,
    )
    sine = axis.norm(dim=-1)
    trace = matrix.diagonal(dim1=-2, dim2=-1).sum(-1)
    angle = torch.atan2(sine, trace - 1.0)
    small = sine < _SMALL_ANGLE
    factor = torch.where(small, torch.full_like(sine, 0.5), angle / torch.where(small, torch.ones_like(sine), sine))
    return axis * factor[..., None]


def renormalize(matrix: Tensor) -> Tensor:
    """The rotations next to almost-rotations (..., 3, 3): one Newton step of the polar decomposition."""
    return 1.5 * matrix - 0.5 * matrix @ matrix.transpose(-1, -2) @ matrix


def right_jacobian_inverse(vector: Tensor) -> Tensor:
    """J (..., 3, 3) with log(exp(v) exp(d)) = v + J d + O(d^2), for angles below 2 pi (Chirikjian 2012, 10.86)."""
    angle = vector.norm(dim=-1)[..., None, None]
    small = angle < 1e-3
    half = 0.5 * torch.where(small, torch.ones_like(angle), angle)
    factor = torch.where(small, 1.0 / 12.0 + angle**2 / 720.0, (1.0 - half / half.tan()) / (4.0 * half**2))
    cross = hat(vector)
    return torch.eye(3, dtype=vector.dtype, device=vector.device) + 0.5 * cross + factor * (cross @ cross)
