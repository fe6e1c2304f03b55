"""From the results of the stages to a problem: tensors, associations, and which unknowns are free."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...scene4d.body import BodyModel
from ...scene4d.conventions import CONTACT_REGIONS, JOINT_COUNT
from ...scene4d.rotations import matrix_from_axis_angle
from ..fit.landmarks import landmark_map
from ..results import PersonFit, SceneResult, Track
from .body_points import BodyPoints, body_points, pose
from .depth_alignment import depth_factors
from .problem import PersonProblem, Problem, StaticPairs, Surfaces
from .region_points import FOOT_REGIONS, region_mix
from .scale import ray_votes
from .self_collision import body_volume
from .settings import SolverSettings
from .sightings import observations, tensor, undistort_pixels
from .state import Body, Cameras, Layout, State, interpolation
from .surfaces import DepthCloud, Support, find_support, find_support_along_rays

Array = NDArray[Any]

#: A region touches the scene where its probability is at least this.
CONTACT_LEAST = 0.5
#: Sightings of scene points that a free camera needs.
_LEAST_OBSERVATIONS = 200


@dataclass(frozen=True)
class BodyMap:
    """Which points of the body the solver follows: landmarks (numbers among MediaPipe's 33), the pelvis, regions."""

    landmark: Array
    spread: Array
    vertex_mix: Array
    joint_mix: Array
    region_present: Array

    @property
    def pelvis_row(self) -> int:
        return len(self.landmark)

    def region_row(self, region: int) -> int:
        """Row of a contact region's point."""
        return len(self.landmark) + 1 + region


def body_map(model: BodyModel) -> BodyMap:
    """The points of this body model."""
    seen = landmark_map(model)
    regions = region_mix(model)
    pelvis = np.zeros((1, JOINT_COUNT))
    pelvis[0, 0] = 1.0
    return BodyMap(
        seen.index,
        seen.spread,
        np.concatenate([seen.vertex_weights, np.zeros((1, seen.vertex_weights.shape[1])), regions]),
        np.concatenate([seen.joint_weights, pelvis, np.zeros((len(regions), JOINT_COUNT))]),
        np.any(regions != 0.0, axis=1),
    )


@dataclass(frozen=True)
class Figure:
    """A person as the stages left them, with the points of their body: fit, track, contact (T,R), time (T,)."""

    fit: PersonFit
    track: Track
    contact: Array
    time: Array
    points: BodyPoints
    body: Body
    map: BodyMap


def make_figure(
    model: BodyModel, points_of: BodyMap, fit: PersonFit, track: Track, contact: Array, time: Array
) -> Figure:
    """Gathers one person; track and contact are cut to the frames of the fit."""
    place = np.searchsorted(track.index, fit.index)
    cut = replace(
        track,
        index=track.index[place],
        box=track.box[place],
        landmarks=track.landmarks[place],
        visibility=track.visibility[place],
        world_landmarks=track.world_landmarks[place],
        detected=track.detected[place],
        overlap=track.overlap[place],
    )
    betas = np.asarray(fit.betas, np.float64)[: model.shapedirs.shape[-1]]
    rotation = matrix_from_axis_angle(np.asarray(fit.poses, np.float64).reshape(-1, JOINT_COUNT, 3))
    body = Body(tensor(rotation), tensor(fit.trans), tensor(betas))
    points = body_points(model, points_of.vertex_mix, points_of.joint_mix, len(betas))
    return Figure(fit, cut, np.asarray(contact, np.float64), time[fit.index], points, body, points_of)


@dataclass(frozen=True)
class Place:
    """The scene as contacts see it: up (3,) unit, ground plane (4,) or (0,), and the depth maps' points."""

    up: Array
    ground: Array
    clouds: list[DepthCloud]


@dataclass(frozen=True)
class Touches:
    """Feet in contact: N rows of (frame of the person, region), the sole (N,3) in camera axes, weight (N,)."""

    frame: Array
    region: Array
    sole: Array
    weight: Array

    def thinned(self, most: int) -> Touches:
        """At most ``most`` of them, spread evenly."""
        kept = np.unique(np.linspace(0, len(self.frame) - 1, min(most, len(self.frame))).round().astype(int))
        return Touches(self.frame[kept], self.region[kept], self.sole[kept], self.weight[kept])


def foot_touches(figure: Figure, body: Body) -> Touches:
    """Every frame and foot region in contact, with the body as it is now."""
    points = pose(figure.points, body.rotation, body.trans, body.betas).points.numpy()
    feet = np.array([CONTACT_REGIONS.index(name) for name in FOOT_REGIONS])
    probability = figure.contact[:, feet] * (figure.fit.confidence > 0.0)[:, None]
    frame, foot = np.nonzero(probability >= CONTACT_LEAST)
    region = feet[foot]
    sole = points[frame, figure.map.region_row(0) + region]
    return Touches(frame, region, sole, probability[frame, foot] * figure.fit.confidence[frame])


def lower_foot_touches(figure: Figure, body: Body, up_camera: Array) -> Touches:
    """The lowest foot region of every frame as if it stood; up_camera (T,3) is the upward direction in each camera."""
    points = pose(figure.points, body.rotation, body.trans, body.betas).points.numpy()
    feet = np.array([CONTACT_REGIONS.index(name) for name in FOOT_REGIONS])
    soles = points[:, figure.map.region_row(0) + feet]
    lowest = np.argmin(np.einsum("tfi,ti->tf", soles, up_camera), axis=1)
    frame = np.arange(len(points))
    return Touches(frame, feet[lowest], soles[frame, lowest], np.asarray(figure.fit.confidence, np.float64))


def stands(touches: Touches) -> Array:
    """Number (N,) of the stand each touch belongs to: one region on consecutive frames."""
    order = np.lexsort((touches.frame, touches.region))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(touches.region[order]) != 0) | (np.diff(touches.frame[order]) != 1)
    result = np.empty(len(order), dtype=int)
    result[order] = np.cumsum(new)
    return result


def support_of(
    figure: Figure, touches: Touches, rotation: Array, centre: Array, scale: float | None, place: Place
) -> Support:
    """Surfaces under the touches; ``scale`` None: whatever their rays meet, wherever the body's metres end."""
    index = figure.fit.index[touches.frame]
    turn, origin = rotation[index], centre[index]
    if scale is not None:
        spot = origin + np.einsum("nij,nj->ni", turn, touches.sole) / scale
        return find_support(spot, index, scale, place.up, place.ground, place.clouds)
    return find_support_along_rays(touches.sole, index, turn, origin, place.up, place.ground, place.clouds)


def touch_votes(
    figure: Figure, touches: Touches, support: Support, rotation: Array, centre: Array
) -> tuple[Array, Array]:
    """Votes (log scale, weight) of the touches on these surfaces."""
    index = figure.fit.index[touches.frame]
    value, weight = ray_votes(touches.sole, rotation[index], centre[index], support.point, support.normal)
    return value, weight * support.weight * touches.weight


# --- the problem -----------------------------------------------------------------------------------------------------


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
        tensor(0.0),
    )


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
                           tensor(np.zeros(0)))  # fmt: skip
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
        static_pairs(figure),
        height_rest,
        tensor(dirs),
        float(rest[top] - rest[bottom]),
        settings.height_known if height_known else settings.height_unknown,
        body_volume(model, betas),
    )


def static_pairs(figure: Figure) -> StaticPairs:
    """Neighbouring frames on which a region is in contact on both."""
    probability = figure.contact * figure.map.region_present
    both = np.minimum(probability[:-1], probability[1:])
    frame, region = np.nonzero(both >= CONTACT_LEAST)
    weight = both[frame, region] * np.minimum(figure.fit.confidence[frame], figure.fit.confidence[frame + 1])
    return StaticPairs(
        torch.as_tensor(figure.map.region_row(0) + region),
        torch.as_tensor(frame),
        torch.as_tensor(frame + 1),
        tensor(figure.time[frame + 1] - figure.time[frame]),
        tensor(weight),
    )


def with_surfaces(
    person: PersonProblem, figure: Figure, touches: Touches, support: Support, scene: SceneResult,
    clouds: list[DepthCloud],
) -> PersonProblem:  # fmt: skip
    """The person with the surfaces under their feet (those of weight 0 left out), each tied to the camera that saw it:
    that of its depth map, or for the ground plane that of the nearest map, else that of the frame itself."""
    kept = support.weight > 0.0
    frame, number = touches.frame[kept], support.depth[kept].astype(np.int64)
    seen_from = figure.fit.index[frame].astype(np.int64)
    if clouds:
        frames = np.array([cloud.frame for cloud in clouds])
        nearest = np.argmin(np.abs(frames[None] - seen_from[:, None]), axis=1)
        number = np.where(number >= 0, number, nearest)
        seen_from = frames[number]
    matrix = np.asarray(scene.world_from_camera, np.float64)[seen_from]
    local = np.einsum("nji,nj->ni", matrix[:, :3, :3], support.point[kept] - matrix[:, :3, 3])
    surfaces = Surfaces(
        torch.as_tensor(figure.map.region_row(0) + touches.region[kept]),
        torch.as_tensor(frame),
        tensor(local),
        torch.as_tensor(seen_from),
        tensor(support.normal[kept]),
        torch.as_tensor(number),
        tensor(support.weight[kept] * touches.weight[kept]),
    )
    return replace(person, surfaces=surfaces)


def make_problem(
    scene: SceneResult,
    figures: list[Figure],
    people: list[PersonProblem],
    clouds: list[DepthCloud],
    log_scale: float,
    settings: SolverSettings,
    *,
    scale_free: bool,
    cameras_free: bool,
) -> Problem:
    """The joint problem at its start."""
    # Maps that were made with these cameras and points say nothing new about them.
    independent = clouds if scene.focal_sigma > 0.0 else []
    seen, chosen = observations(scene, settings.points_per_keyframe if cameras_free else 0, independent)
    free_cameras = cameras_free and len(seen.frame) >= _LEAST_OBSERVATIONS and len(scene.keyframe) >= 2
    if not free_cameras:
        seen, chosen = observations(scene, 0)
    prior, sigma = depth_factors(scene, clouds, settings.depth_scale)
    layout = Layout(len(scene.keyframe), len(clouds), tuple(len(figure.body.betas) for figure in figures))
    free = torch.ones(layout.size, dtype=torch.bool)
    free[layout.SCALE] = scale_free
    free[layout.FOCAL] = free_cameras
    free[layout.CAMERA : layout.depth_start] = free_cameras
    # The first key frame stays where it is: the gauge of rotation and place.
    free[layout.CAMERA : layout.CAMERA + 6] = False
    state = State(
        camera_state(scene, log_scale),
        tuple(figure.body for figure in figures),
        tensor(np.asarray(scene.points, np.float64).reshape(-1, 3)[chosen]),
        tensor(prior),
    )
    return Problem(
        torch.as_tensor(np.asarray(scene.keyframe, np.int64)),
        tuple(people),
        seen,
        state,
        layout,
        free,
        torch.tensor([cloud.frame for cloud in clouds], dtype=torch.int64),
        tensor(prior),
        tensor(sigma),
        float(2.0 * np.max(np.asarray(scene.intrinsics)[0, 2:])),
    )


def with_held_cameras(problem: Problem) -> Problem:
    """The problem with cameras, lens and scene points where they are: a fraction of the work."""
    free = problem.free.clone()
    free[problem.layout.FOCAL] = False
    free[problem.layout.CAMERA : problem.layout.depth_start] = False
    return replace(problem, free=free, observations=problem.observations.none())
