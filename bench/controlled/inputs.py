"""From truth to what the joint stage gets, with errors of a stated size. Every number drawn comes from one seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from josh_blender.engine.fit.landmarks import LANDMARK_COUNT, landmark_map
from josh_blender.engine.results import (
    BodiesResult,
    ContactResult,
    FramesResult,
    PeopleResult,
    PersonContact,
    PersonFit,
    SceneResult,
    Track,
    VideoSource,
)
from josh_blender.engine.solver import bundle
from josh_blender.engine.solver.depth_alignment import aligned
from josh_blender.engine.solver.settings import SolverSettings
from josh_blender.engine.solver.surfaces import read_depth_clouds
from josh_blender.engine.stages.joint_lens import ground_of
from josh_blender.scene4d.body import BodyModel
from josh_blender.scene4d.camera import invert_rigid, project, rigid, transform
from josh_blender.scene4d.conventions import CONTACT_REGIONS, JOINT_COUNT
from josh_blender.scene4d.rotations import axis_angle_from_matrix, matrix_from_axis_angle

from . import noise as errors
from . import structure
from .noise import Noise
from .truth import Truth, moved_body, seen_frames
from .views import Sightings, View, place_depth

Array = NDArray[Any]

#: Probability that a label of each kind carries.
_TOUCH, _FREE = 0.95, 0.05
#: Regions whose labels may be wrong: the feet, and whatever touches in the truth.
_FEET = 4
#: Scene units of an input differ from the metre by about this factor (log sigma), like those of a depth network.
_UNIT_SIGMA = 0.2


@dataclass(frozen=True)
class Matches:
    """M sightings with errors: key frame (M,), point (M,), pixel (M,2) of the full picture, depth (M,) that the map of
    the key frame gives there in scene units, 0 for the sky."""

    keyframe: Array
    point: Array
    pixel: Array
    depth: Array


@dataclass(frozen=True)
class DepthView:
    """A key frame's depth map as a network gives it: depth (H,W) of place and people in scene units, 0 for the sky;
    on_people (H,W); intrinsics (4,)."""

    depth: Array
    on_people: Array
    intrinsics: Array


@dataclass(frozen=True)
class Inputs:
    """What both solvers get. ``depths`` as arrays here, and as files in ``folder`` for the joint stage (people cut
    out). start_seconds: what the start cameras took, part of our time. intrinsics (F,4) as given to both."""

    frames: FramesResult
    people: PeopleResult
    scene: SceneResult
    bodies: BodiesResult
    contact: ContactResult
    matches: Matches
    depths: list[DepthView]
    folder: Path
    start_seconds: float


@dataclass(frozen=True)
class Variation:
    """What the studies vary beside the noise: contacts withheld, another start scale (factor on the scene's unit), the
    share of wrong labels, landmarks withheld, the height not given."""

    without_contacts: bool = False
    unit: float | None = None
    flips: float | None = None
    without_landmarks: bool = False
    height_known: bool = True


def make_inputs(
    truth: Truth,
    views: list[View],
    sightings: Sightings,
    model: BodyModel,
    level: float,
    seed: int,
    folder: Path,
    variation: Variation | None = None,
) -> Inputs:
    """The inputs of one sequence at one level and seed; writes depth maps into ``folder``."""
    variation = variation or Variation()
    noise = errors.at_level(level)
    if variation.flips is not None:
        noise = replace(noise, contact_flips=variation.flips)
    rng = np.random.default_rng([seed, 17])
    unit = variation.unit or float(np.exp(_UNIT_SIGMA * rng.standard_normal()))
    intrinsics = truth.intrinsics * np.array([1.0 + noise.focal, 1.0 + noise.focal, 1.0, 1.0])
    factors = errors.depth_factors(rng, len(views), noise) / unit
    depths = [_depth_view(rng, view, factor, noise) for view, factor in zip(views, factors, strict=True)]
    matches = _matches(rng, truth, views, sightings, factors, noise)
    frames = _frames(truth)
    people, bodies, contact = _people(rng, truth, model, noise, variation)
    between = _between(rng, truth, sightings, noise) if truth.camera_kind != "static" else {}
    began = perf_counter()
    scene = _scene(truth, sightings, matches, between, intrinsics, noise)
    seconds = perf_counter() - began
    _write_depths(scene, frames, depths, folder)
    if truth.camera_kind != "moving" or noise.focal == 0.0:
        # Where the lens is uncertain the joint stage finds the ground itself.
        began = perf_counter()
        clouds = aligned(scene, read_depth_clouds(frames, scene, folder), SolverSettings().depth_scale)
        scene = replace(scene, ground=ground_of(scene, people, clouds))
        seconds += perf_counter() - began
    return Inputs(frames, people, _anywhere(rng, scene), bodies, contact, matches, depths, folder, seconds)


# --- the place -------------------------------------------------------------------------------------------------------


def _depth_view(rng: np.random.Generator, view: View, factor: float, noise: Noise) -> DepthView:
    depth = np.minimum(view.place, view.people) * factor * errors.pixel_factors(rng, view.place.shape, noise)
    lens = view.intrinsics * np.array([1.0 + noise.focal, 1.0 + noise.focal, 1.0, 1.0])
    return DepthView(np.where(np.isfinite(depth), depth, 0.0), view.on_people, lens)


def _matches(
    rng: np.random.Generator, truth: Truth, views: list[View], sightings: Sightings, factors: Array, noise: Noise
) -> Matches:
    pixel, _ = errors.sighting_errors(rng, sightings.pixel, truth.width, truth.height, noise)
    pixel = np.clip(pixel, 0.5, [truth.width - 0.5, truth.height - 0.5])
    depth = np.zeros(len(pixel))
    for number, frame in enumerate(truth.keyframes):
        rows = np.flatnonzero(sightings.keyframe == number)
        camera, lens = truth.world_from_camera[frame], truth.intrinsics[frame]
        there = place_depth(truth.place, camera, lens, pixel[rows])
        size = np.array(views[number].place.shape[::-1]) / [truth.width, truth.height]
        column, row = (pixel[rows] * size).astype(int).T
        # A wrong sighting on a person is no sighting: people are masked before matching.
        there[views[number].on_people[row, column]] = np.inf
        depth[rows] = np.where(np.isfinite(there), there * factors[number], 0.0)
    depth *= errors.pixel_factors(rng, depth.shape, noise)
    return Matches(sightings.keyframe, sightings.point, pixel, depth)


def _between(
    rng: np.random.Generator, truth: Truth, sightings: Sightings, noise: Noise
) -> dict[int, tuple[Array, Array]]:
    """Sightings with errors of the frames between key frames."""
    keyframes = truth.keyframes
    result = {}
    for frame in np.setdiff1d(np.arange(len(truth.time)), keyframes):
        after = int(np.searchsorted(keyframes, frame))
        near = np.isin(sightings.keyframe, [after - 1, min(after, len(keyframes) - 1)])
        point = np.unique(sightings.point[near])
        local = transform(invert_rigid(truth.world_from_camera[frame]), sightings.points[point])
        pixel = project(local, truth.intrinsics[frame])
        inside = (local[:, 2] > 0.1) & (pixel > 0).all(1) & (pixel < [truth.width, truth.height]).all(1)
        seen, _ = errors.sighting_errors(rng, pixel[inside], truth.width, truth.height, noise)
        result[int(frame)] = (point[inside], seen)
    return result


def _scene(
    truth: Truth, sightings: Sightings, matches: Matches, between_sightings: dict[int, tuple[Array, Array]],
    intrinsics: Array, noise: Noise,
) -> SceneResult:  # fmt: skip
    keyframe = truth.keyframes
    count = len(keyframe)
    lifted = structure.lift(matches.keyframe, matches.point, matches.pixel, matches.depth, intrinsics[keyframe])
    turn_only = truth.camera_kind != "moving"
    edges = structure.spanning_tree(lifted.keyframe, lifted.point, count)
    poses, factors = structure.chained(lifted, edges, count, turn_only)
    if truth.camera_kind == "static":
        poses[:] = np.eye(4)
    points, known = structure.mean_points(lifted, poses, factors, len(sightings.points))
    between = structure.between_keyframes(poses, keyframe, len(truth.time))
    kept = known[matches.point] & (matches.depth > 0.0)
    number = np.cumsum(known) - 1
    scene = SceneResult(
        camera_kind=truth.camera_kind,
        keyframe=keyframe,
        world_from_camera=between,
        intrinsics=intrinsics,
        distortion=np.zeros(5),
        points=points[known],
        point_color=np.full((int(known.sum()), 3), 128, np.uint8),
        observation_keyframe=matches.keyframe[kept].astype(np.int32),
        observation_point=number[matches.point[kept]].astype(np.int32),
        observation_pixel=matches.pixel[kept].astype(np.float32),
        depth_index=keyframe,
        ground=np.zeros(0),
        focal_sigma=noise.focal,
    )
    if not turn_only:
        scene = bundle.adjusted(scene, 0.0)
    if truth.camera_kind == "static":
        return scene
    new_points = np.zeros_like(points)
    new_points[known] = scene.points
    every = structure.between_keyframes(scene.world_from_camera[keyframe], keyframe, len(truth.time))
    registered = structure.registered(every, new_points, known, between_sightings, intrinsics, turn_only)
    return replace(scene, world_from_camera=registered)


def _anywhere(rng: np.random.Generator, scene: SceneResult) -> SceneResult:
    """The scene in other axes: nothing may depend on where its world lies."""
    turn = matrix_from_axis_angle(rng.standard_normal(3))
    motion = rigid(turn, 3.0 * rng.standard_normal(3))
    ground = scene.ground
    if len(ground):
        normal = turn @ ground[:3]
        ground = np.append(normal, ground[3] - normal @ motion[:3, 3])
    return replace(
        scene,
        world_from_camera=motion @ scene.world_from_camera,
        points=transform(motion, scene.points),
        ground=ground,
    )


def _write_depths(scene: SceneResult, frames: FramesResult, depths: list[DepthView], folder: Path) -> None:
    (folder / scene.depth_folder).mkdir(parents=True, exist_ok=True)
    for position, view in zip(scene.depth_index, depths, strict=True):
        depth = np.where(view.on_people, 0.0, view.depth).astype(np.float32)
        np.savez(
            folder / scene.depth_folder / f"{int(frames.frame[position]):06d}.npz",
            depth=depth,
            confidence=(depth > 0).astype(np.float32),
            intrinsics=view.intrinsics,
        )


# --- the people ------------------------------------------------------------------------------------------------------


def _frames(truth: Truth) -> FramesResult:
    video = VideoSource(
        truth.name, "video", truth.width, truth.height, truth.fps.numerator, truth.fps.denominator, len(truth.time), 0,
        "", "sRGB",
    )  # fmt: skip
    return FramesResult(video, np.arange(len(truth.time), dtype=np.int32), truth.time)


def _people(
    rng: np.random.Generator, truth: Truth, model: BodyModel, noise: Noise, variation: Variation
) -> tuple[PeopleResult, BodiesResult, ContactResult]:
    tracks, fits, contacts = [], [], []
    for number, body in enumerate(truth.people):
        seen = seen_frames(truth, body, model)
        # Every person has a generator of their own, so one more of them changes nobody else.
        own = np.random.default_rng([int(rng.integers(2**31)), number])
        if not seen.any():
            continue
        index = np.arange(int(np.argmax(seen)), len(seen) - int(np.argmax(seen[::-1])), dtype=np.int32)
        pelvis = model.joints(body.betas)[0]
        camera_from_world = invert_rigid(truth.world_from_camera[index])
        poses, trans = moved_body(camera_from_world, body.poses[index], body.trans[index], pelvis)
        track = _track(own, truth, model, number, body.betas, index, poses, trans, seen[index], noise)
        if variation.without_landmarks:
            track = replace(track, visibility=np.zeros_like(track.visibility))
        tracks.append(track)
        fits.append(_fit(own, truth.time[index], model, number, body.betas, index, poses, trans, seen[index], noise,
                         variation.height_known))  # fmt: skip
        contacts.append(PersonContact(number + 1, _labels(own, body.contact[index], noise, variation)))
    return (
        PeopleResult(tracks),
        BodiesResult(model.body_id, fits, variation.height_known),
        ContactResult(contacts),
    )


def _track(
    rng: np.random.Generator, truth: Truth, model: BodyModel, number: int, betas: Array, index: Array, poses: Array,
    trans: Array, seen: Array, noise: Noise,
) -> Track:  # fmt: skip
    count = len(index)
    where = landmark_map(model)
    places = np.zeros((count, LANDMARK_COUNT, 3))
    for row in range(count):
        vertices, joints = model.skin(betas, poses[row], trans[row])
        places[row, where.index] = where.vertex_weights @ vertices + where.joint_weights @ joints
        places[row, np.setdiff1d(np.arange(LANDMARK_COUNT), where.index)] = joints[15]
    lens = truth.intrinsics[index, None]
    pixel = project(places, lens)
    size = lens[..., 1] * float(model.height(betas)) / np.maximum(trans[:, None, 2], 0.3)
    pixel = pixel + size[..., None] * errors.landmark_errors(rng, truth.time[index], LANDMARK_COUNT, noise)
    inside = ((pixel > 0) & (pixel < [truth.width, truth.height])).all(-1) & (places[..., 2] > 0.2)
    known = np.isin(np.arange(LANDMARK_COUNT), where.index)
    low, high = pixel[:, where.index].min(1), pixel[:, where.index].max(1)
    return Track(
        id=number + 1,
        mask_value=number + 1,
        index=index,
        box=np.concatenate([low, high], 1).astype(np.float32),
        landmarks=pixel.astype(np.float32),
        visibility=(inside & known & seen[:, None]).astype(np.float32),
        world_landmarks=(places - places[:, [23, 24]].mean(1, keepdims=True)).astype(np.float32),
        detected=seen.copy(),
        overlap=np.zeros(count, np.float32),
    )


def _fit(
    rng: np.random.Generator, time: Array, model: BodyModel, number: int, betas: Array, index: Array, poses: Array,
    trans: Array, seen: Array, noise: Noise, height_known: bool,
) -> PersonFit:  # fmt: skip
    rest = model.rest_vertices(betas)[:, 1]
    top, bottom = int(np.argmax(rest)), int(np.argmin(rest))
    height_dirs = np.asarray(model.shapedirs[top, 1] - model.shapedirs[bottom, 1], np.float64)[: len(betas)]
    height_rest = float(model.v_template[top, 1] - model.v_template[bottom, 1])
    height = height_rest + float(height_dirs @ betas)
    wrong = errors.wrong_shape(rng, betas, height, height_dirs, noise)
    if height_known:
        wrong = errors.with_height(wrong, height, height_rest, height_dirs)
    rotation = matrix_from_axis_angle(poses.reshape(-1, JOINT_COUNT, 3))
    rotation = rotation @ errors.joint_turns(rng, time, JOINT_COUNT, noise)
    true_pelvis = trans + model.joints(betas)[0]
    pelvis = true_pelvis * errors.distance_factors(rng, time, noise)[:, None]
    # With too long a lens the same picture means a body further away.
    pelvis[:, 2] *= 1.0 + noise.focal
    return PersonFit(
        track_id=number + 1,
        index=index,
        betas=wrong,
        poses=axis_angle_from_matrix(rotation).reshape(len(index), -1),
        trans=pelvis - model.joints(wrong)[0],
        confidence=seen.astype(np.float64),
        landmark_error=np.zeros(len(index)),
    )


def _labels(rng: np.random.Generator, contact: Array, noise: Noise, variation: Variation) -> Array:
    labels = np.asarray(contact) >= 0.5
    result = np.zeros((len(labels), len(CONTACT_REGIONS)))
    if variation.without_contacts:
        return result
    for region in range(len(CONTACT_REGIONS)):
        touching = labels[:, region]
        if region < _FEET or touching.any():
            touching = errors.flipped(rng, touching, noise.contact_flips)
            result[:, region] = np.where(touching, _TOUCH, _FREE)
    return result
