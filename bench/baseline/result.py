"""From the key frames of the reference's state to all frames, as its export does (R3), as a joint result."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.controlled import structure
from bench.controlled.inputs import Inputs
from bench.controlled.truth import moved_body
from josh_blender.engine.results import JointResult, PersonFit, PersonWorld
from josh_blender.scene4d.body import BodyModel
from josh_blender.scene4d.camera import invert_rigid, transform
from josh_blender.scene4d.conventions import JOINT_COUNT
from josh_blender.scene4d.rotations import (
    axis_angle_from_matrix,
    matrix_from_axis_angle,
    nearest_rotation,
    slerp_matrices,
)

from .objective import BodyState, ReferenceState
from .problem import LONG_SIDE, ReferencePerson, ReferenceProblem

Array = NDArray[Any]


def joint_result(problem: ReferenceProblem, state: ReferenceState, inputs: Inputs, model: BodyModel) -> JointResult:
    """Cameras linear and slerped between key frames, bodies likewise in their cameras; frames outside keep their
    estimate with its depth moved with the focal."""
    poses = np.tile(np.eye(4), (problem.keyframes, 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = state.rotation.numpy(), state.centre.numpy()
    every = structure.between_keyframes(poses, np.asarray(inputs.scene.keyframe), len(inputs.frames.frame))
    source = inputs.frames.source
    factor = LONG_SIDE / max(source.width, source.height)
    zoom = float(state.log_focal.exp())
    focal = problem.focal * zoom / factor
    intrinsics = np.tile([focal, focal, 0.5 * source.width, 0.5 * source.height], (len(every), 1))
    persons = {person.track_id: number for number, person in enumerate(problem.people)}
    labels = {person.track_id: person.contact for person in inputs.contact.people}
    people = [
        _person_in_world(problem, state, persons.get(fit.track_id), fit, labels[fit.track_id], every, zoom, model)
        for fit in inputs.bodies.people
    ]
    scale = float(np.exp(np.median(state.log_size.numpy())))
    return JointResult(every, intrinsics, np.zeros(5), scale, 0.0, "height", people, np.zeros(0))


def _person_in_world(
    problem: ReferenceProblem, state: ReferenceState, number: int | None, fit: PersonFit, labels: Array, every: Array,
    zoom: float, model: BodyModel,
) -> PersonWorld:  # fmt: skip
    poses, trans = np.array(fit.poses, np.float64), np.array(fit.trans, np.float64)
    trans[:, 2] *= zoom
    betas = np.asarray(fit.betas, np.float64)
    if number is not None:
        betas = state.bodies[number].betas.numpy()
        rows, rotation, place = _interpolated(problem.people[number], state, number)
        poses[rows] = axis_angle_from_matrix(rotation).reshape(len(rows), -1)
        trans[rows] = place
    world, moved = moved_body(every[fit.index], poses, trans, model.joints(betas)[0])
    return PersonWorld(fit.track_id, fit.index, betas, world, moved, fit.confidence, labels)


def _interpolated(person: ReferencePerson, state: ReferenceState, number: int) -> tuple[Array, Array, Array]:
    body = state.bodies[number]
    rotation = nearest_rotation(body.rotation.numpy()).reshape(-1, JOINT_COUNT, 3, 3)
    at = np.arange(person.place[0], person.place[-1] + 1)
    right = np.clip(np.searchsorted(person.place, at), min(1, len(person.place) - 1), None)
    left = np.maximum(right - 1, 0)
    share = np.clip((at - person.place[left]) / np.maximum(person.place[right] - person.place[left], 1), 0.0, 1.0)
    turned = slerp_matrices(rotation[left], rotation[right], share[:, None])
    trans = body.trans.numpy()
    return at, turned, (1.0 - share[:, None]) * trans[left] + share[:, None] * trans[right]


def state_of_joint(problem: ReferenceProblem, joint: JointResult, inputs: Inputs, model: BodyModel) -> ReferenceState:
    """A joint result as a state of the reference's problem, so that its objective can be asked about it.

    The joint stage has no size per key frame: it is the median ratio of the sparse points' depth to the map's.
    """
    keyframe, matches = np.asarray(inputs.scene.keyframe), inputs.matches
    poses = joint.world_from_camera[keyframe]
    scene = inputs.scene
    points = joint.scale * scene.points[scene.observation_point]
    depth = transform(invert_rigid(poses[scene.observation_keyframe]), points[:, None])
    ratio = np.log(np.maximum(depth[:, 0, 2], 1e-3) / matches.depth[matches.depth > 0.0])
    sizes = [np.median(ratio[scene.observation_keyframe == number]) for number in range(len(keyframe))]
    bodies = []
    for person in problem.people:
        world = next(one for one in joint.people if one.track_id == person.track_id)
        frames = world.index[person.place]
        local, trans = moved_body(
            invert_rigid(joint.world_from_camera[frames]), world.poses[person.place], world.trans[person.place],
            model.joints(world.betas)[0],
        )  # fmt: skip
        rotation = matrix_from_axis_angle(local.reshape(-1, JOINT_COUNT, 3))
        bodies.append(BodyState(*(torch.as_tensor(np.asarray(x, np.float64)) for x in (rotation, trans, world.betas))))
    source = inputs.frames.source
    focal = float(joint.intrinsics[keyframe, 0].mean()) * LONG_SIDE / max(source.width, source.height)
    return ReferenceState(
        torch.as_tensor(poses[:, :3, :3]),
        torch.as_tensor(poses[:, :3, 3]),
        torch.as_tensor(np.array(sizes)),
        torch.as_tensor(np.log(focal / problem.focal)),
        tuple(bodies),
    )
