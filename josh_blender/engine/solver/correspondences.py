"""L_2D of the scene: its points project where the key frames saw them, eliminated point by point.

One point per track of correspondences makes L_3D (two views of it are one point) hold by construction.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .arrowhead import Arrowhead
from .problem import Observations
from .robust import Kernel
from .rows import add_block
from .state import Layout, State

#: Pairs of sightings handled at once: bounds the memory of the Schur complement.
_CHUNK = 50_000
#: Columns of a sighting: six of its key frame and the focal.
_COLUMNS = 7


@dataclass
class PointElimination:
    """What is needed to step the points once the border's step is known."""

    inverse: Tensor
    gradient: Tensor
    coupling: Tensor
    columns: Tensor


@dataclass(frozen=True)
class Correspondences:
    """proj(K, R'(X - C)) - u, in units of sigma px."""

    kernel: Kernel
    sigma: float
    name: str = "correspondences"

    def _camera_points(self, seen: Observations, state: State) -> Tensor:
        cameras = state.cameras
        offset = state.points[seen.point] - cameras.centre[seen.frame]
        return (cameras.rotation[seen.frame].transpose(-1, -2) @ offset[..., None])[..., 0]

    def groups(self, seen: Observations, state: State) -> Tensor:
        point = self._camera_points(seen, state)
        cameras = state.cameras
        depth = point[:, 2:].clamp(min=1e-6)
        pixel = cameras.focal[seen.frame] * point[:, :2] / depth + cameras.intrinsics[seen.frame, 2:]
        return ((pixel - seen.pixel) / self.sigma)[:, None]

    def linearize(self, seen: Observations, state: State) -> tuple[Tensor, Tensor]:
        """Jacobians by (turn, shift of the camera, focal) (M,2,7) and by the point (M,2,3)."""
        point = self._camera_points(seen, state)
        depth = point[:, 2:].clamp(min=1e-6)
        scaled = state.cameras.focal[seen.frame] / (self.sigma * depth)
        by_point = point.new_zeros(len(point), 2, 3)
        by_point[:, 0, 0], by_point[:, 1, 1] = scaled[:, 0], scaled[:, 1]
        by_point[..., 2] = -scaled * point[:, :2] / depth
        x, y, z = point.unbind(-1)
        zero = torch.zeros_like(x)
        cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
        by_focal = (scaled * point[:, :2])[..., None]
        by_camera = torch.cat([by_point @ cross, -by_point, by_focal], -1)
        return by_camera, by_point @ state.cameras.rotation[seen.frame].transpose(-1, -2)

    def add(
        self, system: Arrowhead, layout: Layout, seen: Observations, state: State, damping: float
    ) -> PointElimination:
        """Adds the camera part with the points eliminated."""
        residual = self.groups(seen, state)[:, 0]
        weight = self.kernel.weight((residual**2).sum(-1))[:, None, None]
        by_camera, by_point = self.linearize(seen, state)
        six = torch.arange(6, device=seen.frame.device)
        columns = torch.cat(
            [layout.CAMERA + 6 * seen.keyframe[:, None] + six, torch.full_like(seen.keyframe, layout.FOCAL)[:, None]],
            -1,
        )
        weighted = weight * by_camera
        block = weighted.transpose(-1, -2) @ by_camera
        add_block(system.matrix, columns, columns, block)
        force = (weighted.transpose(-1, -2) @ residual[..., None])[..., 0]
        system.gradient.index_add_(0, columns.reshape(-1), force.reshape(-1))

        count = len(state.points)
        hessian = by_point.new_zeros(count, 3, 3)
        hessian.index_add_(0, seen.point, (weight * by_point).transpose(-1, -2) @ by_point)
        main = hessian.diagonal(dim1=-2, dim2=-1)
        main += damping * main + 1e-9
        inverse = torch.linalg.inv(hessian)
        gradient = by_point.new_zeros(count, 3)
        gradient.index_add_(0, seen.point, ((weight * by_point).transpose(-1, -2) @ residual[..., None])[..., 0])
        coupling = weighted.transpose(-1, -2) @ by_point
        solved = coupling @ inverse[seen.point]
        pull = (solved @ gradient[seen.point][..., None])[..., 0]
        system.gradient.index_add_(0, columns.reshape(-1), -pull.reshape(-1))
        for start in range(0, len(seen.first), _CHUNK):
            first, second = seen.first[start : start + _CHUNK], seen.second[start : start + _CHUNK]
            block = solved[first] @ coupling[second].transpose(-1, -2)
            add_block(system.matrix, columns[first], columns[second], -block)
        return PointElimination(inverse, gradient, coupling, columns)

    def step(self, seen: Observations, eliminated: PointElimination, border: Tensor) -> Tensor:
        """The points' step (P,3) that goes with the border's."""
        pull = (eliminated.coupling.transpose(-1, -2) @ border[eliminated.columns][..., None])[..., 0]
        total = eliminated.gradient.clone()
        total.index_add_(0, seen.point, pull)
        return -(eliminated.inverse @ total[..., None])[..., 0]
