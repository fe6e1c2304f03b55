"""From the results of the stages to a problem: tensors, associations, and which unknowns are free."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...scene4d.body import BodyModel
from ..results import SceneResult
from .depth_alignment import depth_factors
from .figures import Figure
from .moved_place import stretch
from .problem import PersonProblem, Problem, StaticPairs, Surfaces
from .self_collision import body_volume
from .settings import SolverSettings
from .sightings import observations, tensor, undistort_pixels
from .state import Cameras, Layout, State, interpolation
from .surfaces import DepthCloud, Support
from .touches import CONTACT_LEAST, FEET, FOOT_LANDMARKS, Touches

Array = NDArray[Any]

#: Sightings of scene points that a free camera needs.
_LEAST_OBSERVATIONS = 200
#: A focal length that changes by more than this share zooms.
_ZOOMS = 1e-3


def camera_state(scene: SceneResult, log_scale: float) -> Cameras:
    """The cameras of stage 3."""
    matrix = np.asarray(scene.world_from_camera, np.float64)
    keyframe = torch.as_tensor(np.asarray(scene.keyframe, np.int64))
    left, right, share = interpolation(keyframe, len(matrix))
    return Cameras(
        tensor(matrix[:, :3, :3]),
        tensor(matrix[:, :3, 3]),
        tensor(scene.intrinsics),
        left,
        right,
        share,
        tensor(log_scale),
        tensor(np.zeros(lenses_of(scene))),
    )


def lenses_of(scene: SceneResult) -> int:
    """How many focal lengths the solve corrects: one, or that of every key frame where the lens zooms."""
    focal = np.asarray(scene.intrinsics, np.float64)[:, 0]
    return len(scene.keyframe) if np.ptp(focal) > _ZOOMS * focal.mean() else 1


def person_problem(
    figure: Figure, scene: SceneResult, model: BodyModel, height_known: bool, settings: SolverSettings
) -> PersonProblem:
    """Measurements and priors of a person; surfaces are empty until `with_surfaces`."""
    index = figure.fit.index
    intrinsics = np.asarray(scene.intrinsics)[index]
    count = len(figure.map.landmark)
    pixel = undistort_pixels(
        figure.track.landmarks[:, figure.map.landmark], intrinsics[:, None], np.asarray(scene.distortion)
    )
    depth = np.maximum(np.asarray(figure.fit.trans, np.float64)[:, 2], 0.2)
    size = settings.landmark * intrinsics[:, 0] / depth
    sigma = np.maximum(size[:, None] * figure.map.spread[None], settings.landmark_floor_px)
    confidence = np.asarray(figure.track.visibility, np.float64)[:, figure.map.landmark]
    confidence = confidence * figure.track.detected[:, None] * np.asarray(figure.fit.confidence, np.float64)[:, None]
    betas = figure.body.betas.numpy()
    rest = model.rest_vertices(betas)[:, 1]
    top, bottom = int(np.argmax(rest)), int(np.argmin(rest))
    dirs = (model.shapedirs[top, 1] - model.shapedirs[bottom, 1])[: len(betas)]
    height_rest = float(model.v_template[top, 1] - model.v_template[bottom, 1])
    nothing = torch.zeros(0, dtype=torch.int64)
    no_surfaces = Surfaces(nothing, nothing, tensor(np.zeros((0, 3))), nothing, tensor(np.zeros((0, 3))), nothing,
                           tensor(np.zeros(0)), tensor(np.zeros(0)))  # fmt: skip
    assert count == pixel.shape[1]
    return PersonProblem(
        torch.as_tensor(index.astype(np.int64)),
        tensor(figure.time),
        figure.points,
        tensor(np.nan_to_num(pixel)),
        tensor(np.where(np.isfinite(pixel).all(-1), confidence, 0.0)),
        tensor(sigma),
        figure.body,
        no_surfaces,
        static_pairs(figure, settings),
        height_rest,
        tensor(dirs),
        float(rest[top] - rest[bottom]),
        settings.height_known if height_known else settings.height_unknown,
        body_volume(model, betas),
    )


def static_pairs(figure: Figure, settings: SolverSettings) -> StaticPairs:
    """Neighbouring frames on which a region is in contact on both; those of feet that are seen and carry no label count
    a little."""
    probability = figure.contact * figure.map.region_present
    both = np.minimum(probability[:-1], probability[1:])
    both = np.where(both >= CONTACT_LEAST, both, 0.0)
    seen = np.asarray(figure.track.visibility, np.float64)[:, FOOT_LANDMARKS] * figure.track.detected[:, None]
    unlabelled = settings.unlabelled * np.minimum(seen[:-1], seen[1:])
    both[:, FEET] = np.maximum(both[:, FEET], unlabelled * figure.map.region_present[FEET])
    both *= np.minimum(figure.fit.confidence[:-1], figure.fit.confidence[1:])[:, None]
    frame, region = np.flatnonzero(both.any(1)), np.flatnonzero(both.any(0))
    return StaticPairs(
        torch.as_tensor(figure.map.region_row(0) + region),
        torch.as_tensor(frame),
        torch.as_tensor(frame + 1),
        tensor(figure.time[frame + 1] - figure.time[frame]),
        tensor(both[np.ix_(frame, region)]),
    )


def with_surfaces(
    person: PersonProblem, figure: Figure, touches: Touches, support: Support, cameras: Cameras, log_depth: Tensor,
    clouds: list[DepthCloud],
) -> PersonProblem:  # fmt: skip
    """The person with the surfaces that they touch (those of weight 0 left out), each tied to the camera that saw it:
    that of its depth map, or for the ground plane that of the nearest map, else that of the frame itself.

    cameras, log_depth (D,): as they were when the surfaces were found.
    """
    kept = support.weight > 0.0
    frame, number = touches.frame[kept], support.depth[kept].astype(np.int64)
    seen_from = figure.fit.index[frame].astype(np.int64)
    if clouds:
        frames = np.array([cloud.frame for cloud in clouds])
        nearest = np.argmin(np.abs(frames[None] - seen_from[:, None]), axis=1)
        number = np.where(number >= 0, number, nearest)
        seen_from = frames[number]
    camera = torch.as_tensor(seen_from)
    factor = log_depth[torch.as_tensor(number)] if clouds else torch.zeros(len(number), dtype=torch.float64)
    offset = tensor(support.point[kept]) - cameras.centre[camera]
    local = (cameras.rotation[camera].transpose(-1, -2) @ offset[..., None])[..., 0]
    surfaces = Surfaces(
        torch.as_tensor(figure.map.region_row(0) + touches.region[kept]),
        torch.as_tensor(frame),
        local / stretch(cameras, camera, factor),
        camera,
        tensor(support.normal[kept]),
        torch.as_tensor(number),
        tensor(touches.reach[kept]),
        tensor(support.weight[kept] * touches.weight[kept]),
    )
    return replace(person, surfaces=surfaces)


def make_problem(
    scene: SceneResult,
    figures: list[Figure],
    clouds: list[DepthCloud],
    log_scale: float,
    settings: SolverSettings,
    *,
    scale_free: bool,
    cameras_free: bool,
) -> Problem:
    """The joint problem at its start, without what ties the people to anything."""
    # Maps that were made with these cameras and points say nothing new about them.
    independent = clouds if scene.focal_sigma > 0.0 else []
    seen, chosen = observations(scene, settings.points_per_keyframe if cameras_free else 0, independent)
    free_cameras = cameras_free and len(seen.frame) >= _LEAST_OBSERVATIONS and len(scene.keyframe) >= 2
    if not free_cameras:
        seen, chosen = observations(scene, 0)
    prior, sigma = depth_factors(scene, clouds, settings.depth_scale)
    betas = tuple(len(figure.body.betas) for figure in figures)
    layout = Layout(lenses_of(scene), len(scene.keyframe), len(clouds), betas)
    free = torch.ones(layout.size, dtype=torch.bool)
    free[layout.SCALE] = scale_free
    free[layout.FOCAL : layout.depth_start] = free_cameras
    # The first key frame stays where it is: the gauge of rotation and place.
    free[layout.camera_start : layout.camera_start + 6] = False
    state = State(
        camera_state(scene, log_scale),
        tuple(figure.body for figure in figures),
        tensor(np.asarray(scene.points, np.float64).reshape(-1, 3)[chosen]),
        tensor(prior),
    )
    return Problem(
        torch.as_tensor(np.asarray(scene.keyframe, np.int64)),
        (),
        seen,
        state,
        layout,
        free,
        torch.tensor([cloud.frame for cloud in clouds], dtype=torch.int64),
        tensor(prior),
        tensor(sigma),
        float(2.0 * np.max(np.asarray(scene.intrinsics)[0, 2:])),
    )
