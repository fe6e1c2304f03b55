"""Skinning of a body in torch: differentiable, batched, and only the vertices that are asked for.

The formulas are those of SMPL (Loper et al. 2015, equations 2 to 10); `scene4d.body` has the same in numpy. The solvers
use `solver.body_points`, which knows its own derivatives; this is the whole body, pose blend shapes included.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...scene4d.body import BodyModel
from ...scene4d.conventions import JOINT_COUNT, JOINT_PARENTS

_SMALL_ANGLE_SQUARED = 1e-8


def matrix_from_axis_angle(axis_angle: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of axis-angle vectors (..., 3), with finite gradients at zero."""
    squared = (axis_angle**2).sum(-1)[..., None, None]
    small = squared < _SMALL_ANGLE_SQUARED
    # The square root has no slope at zero: it must never see one, not even on the branch that is thrown away.
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    sine = torch.where(small, 1.0 - squared / 6.0, torch.sin(angle) / angle)
    cosine = torch.where(small, 0.5 - squared / 24.0, (1.0 - torch.cos(angle)) / safe)
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*axis_angle.shape[:-1], 3, 3)
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + sine * cross + cosine * (cross @ cross)


@dataclass(frozen=True)
class TorchBody:
    """v_template (V,3); shapedirs (V,3,B); posedirs (V,3,P) with P 0 or 207; J_regressor (24,V); weights (V,24)."""

    v_template: Tensor
    shapedirs: Tensor
    posedirs: Tensor
    J_regressor: Tensor
    weights: Tensor
    joint_template: Tensor
    joint_shapedirs: Tensor

    @classmethod
    def from_model(
        cls, model: BodyModel, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
    ) -> TorchBody:
        """The arrays of a body as tensors."""
        names = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights")
        template, shapedirs, posedirs, regressor, weights = (
            torch.as_tensor(getattr(model, name), dtype=dtype, device=device) for name in names
        )
        return cls(
            template,
            shapedirs,
            posedirs,
            regressor,
            weights,
            regressor @ template,
            torch.einsum("jv,vcb->jcb", regressor, shapedirs),
        )

    def joints_rest(self, betas: Tensor) -> Tensor:
        """Rest joints (..., 24, 3) for betas (..., B)."""
        return self.joint_template + torch.einsum(
            "jcb,...b->...jc", self.joint_shapedirs[..., : betas.shape[-1]], betas
        )

    def forward(
        self, betas: Tensor, poses: Tensor, trans: Tensor, vertex_index: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Vertices (..., N, 3) and joints (..., 24, 3) for betas (..., B), poses (..., 72) and trans (..., 3).

        Leading axes broadcast. ``vertex_index`` (N,) picks the vertices to skin, None is all of them.
        """
        index = slice(None) if vertex_index is None else vertex_index
        rest = self.v_template[index] + torch.einsum(
            "vcb,...b->...vc", self.shapedirs[index][..., : betas.shape[-1]], betas
        )
        rotation = matrix_from_axis_angle(poses.reshape(*poses.shape[:-1], JOINT_COUNT, 3))
        if self.posedirs.shape[-1]:
            identity = torch.eye(3, dtype=poses.dtype, device=poses.device)
            feature = (rotation[..., 1:, :, :] - identity).flatten(-3)
            rest = rest + torch.einsum("vcp,...p->...vc", self.posedirs[index], feature)
        joints = self.joints_rest(betas)
        turns = [rotation[..., 0, :, :]]
        # Betas may have fewer leading axes than the poses: adding zeros gives both the same.
        places = [joints[..., 0, :] + torch.zeros_like(rotation[..., 0, :, 0])]
        for joint in range(1, JOINT_COUNT):
            parent = JOINT_PARENTS[joint]
            turns.append(turns[parent] @ rotation[..., joint, :, :])
            step = (joints[..., joint, :] - joints[..., parent, :])[..., None]
            places.append(places[parent] + (turns[parent] @ step)[..., 0])
        turn, place = torch.stack(turns, -3), torch.stack(places, -2)
        offset = place - (turn @ joints[..., None])[..., 0]
        weights = self.weights[index]
        blended = torch.einsum("vj,...jab->...vab", weights, turn)
        vertices = (blended @ rest[..., None])[..., 0] + torch.einsum("vj,...ja->...va", weights, offset)
        return vertices + trans[..., None, :], place + trans[..., None, :]
