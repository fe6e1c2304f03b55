"""L_2D and L_3D of the scene: its points project where the key frames saw them, and lie as deep as the depth maps say,
up to one factor per map. They are eliminated point by point.

One point per track of correspondences makes the rest of L_3D (two views of it are one point) hold by construction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .arrowhead import Arrowhead
from .problem import Observations
from .robust import Kernel
from .rows import add_block
from .state import Layout, State

#: Rows of pairs of sightings handled at once: bounds the memory of the Schur complement.
_CHUNK = 2000
#: Steps of every point alone after a step of all, and their damping.
_POINT_STEPS, _POINT_DAMPING = 2, 1e-6


@dataclass
class PointElimination:
    """What is needed to step the points once the border's step is known: inverse (P,3,3) and gradient (P,3) of their
    blocks, coupling (M,3,8) of every sighting with its border columns (M,8)."""

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
        pixel = cameras.focal_on(seen.frame) * point[:, :2] / depth + cameras.intrinsics[seen.frame, 2:]
        pixel = (pixel - seen.pixel) / self.sigma
        if not len(state.depth):
            return torch.cat([pixel, torch.zeros_like(depth)], -1)
        said = seen.log_depth + state.depth[seen.map.clamp(min=0)]
        deep = torch.where(seen.map >= 0, (depth[:, 0].log() - said) / self.depth_sigma, 0.0)
        return torch.cat([pixel, deep[:, None]], -1)

    def _weights(self, residual: Tensor) -> Tensor:
        pixel = self.kernel.weight((residual[:, :2] ** 2).sum(-1))
        return torch.stack([pixel, pixel, self.kernel.weight(residual[:, 2] ** 2)], -1)

    def _costs(self, seen: Observations, state: State) -> Tensor:
        residual = self._residuals(seen, state)
        return self.kernel.cost((residual[:, :2] ** 2).sum(-1)) + self.kernel.cost(residual[:, 2] ** 2)

    def cost(self, seen: Observations, state: State) -> float:
        """Robust cost of all sightings."""
        return float(self._costs(seen, state).sum())

    def settled(self, seen: Observations, state: State) -> State:
        """The state with every point where its own sightings want it, given the cameras: Gauss-Newton point by point, a
        step being taken only where it helps. Keeps few bad points from spoiling a step of all cameras (embedded point
        iterations, Jeong et al. 2012)."""
        costs = self._costs(seen, state)
        for _ in range(_POINT_STEPS):
            residual = self._residuals(seen, state)
            _, by_point = self.linearize(seen, state)
            weight = self._weights(residual)[..., None]
            hessian, gradient = self._points_alone(seen, weight, by_point, residual, len(state.points))
            main = hessian.diagonal(dim1=-2, dim2=-1)
            main += _POINT_DAMPING * main + 1e-9
            step = torch.linalg.solve(hessian, gradient[..., None])[..., 0]
            trial = replace(state, points=state.points - step)
            tried = self._costs(seen, trial)
            gain = torch.zeros_like(state.points[:, 0]).index_add_(0, seen.point, costs - tried)
            better = gain > 0.0
            state = replace(state, points=torch.where(better[:, None], trial.points, state.points))
            costs = torch.where(better[seen.point], tried, costs)
        return state

    def linearize(self, seen: Observations, state: State) -> tuple[Tensor, Tensor]:
        """Jacobians by (turn, shift of the camera, focal, log scale of the map) (M,3,8) and by the point (M,3,3)."""
        point = self._camera_points(seen, state)
        depth = point[:, 2:].clamp(min=1e-6)
        scaled = state.cameras.focal_on(seen.frame) / (self.sigma * depth)
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
        keys = _columns_of_keyframes(layout, seen)
        count, width = len(state.points), by_camera.shape[-1]
        hessian, gradient = self._points_alone(seen, weight, by_point, residual, count)
        main = hessian.diagonal(dim1=-2, dim2=-1)
        main += damping * main + 1e-9
        inverse = torch.linalg.inv(hessian)

        weighted = (weight * by_camera).transpose(-1, -2)
        coupling = by_point.transpose(-1, -2) @ weighted.transpose(-1, -2)
        solved = inverse[seen.point] @ coupling
        force = (weighted @ residual[..., None] - solved.transpose(-1, -2) @ gradient[seen.point][..., None])[..., 0]
        total = force.new_zeros(len(keys), width)
        total.index_add_(0, seen.keyframe, force)
        system.gradient.index_add_(0, keys.reshape(-1), total.reshape(-1))
        own = force.new_zeros(len(keys), width, width)
        own.index_add_(0, seen.keyframe, weighted @ by_camera)
        add_block(system.matrix, keys, keys, own)

        # Sums over the points that two key frames share are matrix products; only their results are scattered.
        padded = [torch.cat([part, part.new_zeros(1, 3, width)]) for part in (solved, coupling)]
        pairs = seen.pairs
        for start in range(0, len(pairs.before), _CHUNK):
            rows = slice(start, start + _CHUNK)
            first = padded[0][pairs.first[rows]].flatten(1, 2)
            block = first.transpose(-1, -2) @ padded[1][pairs.second[rows]].flatten(1, 2)
            before, after = keys[pairs.before[rows]], keys[pairs.after[rows]]
            add_block(system.matrix, before, after, -block)
            apart = pairs.before[rows] != pairs.after[rows]
            add_block(system.matrix, after[apart], before[apart], -block[apart].transpose(-1, -2))
        return PointElimination(inverse, gradient, coupling, keys[seen.keyframe])

    @staticmethod
    def _points_alone(
        seen: Observations, weight: Tensor, by_point: Tensor, residual: Tensor, count: int
    ) -> tuple[Tensor, Tensor]:
        """The points' own blocks (P,3,3) and gradients (P,3)."""
        weighted = (weight * by_point).transpose(-1, -2)
        hessian, gradient = by_point.new_zeros(count, 3, 3), by_point.new_zeros(count, 3)
        hessian.index_add_(0, seen.point, weighted @ by_point)
        gradient.index_add_(0, seen.point, (weighted @ residual[..., None])[..., 0])
        return hessian, gradient

    def step(self, seen: Observations, eliminated: PointElimination, border: Tensor) -> Tensor:
        """The points' step (P,3) that goes with the border's."""
        pull = (eliminated.coupling @ border[eliminated.columns][..., None])[..., 0]
        total = eliminated.gradient.clone()
        total.index_add_(0, seen.point, pull)
        return -(eliminated.inverse @ total[..., None])[..., 0]


def _columns_of_keyframes(layout: Layout, seen: Observations) -> Tensor:
    """Border columns (K,8) of each key frame: its camera, the lens, and its depth map's factor."""
    keys = torch.arange(layout.keyframes, device=seen.frame.device)
    depth = torch.full_like(keys, -1).scatter_reduce(0, seen.keyframe, seen.map, "amax")
    return torch.cat(
        [
            layout.camera_of(keys),
            layout.lens_of(keys)[:, None],
            # Where there is no map the last column is any: its slope is 0.
            torch.where(depth >= 0, layout.depth_start + depth, 0)[:, None],
        ],
        -1,
    )
