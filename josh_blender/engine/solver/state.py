"""Parameter blocks of the joint problem: what is solved for, and how a step changes it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from . import so3


@dataclass(frozen=True)
class Cameras:
    """Poses of all frames, corrected at the key frames and in between by interpolation of the correction.

    rotation (F,3,3), centre (F,3): world from camera in scene units. intrinsics (F,4) px of the undistorted image.
    left, right (F,) key frames before and after (positions), share (F,) weight of the right one.
    log_scale: logarithm of metres per scene unit; log_focal (N,): logarithm of the factor on the focal lengths, one for
    all frames, or one per key frame of a lens that zooms.
    """

    rotation: Tensor
    centre: Tensor
    intrinsics: Tensor
    left: Tensor
    right: Tensor
    share: Tensor
    log_scale: Tensor
    log_focal: Tensor

    @property
    def scale(self) -> Tensor:
        return self.log_scale.exp()

    def log_focal_on(self, frame: Tensor) -> Tensor:
        """log_focal (...) on frames (...), between key frames interpolated."""
        if len(self.log_focal) == 1:
            return self.log_focal.expand(frame.shape)
        share = self.share[frame]
        return (1.0 - share) * self.log_focal[self.left[frame]] + share * self.log_focal[self.right[frame]]

    def focal_on(self, frame: Tensor) -> Tensor:
        """fx, fy (...,2) with the correction on frames (...)."""
        return self.intrinsics[frame, :2] * self.log_focal_on(frame)[..., None].exp()

    @property
    def focal(self) -> Tensor:
        """fx, fy (F,2) with the correction."""
        return self.focal_on(torch.arange(len(self.intrinsics), device=self.intrinsics.device))


@dataclass(frozen=True)
class Body:
    """One person: rotation (T,24,3,3) of each joint in its parent, trans (T,3) in camera axes, m, betas (B,)."""

    rotation: Tensor
    trans: Tensor
    betas: Tensor


@dataclass(frozen=True)
class State:
    """All unknowns: cameras, one body per person, scene points (P,3) and log depth scales (D,) of the depth maps."""

    cameras: Cameras
    bodies: tuple[Body, ...]
    points: Tensor
    depth: Tensor


@dataclass(frozen=True)
class Layout:
    """Columns of the border: scale, focal lengths (1, or one per key frame), 6 per key frame (turn, shift in the
    camera), depth scales, betas."""

    lenses: int
    keyframes: int
    depths: int
    betas: tuple[int, ...]

    SCALE = 0
    FOCAL = 1

    @property
    def camera_start(self) -> int:
        return self.FOCAL + self.lenses

    @property
    def depth_start(self) -> int:
        return self.camera_start + 6 * self.keyframes

    def betas_start(self, person: int) -> int:
        return self.depth_start + self.depths + sum(self.betas[:person])

    def lens_of(self, keyframe: Tensor) -> Tensor:
        """Columns (...) of the focal lengths of key frames (...): the only one, or their own."""
        return self.FOCAL + keyframe.clamp(max=self.lenses - 1)

    def camera_of(self, keyframe: Tensor) -> Tensor:
        """Columns (...,6) of key frames (...)."""
        return self.camera_start + 6 * keyframe[..., None] + torch.arange(6, device=keyframe.device)

    @property
    def size(self) -> int:
        return self.betas_start(len(self.betas))


def retract(state: State, layout: Layout, border: Tensor, chains: list[Tensor], points: Tensor) -> State:
    """The state after a step: border (Z,), per person (T,75), scene points (P,3)."""
    cameras = state.cameras
    keys = border[layout.camera_start : layout.depth_start].reshape(-1, 6)
    share = cameras.share[:, None]
    move = (1.0 - share) * keys[cameras.left] + share * keys[cameras.right]
    moved = replace(
        cameras,
        rotation=so3.renormalize(cameras.rotation @ so3.exp(move[:, :3])),
        centre=cameras.centre + (cameras.rotation @ move[:, 3:, None])[..., 0],
        log_scale=cameras.log_scale + border[layout.SCALE],
        log_focal=cameras.log_focal + border[layout.FOCAL : layout.camera_start],
    )
    bodies = []
    for person, (body, step) in enumerate(zip(state.bodies, chains, strict=True)):
        start = layout.betas_start(person)
        turn = step[:, 3:].reshape(len(step), -1, 3)
        bodies.append(
            Body(
                so3.renormalize(body.rotation @ so3.exp(turn)),
                body.trans + step[:, :3],
                body.betas + border[start : start + layout.betas[person]],
            )
        )
    depth = state.depth + border[layout.depth_start : layout.depth_start + layout.depths]
    return State(moved, tuple(bodies), state.points + points, depth)


def interpolation(keyframe: Tensor, frames: int) -> tuple[Tensor, Tensor, Tensor]:
    """Per frame the key frames before and after (positions) and the share of the later one; held at both ends."""
    position = torch.arange(frames, device=keyframe.device)
    right = torch.searchsorted(keyframe, position).clamp(max=len(keyframe) - 1)
    left = torch.where(keyframe[right] > position, right - 1, right).clamp(min=0)
    span = (keyframe[right] - keyframe[left]).clamp(min=1)
    share = ((position - keyframe[left]).to(torch.float64) / span).clamp(0.0, 1.0)
    return left, right, share
