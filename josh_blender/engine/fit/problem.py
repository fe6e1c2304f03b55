"""The least-squares problem of one track: residuals, Jacobians and the Levenberg-Marquardt loop.

Unknowns are, per frame, the body's place and 24 joint rotations (a chain along time), and for the whole track the
betas and the scale of the world landmarks (the border of `solver.arrowhead`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..solver import so3
from ..solver.arrowhead import BAND, Arrowhead, Chain, Cut, solve
from ..solver.body_points import BODY_SIZE, BodyPoints, pose, pose_jacobian, shape_jacobian
from ..solver.robust import GemanMcClure
from ..solver.rows import Rows, add_rows
from ..solver.self_collision import Volume, collision_rows, overlap_of
from . import priors
from .settings import FitSettings

_MOST_DAMPING = 1e8
_NEAREST = 0.1


@dataclass(frozen=True)
class Observations:
    """What one track shows; T frames, L landmarks.

    point (T,L,2) on the undistorted image plane at z = 1; sigma (T,) their sigma there at weight 1; weight (T,L);
    world (T,L,3) hip-centred metres in camera axes; world_weight (T,L); time (T,) s; world_from_camera (T,3,3)
    rotation only; height: rest height in metres; spread (L,) factor on the sigma of each landmark; depth_spread,
    depth_share (L,): of the world landmarks along the view (`landmarks.LandmarkMap`); usual_angle (24,3) of this
    body's joints, radians.
    """

    point: Tensor
    sigma: Tensor
    weight: Tensor
    world: Tensor
    world_weight: Tensor
    time: Tensor
    world_from_camera: Tensor
    height: float
    spread: Tensor
    depth_spread: Tensor
    depth_share: Tensor
    usual_angle: Tensor

    def part(self, rows: Tensor) -> Observations:
        """The same of some frames (N,) in rising order."""
        per_frame = ("point", "sigma", "weight", "world", "world_weight", "time", "world_from_camera")
        return replace(self, **{name: getattr(self, name)[rows] for name in per_frame})


@dataclass(frozen=True)
class FitState:
    """rotation (T,24,3,3) of each joint in its parent; trans (T,3) camera axes, m; betas (B,); scale of the world."""

    rotation: Tensor
    trans: Tensor
    betas: Tensor
    scale: Tensor

    def part(self, rows: Tensor) -> FitState:
        """The same on some frames (N,)."""
        return replace(self, rotation=self.rotation[rows], trans=self.trans[rows])


@dataclass(frozen=True)
class RestHeight:
    """Vertical coordinates of the rest mesh, linear in the betas: base (V,), slope (V,B)."""

    base: Tensor
    slope: Tensor

    def __call__(self, betas: Tensor) -> tuple[Tensor, Tensor]:
        """Height in m and its gradient (B,): the extent between the highest and the lowest vertex."""
        vertical = self.base + self.slope @ betas
        top, bottom = int(vertical.argmax()), int(vertical.argmin())
        return vertical[top] - vertical[bottom], self.slope[top] - self.slope[bottom]

    def enforce(self, betas: Tensor, height: float) -> Tensor:
        """The nearest betas with that rest height, by Newton's method along the gradient.

        The highest vertex changes with the betas, so the height is piecewise linear and a few steps are exact.
        """
        for _ in range(20):
            value, slope = self(betas)
            if abs(float(value) - height) < 1e-9:
                break
            betas = betas + slope * (height - value) / slope.square().sum()
        return betas


@dataclass(frozen=True)
class Problem:
    """One track's problem."""

    body: BodyPoints
    height: RestHeight
    seen: Observations
    settings: FitSettings
    volume: Volume

    def part(self, rows: Tensor) -> Problem:
        """The same for some frames (N,) in rising order."""
        return replace(self, seen=self.seen.part(rows))

    def build(self, state: FitState) -> tuple[Arrowhead, Tensor]:
        """Normal equations at the state, and its robust cost."""
        frames, size = len(state.trans), len(state.betas) + 1
        like = state.trans
        chain = Chain.zeros(frames, BODY_SIZE, Cut.whole(size), like)
        system = Arrowhead.zeros(torch.ones(size, dtype=torch.int64), like)
        system.chains.append(chain)
        cost = like.new_zeros(())
        for rows, value in self._data_rows(state):
            add_rows(system, chain, rows)
            cost = cost + value
        rows = collision_rows(
            self.volume, state.rotation, state.trans, state.betas, self.settings.self_collision_m, first_beta=0
        )
        add_rows(system, chain, rows)
        cost = cost + rows.residual.square().sum() + self._add_prior(state, chain) + self._add_smoothness(state, chain)
        cost = cost + self._add_shape(state, system)
        return system, cost

    def cost(self, state: FitState) -> Tensor:
        """Robust cost of the state alone."""
        total = sum((value for _, value in self._data_rows(state, jacobians=False)), state.trans.new_zeros(()))
        deep = overlap_of(self.volume, state.rotation, state.trans, state.betas) / self.settings.self_collision_m
        total = total + deep.square().sum()
        return total + self._add_prior(state, None) + self._add_smoothness(state, None) + self._add_shape(state, None)

    def _data_rows(self, state: FitState, jacobians: bool = True) -> list[tuple[Rows, Tensor]]:
        seen, settings = self.seen, self.settings
        kernel = GemanMcClure(settings.kernel)
        posed = pose(self.body, state.rotation, state.trans, state.betas)
        points = posed.points
        depth = points[..., 2:].clamp(min=_NEAREST)
        flat = points[..., :2] / depth
        sigma = seen.sigma[:, None, None] * seen.spread[None, :, None]
        image = (flat - seen.point) / sigma
        squared = image.square().sum(-1)
        image_cost = (seen.weight * kernel.cost(squared)).sum()
        image_weight = seen.weight * kernel.weight(squared)

        share = seen.world_weight / seen.world_weight.sum(1, keepdim=True).clamp(min=1e-9)

        def centre(array: Tensor) -> Tensor:
            weight = share.view(*share.shape, *(1,) * (array.ndim - 2))
            return array - (weight * array).sum(1, keepdim=True)

        world = centre(seen.world)
        one = torch.ones_like(seen.spread)
        shown = torch.stack([one, one, seen.depth_share], -1)
        world_sigma = seen.spread[:, None] * torch.stack(
            [settings.world_side * one, settings.world_side * one, settings.world_depth * seen.depth_spread], -1
        )
        model = (centre(shown * centre(points)) - state.scale * world) / world_sigma
        squared = model.square().sum(-1)
        world_cost = (seen.world_weight * kernel.cost(squared)).sum()
        world_weight = seen.world_weight * kernel.weight(squared)
        if not jacobians:
            empty = Rows(image, image_weight)
            return [(empty, image_cost), (empty, world_cost)]

        by_pose, by_shape = pose_jacobian(self.body, posed), shape_jacobian(self.body, posed)
        frame = torch.arange(len(points))
        columns = torch.arange(len(state.betas) + 1).expand(len(points), -1)

        def flatten(jacobian: Tensor) -> Tensor:
            return (jacobian[..., :2, :] - flat[..., None] * jacobian[..., 2:, :]) / (depth * sigma)[..., None]

        def of_world(jacobian: Tensor) -> Tensor:
            return centre(shown[..., None] * centre(jacobian)) / world_sigma[..., None]

        no_scale = image.new_zeros(*image.shape, 1)
        by_scale = -(world / world_sigma)[..., None]
        image_rows = Rows(
            image,
            image_weight,
            [(frame, flatten(by_pose))],
            columns,
            torch.cat([flatten(by_shape), no_scale], -1),
        )
        world_rows = Rows(
            model,
            world_weight,
            [(frame, of_world(by_pose))],
            columns,
            torch.cat([of_world(by_shape), by_scale], -1),
        )
        return [(image_rows, image_cost), (world_rows, world_cost)]

    def _add_prior(self, state: FitState, chain: Chain | None) -> Tensor:
        """Usual angles and hinge limits; returns their cost."""
        like = state.trans
        angle = so3.log(state.rotation)
        weight = self.settings.prior * like.new_tensor(priors.USUAL_SIGMA).pow(-2)
        away = angle - self.seen.usual_angle
        limit = like.new_tensor(self.settings.limit_degrees).deg2rad().pow(-2)
        least, greatest = like.new_tensor(priors.LEAST_ANGLE), like.new_tensor(priors.GREATEST_ANGLE)
        beyond = (angle - greatest).clamp(min=0.0) + (angle - least).clamp(max=0.0)
        cost = (weight * away.square() + limit * beyond.square()).sum()
        if chain is not None:
            slope = so3.right_jacobian_inverse(angle)
            pull = weight * away + limit * beyond
            curvature = weight + limit * (beyond != 0.0)
            block = slope.transpose(-1, -2) @ (curvature[..., None] * slope)
            gradient = (slope.transpose(-1, -2) @ pull[..., None])[..., 0]
            joint_blocks(chain.band[:, 0]).add_(block)
            chain.gradient[:, 3:] += gradient.reshape(len(gradient), -1)
        return cost

    def _add_smoothness(self, state: FitState, chain: Chain | None) -> Tensor:
        """Accelerations of the pelvis and of all joints against their sigmas; returns the cost."""
        frames = len(state.trans)
        if frames < BAND:
            return state.trans.new_zeros(())
        step = self.seen.time.diff()
        span = 0.5 * (step[1:] + step[:-1])
        # Second derivative of unevenly spaced samples: a x_t - (a + b) x_t+1 + b x_t+2.
        factor = torch.stack(
            [1.0 / (step[:-1] * span), -1.0 / (step[:-1] * span) - 1.0 / (step[1:] * span), 1.0 / (step[1:] * span)]
        )
        turn = self.seen.world_from_camera
        place = (turn @ state.trans[..., None])[..., 0]
        acceleration = (
            sum(factor[k, :, None] * place[k : frames - 2 + k] for k in range(BAND)) / self.settings.acceleration
        )
        assert isinstance(acceleration, Tensor)
        # The root turns in the axes of the world; the other joints in those of their parent, which no camera moves.
        rotation = torch.cat([turn[:, None] @ state.rotation[:, :1], state.rotation[:, 1:]], 1)
        speed = so3.log(rotation[:-1].transpose(-1, -2) @ rotation[1:]) / step[:, None, None]
        sigma = self.settings.turns * state.trans.new_tensor(priors.SMOOTHNESS)
        spin = (rotation[1:-1] @ (speed.diff(dim=0) / span[:, None, None])[..., None])[..., 0] / sigma
        cost = acceleration.square().sum() + spin.square().sum()
        if chain is None:
            return cost
        # Neighbouring frames differ little in their axes, so the Jacobian of the spin is taken as that of a vector.
        for first in range(BAND):
            rows = slice(first, frames - 2 + first)
            slope = factor[first]
            pull = (slope / self.settings.acceleration)[:, None] * acceleration
            # The place is smooth in the axes of the world and solved for in those of the camera; the turns likewise.
            chain.gradient[rows, :3] += (turn[rows].transpose(-1, -2) @ pull[..., None])[..., 0]
            pull = slope[:, None, None] * spin / sigma
            turned = rotation[rows].transpose(-1, -2)
            chain.gradient[rows, 3:] += (turned @ pull[..., None])[..., 0].flatten(1)
            for later in range(first, BAND):
                others = slice(later, frames - 2 + later)
                product = slope * factor[later]
                band = chain.band[rows, later - first]
                between = turn[rows].transpose(-1, -2) @ turn[others]
                band[:, :3, :3] += (product / self.settings.acceleration**2)[:, None, None] * between
                between = turned @ (rotation[others] / sigma.square()[..., None])
                joint_blocks(band).add_(product[:, None, None, None] * between)
        return cost

    def _add_shape(self, state: FitState, system: Arrowhead | None) -> Tensor:
        """The population's shapes, the height, and the scale of the world landmarks; returns their cost."""
        settings, betas = self.settings, state.betas
        weight = (1.0 + settings.betas_share * len(state.trans)) / settings.betas**2
        height, slope = self.height(betas)
        excess = (height - self.seen.height) / settings.height_m
        stretch = (state.scale - 1.0) / settings.scale
        if system is not None:
            count = len(betas)
            slope = slope / settings.height_m
            system.matrix[:count, :count] += weight * torch.eye(count, dtype=betas.dtype) + slope[:, None] * slope
            system.gradient[:count] += weight * betas + slope * excess
            system.matrix[count, count] += settings.scale**-2
            system.gradient[count] += stretch / settings.scale
        return weight * betas.square().sum() + excess.square() + stretch.square()


def joint_blocks(block: Tensor) -> Tensor:
    """The view (T,24,3,3) of the joints' own blocks in blocks (T,75,75) of a chain."""
    count = (block.shape[1] - 3) // 3
    joints = block[:, 3:, 3:].view(-1, count, 3, count, 3)
    return joints.diagonal(dim1=1, dim2=3).permute(0, 3, 1, 2)


def moved(state: FitState, chain: Tensor, border: Tensor) -> FitState:
    """The state after a step: chain (T,75), border (B+1,)."""
    turn = chain[:, 3:].reshape(len(chain), -1, 3)
    return FitState(
        so3.renormalize(state.rotation @ so3.exp(turn)),
        state.trans + chain[:, :3],
        state.betas + border[:-1],
        state.scale + border[-1],
    )


def minimise(problem: Problem, state: FitState, iterations: int, free_shape: bool) -> FitState:
    """Levenberg-Marquardt from the state; ``free_shape`` False keeps betas and the world's scale."""
    free = torch.full((len(state.betas) + 1,), free_shape)
    damping = 1e-3
    system, cost = problem.build(state)
    for _ in range(iterations):
        accepted = False
        while damping < _MOST_DAMPING:
            try:
                step = solve(system, free, damping)
            except RuntimeError:  # torch.linalg.LinAlgError, which torch does not export to type checkers
                damping *= 10.0
                continue
            trial = moved(state, step.chains[0], step.border)
            value = problem.cost(trial)
            if value < cost:
                accepted = True
                break
            damping *= 8.0
        if not accepted:
            break
        gain = float((cost - value) / cost.clamp(min=1e-12))
        state, damping = trial, max(damping / 5.0, 1e-6)
        if gain < problem.settings.tolerance:
            break
        system, cost = problem.build(state)
    if free_shape:
        state = replace(state, betas=problem.height.enforce(state.betas, problem.seen.height))
    return state
