"""Fit one track: from landmarks to a `PersonFit`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...scene4d.body import BodyModel
from ...scene4d.camera import project, unproject
from ...scene4d.rotations import axis_angle_from_matrix
from ..results import PersonFit, SceneResult, Track
from ..solver.body_points import body_points, pose
from ..solver.self_collision import body_volume
from . import initial, priors, windows
from . import landmarks as lm
from .problem import FitState, Observations, Problem, RestHeight
from .settings import FitSettings

Array = NDArray[Any]

#: A landmark with less visibility counts nothing on the image; with more than this plus the ramp it counts fully.
_LEAST_VISIBILITY = 0.2
_VISIBILITY_RAMP = 0.5
#: The network's guess of a hidden joint is a pose that people take, if not the one they take now.
_HIDDEN_WORLD_WEIGHT = 0.4
_WORLD_WEIGHT = 1.0
#: Fits worse than this share of the person's height, or so many frames without any, are not to be trusted.
_WORST_ERROR = 0.05
_FEWEST_FRAMES = 3


class Fitter:
    """A body, its landmarks and the settings; fits one track after another."""

    def __init__(self, model: BodyModel, settings: FitSettings) -> None:
        self.model = model
        self.settings = settings
        self.map = lm.landmark_map(model)
        beta_count = model.shapedirs.shape[-1]
        self.points = body_points(model, self.map.vertex_weights, self.map.joint_weights, beta_count)
        vertical = np.asarray(model.v_template, np.float64)[:, 1]
        slope = np.asarray(model.shapedirs, np.float64)[:, 1]
        self.height = RestHeight(torch.as_tensor(vertical), torch.as_tensor(slope))

    def fit(self, track: Track, scene: SceneResult, time: Array, height: float) -> PersonFit:
        """The body of one track; height is that of the rest mesh in metres, time (F,) s."""
        intrinsics = scene.intrinsics[track.index]
        seen = self._observe(track, scene, time[track.index], height)
        state = self._start(track, seen)
        side = self.settings.image * height / np.maximum(state.trans[:, 2].numpy(), 0.1)
        floor = self.settings.image_floor_px / intrinsics[:, 1]
        seen = replace(seen, sigma=_tensor(np.hypot(side, floor)))
        problem = Problem(self.points, self.height, seen, self.settings, body_volume(self.model, state.betas.numpy()))
        state = windows.solve(problem, state, self.settings.iterations)
        return self._result(track, state, seen, intrinsics, scene.distortion, height)

    def _observe(self, track: Track, scene: SceneResult, time: Array, height: float) -> Observations:
        index = self.map.index
        intrinsics = scene.intrinsics[track.index]
        rays = unproject(track.landmarks[:, index], intrinsics[:, None], scene.distortion)
        visible = np.clip((track.visibility[:, index] - _LEAST_VISIBILITY) / _VISIBILITY_RAMP, 0.0, 1.0)
        there = track.detected.astype(np.float64)[:, None] * np.isfinite(rays).all(-1)
        weight = visible * there
        world_weight = _WORLD_WEIGHT * (_HIDDEN_WORLD_WEIGHT + (1.0 - _HIDDEN_WORLD_WEIGHT) * visible) * there
        toward = unproject(track.landmarks[:, [lm.LEFT_HIP, lm.RIGHT_HIP]].mean(1), intrinsics, scene.distortion)
        world = track.world_landmarks @ initial.ray_rotation(toward).transpose(0, 2, 1)
        return Observations(
            point=_tensor(np.nan_to_num(rays[..., :2])),
            sigma=_tensor(np.ones(len(rays))),
            weight=_tensor(weight),
            world=_tensor(np.nan_to_num(world[:, index])),
            world_weight=_tensor(world_weight),
            time=_tensor(time),
            world_from_camera=_tensor(scene.world_from_camera[track.index, :3, :3]),
            height=height,
            spread=_tensor(self.map.spread),
            depth_spread=_tensor(self.map.depth_spread),
            depth_share=_tensor(self.map.depth_share),
            usual_angle=_tensor(priors.usual_angles(self.points.joint_rest.numpy())),
        )

    def _start(self, track: Track, seen: Observations) -> FitState:
        betas = self.height.enforce(torch.zeros(self.points.dirs.shape[-1], dtype=torch.float64), seen.height)
        joints = (self.points.joint_rest + self.points.joint_dirs @ betas).numpy()
        world = np.zeros((len(track.index), lm.LANDMARK_COUNT, 3))
        world[:, self.map.index] = seen.world.numpy()
        rest = (self.points.rest + self.points.dirs @ betas).sum(1).numpy()
        row = {int(number): place for place, number in enumerate(self.map.index)}
        feet = np.array(
            [
                rest[row[toe]] - rest[row[heel]]
                for heel, toe in ((lm.LEFT_HEEL, lm.LEFT_TOE), (lm.RIGHT_HEEL, lm.RIGHT_TOE))
            ]
        )
        rotation = initial.initial_rotations(world, joints, feet)
        good = initial.steady_headings(rotation[:, 0], seen.time.numpy()) & track.detected.astype(bool)
        rotation = rotation[_nearest_good(good)]
        zero = torch.zeros(len(rotation), 3, dtype=torch.float64)
        points = pose(self.points, _tensor(rotation), zero, betas).points.numpy()
        trans = initial.place(points, seen.point.numpy(), seen.weight.numpy() + 1e-6)
        trans = _bridge(trans, seen.weight.sum(1).numpy() > 2.0, seen.time.numpy())
        return FitState(_tensor(rotation), _tensor(trans), betas, torch.ones((), dtype=torch.float64))

    def _result(
        self, track: Track, state: FitState, seen: Observations, intrinsics: Array, distortion: Array, height: float
    ) -> PersonFit:
        points = pose(self.points, state.rotation, state.trans, state.betas).points.numpy()
        pixels = project(points, intrinsics[:, None], distortion)
        error = np.linalg.norm(pixels - track.landmarks[:, self.map.index], axis=-1)
        weight = seen.weight.numpy()
        error = np.where(weight > 0.3, error, np.nan)
        some = np.isfinite(error).any(axis=1)
        landmark_error = np.zeros(len(error))
        landmark_error[some] = np.nanmedian(error[some], axis=1)
        size = intrinsics[:, 1] * height / state.trans[:, 2].numpy()
        share = landmark_error / size
        confidence = weight.mean(1) * np.exp(-0.5 * (share / (2.0 * self.settings.image)) ** 2)
        confidence = np.where(track.detected, confidence, 0.0)
        reliable, reason = track.reliable, track.reason
        trusted = track.detected.astype(bool) & some
        if reliable and trusted.sum() < _FEWEST_FRAMES:
            reliable, reason = False, "seen on too few frames"
        elif reliable and np.median(share[trusted]) > _WORST_ERROR:
            reliable, reason = False, "the body does not fit the landmarks"
        poses = axis_angle_from_matrix(state.rotation.numpy()).reshape(len(points), -1)
        return PersonFit(
            track_id=track.id,
            index=track.index,
            betas=state.betas.numpy(),
            poses=poses,
            trans=state.trans.numpy(),
            confidence=confidence.astype(np.float32),
            landmark_error=landmark_error.astype(np.float32),
            reliable=reliable,
            reason=reason,
        )


def _tensor(array: Array) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(array), dtype=torch.float64)


def _nearest_good(good: Array) -> Array:
    """Position (T,) of the nearest frame that is good; itself where there is none at all."""
    places = np.flatnonzero(good)
    every = np.arange(len(good))
    if not len(places):
        return every
    return places[np.abs(every[:, None] - places[None]).argmin(1)]


def _bridge(trans: Array, good: Array, time: Array) -> Array:
    """Translations (T,3) with frames that saw too little interpolated between those that did not."""
    if not good.any():
        return trans
    return np.stack([np.interp(time, time[good], trans[good, axis]) for axis in range(3)], axis=1)
