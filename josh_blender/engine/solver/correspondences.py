"""L_2D and L_3D of the scene: its points project where the key frames saw them, and lie as deep as the depth maps say,
up to one factor per map. They are eliminated point by point.

One point per track of correspondences makes the rest of L_3D (two views of it are one point) hold by construction.
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


@dataclass
class PointElimination:
    """What is needed to step the points once the border's step is known."""

    inverse: Tensor
    gradient: Tensor
    coupling: Tensor
    columns: Tensor


@dataclass(frozen=True)
class Correspondences:
    """proj(K, R'(X - C)) - u, in units of sigma px; and log z(X) - (log z_map + d), in units of depth_sigma.

    The pixel and the depth are robust on their own: either may be wrong alone.
    """

    kernel: Kernel
    sigma: float
    depth_sigma: float
    name: str = "correspondences"

    def _camera_points(self, seen: Observations, state: State) -> Tensor:
        cameras = state.cameras
        offset = state.points[seen.point] - cameras.centre[seen.frame]
        return (cameras.rotation[seen.frame].transpose(-1, -2) @ offset[..., None])[..., 0]

    def _residuals(self, seen: Observations, state: State) -> Tensor:
        point = self._camera_points(seen, state)
        cameras = state.cameras
        depth = point[:, 2:].clamp(min=1e-6)
        pixel = cameras.focal[seen.frame] * point[:, :2] / depth + cameras.intrinsics[seen.frame, 2:]
        pixel = (pixel - seen.pixel) / self.sigma
        if not len(state.depth):
            return torch.cat([pixel, torch.zeros_like(depth)], -1)
        said = seen.log_depth + state.depth[seen.map.clamp(min=0)]
        deep = torch.where(seen.map >= 0, (depth[:, 0].log() - said) / self.depth_sigma, 0.0)
        return torch.cat([pixel, deep[:, None]], -1)

    def _weights(self, residual: Tensor) -> Tensor:
        pixel = self.kernel.weight((residual[:, :2] ** 2).sum(-1))
        return torch.stack([pixel, pixel, self.kernel.weight(residual[:, 2] ** 2)], -1)

    def cost(self, seen: Observations, state: State) -> float:
        """Robust cost of all sightings."""
        residual = self._residuals(seen, state)
        return float(
            self.kernel.cost((residual[:, :2] ** 2).sum(-1)).sum() + self.kernel.cost(residual[:, 2] ** 2).sum()
        )

    def linearize(self, seen: Observations, state: State) -> tuple[Tensor, Tensor]:
        """Jacobians by (turn, shift of the camera, focal, log scale of the map) (M,3,8) and by the point (M,3,3)."""
        point = self._camera_points(seen, state)
        depth = point[:, 2:].clamp(min=1e-6)
        scaled = state.cameras.focal[seen.frame] / (self.sigma * depth)
        by_point = point.new_zeros(len(point), 3, 3)
        by_point[:, 0, 0], by_point[:, 1, 1] = scaled[:, 0], scaled[:, 1]
        by_point[:, :2, 2] = -scaled * point[:, :2] / depth
        mapped = (seen.map >= 0).to(point) / self.depth_sigma
        by_point[:, 2, 2] = mapped / depth[:, 0]
        x, y, z = point.unbind(-1)
        zero = torch.zeros_like(x)
        cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
        by_lens = point.new_zeros(len(point), 3, 2)
        by_lens[:, :2, 0] = scaled * point[:, :2]
        by_lens[:, 2, 1] = -mapped
        by_camera = torch.cat([by_point @ cross, -by_point, by_lens], -1)
        return by_camera, by_point @ state.cameras.rotation[seen.frame].transpose(-1, -2)

    def add(
        self, system: Arrowhead, layout: Layout, seen: Observations, state: State, damping: float
    ) -> PointElimination:
        """Adds the camera part with the points eliminated."""
        residual = self._residuals(seen, state)
        weight = self._weights(residual)[..., None]
        by_camera, by_point = self.linearize(seen, state)
        six = torch.arange(6, device=seen.frame.device)
        columns = torch.cat(
            [
                layout.CAMERA + 6 * seen.keyframe[:, None] + six,
                torch.full_like(seen.keyframe, layout.FOCAL)[:, None],
                # Where there is no map the last column is any: its slope is 0.
                torch.where(seen.map >= 0, layout.depth_start + seen.map, 0)[:, None],
            ],
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
