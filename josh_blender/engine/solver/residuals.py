"""The residual blocks of the people: landmarks, contact scale, contact static, smoothness and priors.

Each block is a class with two methods: ``groups`` (residuals of a state, divided by their sigma, as (N,G,g)) and
``rows`` (the same, linearised). Points of a body are computed once per state (`Moment`) and shared.
Camera axes of a frame: x_c. World: x_w = s C + R x_c with s metres per scene unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from . import so3
from .body_points import BODY_SIZE, PosedPoints, pose, pose_jacobian, shape_jacobian
from .problem import PersonProblem
from .robust import Kernel
from .rows import DiagonalRows, Rows
from .settings import SolverSettings
from .state import Body, Cameras, Layout, State


@dataclass(frozen=True)
class Moment:
    """One person at one state. Jacobians by the body (T,P,3,75) and by the betas (T,P,3,B) where asked for."""

    person: PersonProblem
    number: int
    cameras: Cameras
    body: Body
    posed: PosedPoints
    by_body: Tensor | None
    by_betas: Tensor | None


def moment(person: PersonProblem, number: int, state: State, jacobians: bool) -> Moment:
    """The person's points at this state."""
    body = state.bodies[number]
    posed = pose(person.points, body.rotation, body.trans, body.betas)
    by_body = pose_jacobian(person.points, posed) if jacobians else None
    by_betas = shape_jacobian(person.points, posed) if jacobians else None
    return Moment(person, number, state.cameras, body, posed, by_body, by_betas)


class Residual(Protocol):
    """A residual block of one person."""

    name: str
    kernel: Kernel

    def groups(self, at: Moment) -> Tensor: ...

    def confidence(self, at: Moment) -> Tensor: ...

    def rows(self, at: Moment, layout: Layout) -> Rows: ...


# --- points in the world ---------------------------------------------------------------------------------------------


def world_points(at: Moment, frame: Tensor, row: Tensor) -> Tensor:
    """x_w (N,3) of body points on frames of the person."""
    cameras, index = at.cameras, at.person.index[frame]
    point = at.posed.points[frame, row]
    return cameras.scale * cameras.centre[index] + (cameras.rotation[index] @ point[..., None])[..., 0]


def world_jacobian(at: Moment, layout: Layout, frame: Tensor, row: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """d x_w / d body (N,3,75), the border's columns (N,C) and d x_w / d border (N,3,C)."""
    assert at.by_body is not None and at.by_betas is not None
    cameras, index = at.cameras, at.person.index[frame]
    turn = cameras.rotation[index]
    point = at.posed.points[frame, row]
    by_body = turn @ at.by_body[frame, row]
    by_scale = cameras.scale * cameras.centre[index]
    # The camera turns and shifts in its own axes: dx_w = R (phi x x_c) + s R tau.
    by_camera = torch.cat([-turn @ so3.hat(point), cameras.scale * turn], -1)
    share = cameras.share[index][:, None, None]
    by_betas = turn @ at.by_betas[frame, row]
    border = torch.cat([by_scale[..., None], (1.0 - share) * by_camera, share * by_camera, by_betas], -1)
    count = len(frame)
    columns = torch.cat(
        [
            torch.full((count, 1), layout.SCALE, device=frame.device),
            layout.camera_of(cameras.left[index]),
            layout.camera_of(cameras.right[index]),
            _betas_columns(at, layout).expand(count, -1),
        ],
        -1,
    )
    return by_body, columns, border


def _betas_columns(at: Moment, layout: Layout) -> Tensor:
    """The border's columns (B,) of the person's betas."""
    betas = at.body.betas
    return layout.betas_start(at.number) + torch.arange(len(betas), device=betas.device)


# --- the terms -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Landmarks:
    """Landmarks project where they were seen: proj(K, x_c) - u."""

    kernel: Kernel
    name: str = "landmarks"

    def _points(self, at: Moment) -> Tensor:
        return at.posed.points[:, : at.person.landmarks]

    def groups(self, at: Moment) -> Tensor:
        point = self._points(at)
        index = at.person.index
        depth = point[..., 2:].clamp(min=0.05)
        centre = at.cameras.intrinsics[index, None, 2:]
        pixel = at.cameras.focal_on(index)[:, None] * point[..., :2] / depth + centre
        return (pixel - at.person.pixel) / at.person.sigma[..., None]

    def confidence(self, at: Moment) -> Tensor:
        return at.person.confidence

    def rows(self, at: Moment, layout: Layout) -> Rows:
        assert at.by_body is not None and at.by_betas is not None
        count = at.person.landmarks
        point = self._points(at)
        depth = point[..., 2:].clamp(min=0.05)
        cameras, index = at.cameras, at.person.index
        focal = cameras.focal_on(index)[:, None] / at.person.sigma[..., None]
        by_point = point.new_zeros(*point.shape[:2], 2, 3)
        scaled = focal / depth
        by_point[..., 0, 0], by_point[..., 1, 1] = scaled[..., 0], scaled[..., 1]
        by_point[..., 2] = -scaled * point[..., :2] / depth
        by_focal = (scaled * point[..., :2])[..., None]
        share = cameras.share[index][:, None, None, None]
        by_lenses = torch.cat([(1.0 - share) * by_focal, share * by_focal], -1)
        border = torch.cat([by_lenses, by_point @ at.by_betas[:, :count]], -1)
        lenses = torch.stack([layout.lens_of(cameras.left[index]), layout.lens_of(cameras.right[index])], -1)
        columns = torch.cat([lenses, _betas_columns(at, layout).expand(len(point), -1)], -1)
        frames = torch.arange(len(point), device=point.device)
        return Rows(
            self.groups(at),
            torch.empty(0),
            [(frames, by_point @ at.by_body[:, :count])],
            columns,
            border,
        )


@dataclass(frozen=True)
class ContactScale:
    """L_c1: skin in contact lies on the local plane of the scene: n . (x_w - s X) - r, r from the point to the skin.

    X goes with the camera that saw it, its lens and its depth map: X = C + R diag(1/l, 1/l, 1) e^d X_local, l the
    factor on that camera's focal length, d the log scale of the map. So what holds the feet also holds cameras and
    lens.
    """

    kernel: Kernel
    sigma: float
    name: str = "contact_scale"

    def _from_camera(self, at: Moment, depth: Tensor) -> Tensor:
        surfaces = at.person.surfaces
        longer = at.cameras.log_focal_on(surfaces.seen_from).exp()
        point = surfaces.local / torch.stack([longer, longer, torch.ones_like(longer)], -1)
        if not len(depth):
            return point
        return torch.where(surfaces.depth >= 0, depth[surfaces.depth.clamp(min=0)].exp(), 1.0)[:, None] * point

    def _surface(self, at: Moment, local: Tensor) -> Tensor:
        seen_from = at.person.surfaces.seen_from
        turned = (at.cameras.rotation[seen_from] @ local[..., None])[..., 0]
        return at.cameras.centre[seen_from] + turned

    def groups_at(self, at: Moment, depth: Tensor) -> Tensor:
        surfaces = at.person.surfaces
        surface = self._surface(at, self._from_camera(at, depth))
        gap = world_points(at, surfaces.frame, surfaces.row) - at.cameras.scale * surface
        return (((gap * surfaces.normal).sum(-1) - surfaces.reach) / self.sigma)[:, None, None]

    def confidence(self, at: Moment) -> Tensor:
        return at.person.surfaces.weight[:, None]

    def rows_at(self, at: Moment, layout: Layout, depth: Tensor) -> Rows:
        surfaces = at.person.surfaces
        by_body, columns, border = world_jacobian(at, layout, surfaces.frame, surfaces.row)
        normal = surfaces.normal[:, None] / self.sigma
        border = (normal @ border)[:, None]
        own_columns, own = self._surface_jacobian(at, layout, depth)
        border = torch.cat([border, -(normal @ own)[:, None]], -1)
        columns = torch.cat([columns, own_columns], -1)
        return Rows(
            self.groups_at(at, depth), torch.empty(0), [(surfaces.frame, (normal @ by_body)[:, None])], columns, border
        )

    def _surface_jacobian(self, at: Moment, layout: Layout, depth: Tensor) -> tuple[Tensor, Tensor]:
        """The border's columns (N,C) and d (s X) / d border (N,3,C): scale, its camera, the lens, its depth map."""
        surfaces, cameras = at.person.surfaces, at.cameras
        local = self._from_camera(at, depth)
        seen_from = surfaces.seen_from
        turn = cameras.scale * cameras.rotation[seen_from]
        by_camera = torch.cat([-turn @ so3.hat(local), turn], -1)
        share = cameras.share[seen_from][:, None, None]
        sideways = local * local.new_tensor([-1.0, -1.0, 0.0])
        by_lens, by_depth = turn @ sideways[..., None], turn @ local[..., None]
        by_depth = torch.where(surfaces.depth[:, None, None] >= 0, by_depth, 0.0)
        by_scale = (cameras.scale * self._surface(at, local))[..., None]
        # Where there is no map the last column is any: its slope is 0.
        map_column = torch.where(surfaces.depth >= 0, layout.depth_start + surfaces.depth, 0)
        left, right = cameras.left[seen_from], cameras.right[seen_from]
        columns = torch.cat(
            [
                torch.full_like(left, layout.SCALE)[:, None],
                layout.camera_of(left),
                layout.camera_of(right),
                torch.stack([layout.lens_of(left), layout.lens_of(right), map_column], -1),
            ],
            -1,
        )
        by_border = [by_scale, (1.0 - share) * by_camera, share * by_camera, (1.0 - share) * by_lens, share * by_lens]
        return columns, torch.cat([*by_border, by_depth], -1)


@dataclass(frozen=True)
class ContactStatic:
    """L_c2: a point that stays in contact does not move in the world: (x_w(t') - x_w(t)) / (t' - t)."""

    kernel: Kernel
    speed: float
    name: str = "contact_static"

    def _places(self, at: Moment, frame: Tensor) -> tuple[Tensor, Tensor]:
        """Frames and rows (N*G,) of every point on frames (N,)."""
        row = at.person.static.row
        return frame.repeat_interleave(len(row)), row.repeat(len(frame))

    def groups(self, at: Moment) -> Tensor:
        pairs = at.person.static
        before, after = (world_points(at, *self._places(at, frame)) for frame in (pairs.first, pairs.second))
        return (after - before).reshape(*pairs.weight.shape, 3) / (self.speed * pairs.span)[:, None, None]

    def confidence(self, at: Moment) -> Tensor:
        return at.person.static.weight

    def rows(self, at: Moment, layout: Layout) -> Rows:
        pairs = at.person.static
        count, points = pairs.weight.shape
        scale = 1.0 / (self.speed * pairs.span)[:, None, None, None]
        bodies, columns, borders = [], [], []
        for frame, factor in ((pairs.first, -scale), (pairs.second, scale)):
            by_body, column, border = world_jacobian(at, layout, *self._places(at, frame))
            bodies.append((frame, factor * by_body.reshape(count, points, 3, BODY_SIZE)))
            borders.append(factor * border.reshape(count, points, 3, border.shape[-1]))
            # All points of a frame touch the same columns.
            columns.append(column.reshape(count, points, column.shape[-1])[:, 0] if points else column)
        return Rows(self.groups(at), torch.empty(0), bodies, torch.cat(columns, -1), torch.cat(borders, -1))


def second_difference(time: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Coefficients (T-2,) each of the acceleration at the middle of three unevenly spaced times."""
    before, after = time[1:-1] - time[:-2], time[2:] - time[1:-1]
    mean = 0.5 * (before + after)
    return 1.0 / (before * mean), -(1.0 / before + 1.0 / after) / mean, 1.0 / (after * mean)


@dataclass(frozen=True)
class RootSmooth:
    """The pelvis accelerates in the world like a person, in m/s^2 whatever the frame rate."""

    kernel: Kernel
    sigma: float
    name: str = "smooth_root"

    def _frames(self, at: Moment) -> list[Tensor]:
        count = max(len(at.person.index) - 2, 0)
        return [torch.arange(count, device=at.person.index.device) + shift for shift in range(3)]

    def groups(self, at: Moment) -> Tensor:
        frames = self._frames(at)
        if not len(frames[0]):
            return at.person.time.new_zeros(0, 1, 3)
        row = torch.full_like(frames[0], at.person.landmarks)
        total = at.person.time.new_zeros(len(row), 3)
        for frame, factor in zip(frames, second_difference(at.person.time), strict=True):
            total = total + factor[:, None] * world_points(at, frame, row)
        return (total / self.sigma)[:, None]

    def confidence(self, at: Moment) -> Tensor:
        return at.person.time.new_ones(max(len(at.person.index) - 2, 0), 1)

    def rows(self, at: Moment, layout: Layout) -> Rows:
        frames = self._frames(at)
        if not len(frames[0]):
            return Rows(self.groups(at), torch.empty(0))
        row = torch.full_like(frames[0], at.person.landmarks)
        bodies, columns, borders = [], [], []
        for frame, factor in zip(frames, second_difference(at.person.time), strict=True):
            by_body, column, border = world_jacobian(at, layout, frame, row)
            scale = (factor / self.sigma)[:, None, None]
            # The pelvis goes with the body's place alone: the root turns about it.
            bodies.append((frame, (scale * by_body[..., :3])[:, None]))
            columns.append(column)
            borders.append(scale * border)
        return Rows(self.groups(at), torch.empty(0), bodies, torch.cat(columns, -1), torch.cat(borders, -1)[:, None])


# --- terms with a diagonal Jacobian ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class BodyPrior:
    """L_p: the body stays near its estimate: root in its camera (sideways m, depth as a share), joints in degrees.

    The residual of a joint is log(R0' R). Its exact Jacobian is the inverse right Jacobian of SO(3), whose transpose
    leaves the residual itself unchanged: the gradient with the identity in its place is exact.
    """

    settings: SolverSettings
    name: str = "prior_body"

    def values(self, at: Moment) -> Tensor:
        initial = at.person.initial
        place = (at.body.trans - initial.trans) / self._place_sigma(initial)
        turn = so3.log(initial.rotation.transpose(-1, -2) @ at.body.rotation)
        return torch.cat([place, turn.flatten(1) / torch.deg2rad(turn.new_tensor(self.settings.pose_degrees))], -1)

    def _place_sigma(self, initial: Body) -> Tensor:
        depth = initial.trans[:, 2:].clamp(min=0.1)
        side = torch.full_like(depth, self.settings.root_side)
        return torch.cat([side, side, self.settings.root_depth * len(depth) ** 0.5 * depth], -1)

    def diagonal(self, at: Moment) -> DiagonalRows:
        values = self.values(at)
        slope = values.new_full(
            (len(values), BODY_SIZE), float(1.0 / torch.deg2rad(values.new_tensor(self.settings.pose_degrees)))
        )
        slope[:, :3] = 1.0 / self._place_sigma(at.person.initial)
        return DiagonalRows(values, torch.ones_like(values), [(torch.arange(len(values), device=values.device), slope)])


@dataclass(frozen=True)
class TurnSmooth:
    """Joints accelerate like a person's, in rad/s^2: difference of the rates of turn before and after a frame.

    With the rates w = log(R_t' R_t+1) / dt, the Jacobian by the local turns is the identity up to half the turn
    between neighbouring frames, which is taken as zero. The root turns in the world: its camera's turn is included in
    the value and left out of the Jacobian, as cameras are held by thousands of scene points.
    """

    sigma: float
    name: str = "smooth_turn"

    def values(self, at: Moment) -> Tensor:
        rotation, time = at.body.rotation, at.person.time
        if len(time) < 3:
            return time.new_zeros(0, BODY_SIZE)
        world = at.cameras.rotation[at.person.index] @ rotation[:, 0]
        rotation = torch.cat([world[:, None], rotation[:, 1:]], 1)
        span = time[1:] - time[:-1]
        rate = so3.log(rotation[:-1].transpose(-1, -2) @ rotation[1:]) / span[:, None, None]
        change = (rate[1:] - rate[:-1]) / (0.5 * (span[1:] + span[:-1]))[:, None, None]
        return torch.cat([time.new_zeros(len(change), 3), change.flatten(1)], -1) / self.sigma

    def diagonal(self, at: Moment) -> DiagonalRows:
        values = self.values(at)
        if not len(values):
            return DiagonalRows(values, values, [])
        slopes = []
        for shift, factor in enumerate(second_difference(at.person.time)):
            slope = (factor / self.sigma)[:, None].expand(-1, BODY_SIZE).clone()
            slope[:, :3] = 0.0
            slopes.append((torch.arange(len(values), device=values.device) + shift, slope))
        return DiagonalRows(values, torch.ones_like(values), slopes)
