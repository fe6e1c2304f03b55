"""Videos of any length by the first-order method: it solves chunks that share one frame and puts them one after the
other, with nothing to reconcile their scales or lenses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.controlled.inputs import Inputs
from bench.controlled.truth import moved_body
from josh_blender.engine.results import JointResult, PersonWorld
from josh_blender.scene4d.body import BodyModel
from josh_blender.scene4d.camera import invert_rigid

from . import adam
from .depths import depths_of
from .objective import ReferenceState
from .problem import Defects, make_problem
from .result import joint_result

Array = NDArray[Any]

#: Steps from key frame to key frame of a chunk; the last chunk has up to twice as many.
INTERVALS = 20
_OF_TRACKS = ("box", "landmarks", "visibility", "world_landmarks", "detected", "overlap")
_OF_FITS = ("poses", "trans", "confidence", "landmark_error")
_OF_WORLD = ("poses", "trans", "confidence", "contact")


@dataclass(frozen=True)
class Solved:
    """A whole video's result, the seconds of all its chunks, the state of each chunk, and the depth map (H,W) in metres
    of every key frame, 0 for the sky."""

    joint: JointResult
    seconds: float
    states: list[ReferenceState]
    depths: list[Array]


def spans(frames: int, step: int) -> list[tuple[int, int]]:
    """First frame and end of each chunk, key frames ``step`` frames apart; neighbours share one frame."""
    length = INTERVALS * step
    found = [(0, frames)]
    while found[-1][1] - found[-1][0] > 2 * length:
        first = found.pop()[0]
        found += [(first, first + length + 1), (first + length, frames)]
    return found


def spans_of(inputs: Inputs) -> list[tuple[int, int]]:
    """Those of a video with these key frames."""
    keyframe = np.asarray(inputs.scene.keyframe)
    step = int(keyframe[1] - keyframe[0]) if len(keyframe) > 1 else 1
    return spans(len(inputs.frames.frame), step)


def chunks_of(inputs: Inputs) -> list[Inputs]:
    """The inputs of each chunk; a video of one chunk as it is."""
    ranges = spans_of(inputs)
    return [inputs] if len(ranges) == 1 else [_cut(inputs, first, end) for first, end in ranges]


def part_of(joint: JointResult, first: int, end: int) -> JointResult:
    """A stretch of a result; people on none of its frames are left out."""
    people = [_rows(person, _OF_WORLD, first, end) for person in joint.people]
    return replace(
        joint,
        world_from_camera=joint.world_from_camera[first:end],
        intrinsics=joint.intrinsics[first:end],
        people=[person for person in people if len(person.index)],
    )


def joined(results: list[JointResult], model: BodyModel) -> JointResult:
    """Results of chunks, each beginning on the last frame of the one before, as one.

    Each chunk's first camera is laid on the last one before it, and the world is the first camera. Lenses are averaged
    over the chunks. Bodies stay where they are in their cameras; on shared frames the later chunk counts. Betas are
    averaged over the frames.
    """
    if len(results) == 1:
        return results[0]
    paths = [invert_rigid(result.world_from_camera[:1]) @ result.world_from_camera for result in results]
    cameras = paths[0]
    starts = [0]
    for path in paths[1:]:
        starts.append(len(cameras) - 1)
        cameras = np.concatenate([cameras, cameras[-1] @ path[1:]])
    intrinsics = np.mean([result.intrinsics.mean(0) for result in results], 0)
    ids = dict.fromkeys(person.track_id for result in results for person in result.people)
    return replace(
        results[0],
        world_from_camera=cameras,
        intrinsics=np.tile(intrinsics, (len(cameras), 1)),
        scale=float(np.median([result.scale for result in results])),
        people=[_joined_person(track_id, results, starts, cameras, model) for track_id in ids],
    )


def solve(
    inputs: Inputs, model: BodyModel, defects: Defects,
    steps: tuple[int, int] = (adam.STAGE_1_STEPS, adam.STAGE_2_STEPS),
) -> Solved:  # fmt: skip
    """The first-order method on a video of any length."""
    joints: list[JointResult] = []
    states: list[ReferenceState] = []
    depths: list[Array] = []
    seconds = 0.0
    for chunk in chunks_of(inputs):
        problem = make_problem(chunk, model, defects)
        run = adam.solve(problem, defects, steps)
        seconds += run.seconds
        states.append(run.state)
        joints.append(joint_result(problem, run.state, chunk, model))
        # The key frame that two chunks share is the later one's, as its bodies are.
        depths = depths[:-1] + depths_of(problem, run.state, chunk)
    return Solved(joined(joints, model), seconds, states, depths)


def _rows(one: Any, names: tuple[str, ...], first: int, end: int) -> Any:
    """Somebody's rows on the frames of a stretch, counted from its first."""
    index = np.asarray(one.index)
    rows = np.flatnonzero((index >= first) & (index < end))
    return replace(one, index=index[rows] - first, **{name: getattr(one, name)[rows] for name in names})


def _cut(inputs: Inputs, first: int, end: int) -> Inputs:
    frames, scene, matches = inputs.frames, inputs.scene, inputs.matches
    keyframe = np.asarray(scene.keyframe)
    keys = np.flatnonzero((keyframe >= first) & (keyframe < end))
    seen = np.flatnonzero(np.isin(scene.observation_keyframe, keys))
    matched = np.flatnonzero(np.isin(matches.keyframe, keys))
    numbers = {fit.track_id: np.asarray(fit.index) for fit in inputs.bodies.people}
    labels = [
        replace(one, contact=one.contact[(numbers[one.track_id] >= first) & (numbers[one.track_id] < end)])
        for one in inputs.contact.people
    ]
    tracks = [_rows(track, _OF_TRACKS, first, end) for track in inputs.people.tracks]
    fits = [_rows(fit, _OF_FITS, first, end) for fit in inputs.bodies.people]
    return replace(
        inputs,
        frames=replace(frames, frame=frames.frame[first:end], time=frames.time[first:end]),
        people=replace(inputs.people, tracks=[track for track in tracks if len(track.index)]),
        scene=replace(
            scene,
            keyframe=keyframe[keys] - first,
            world_from_camera=scene.world_from_camera[first:end],
            intrinsics=scene.intrinsics[first:end],
            observation_keyframe=scene.observation_keyframe[seen] - keys[0],
            observation_point=scene.observation_point[seen],
            observation_pixel=scene.observation_pixel[seen],
            depth_index=keyframe[keys] - first,
        ),
        bodies=replace(inputs.bodies, people=[fit for fit in fits if len(fit.index)]),
        contact=replace(inputs.contact, people=[one for one in labels if len(one.contact)]),
        matches=replace(
            matches,
            keyframe=matches.keyframe[matched] - keys[0],
            point=matches.point[matched],
            pixel=matches.pixel[matched],
            depth=matches.depth[matched],
        ),
        depths=[inputs.depths[number] for number in keys],
    )


def _joined_person(
    track_id: int, results: list[JointResult], starts: list[int], cameras: Array, model: BodyModel
) -> PersonWorld:
    pieces = [
        (start, result.world_from_camera[person.index], person)
        for start, result in zip(starts, results, strict=True)
        for person in result.people
        if person.track_id == track_id
    ]
    frames = np.concatenate([start + np.asarray(person.index) for start, _, person in pieces])
    local, pelvis = [], []
    for _, camera, person in pieces:
        rest = model.joints(person.betas)[0]
        poses, trans = moved_body(invert_rigid(camera), person.poses, person.trans, rest)
        local.append(poses)
        # Each chunk has its own betas, hence its own rest pelvis: the place that they mean is what stays.
        pelvis.append(trans + rest)
    # The last of the rows of each frame.
    index, back = np.unique(frames[::-1], return_index=True)
    rows = len(frames) - 1 - back
    people = [person for _, _, person in pieces]
    betas = np.average([person.betas for person in people], axis=0, weights=[len(person.index) for person in people])
    rest = model.joints(betas)[0]
    poses, trans = moved_body(cameras[index], np.concatenate(local)[rows], np.concatenate(pelvis)[rows] - rest, rest)
    return replace(
        people[0],
        index=index,
        betas=betas,
        poses=poses,
        trans=trans,
        confidence=np.concatenate([person.confidence for person in people])[rows],
        contact=np.concatenate([person.contact for person in people])[rows],
    )
