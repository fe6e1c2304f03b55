"""What is known of a sequence: cameras, people, contacts and the place, without rendering anything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.sample.place import Place
from bench.sample.shots import Composition, Shot
from josh_blender.scene4d.body import BodyModel
from josh_blender.scene4d.camera import invert_rigid, project, transform
from josh_blender.scene4d.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from josh_blender.scene4d.scene import CameraPath, Person, PointCloud, Scale, Scene4D, Source

Array = NDArray[Any]

#: Key frames per second: the reference takes every fifth of 30 frames.
KEYFRAMES_PER_SECOND = 6.0


@dataclass(frozen=True)
class TrueBody:
    """One person in the world, metres: betas (B,), poses (F,72), trans (F,3), contact (F,R) 0 or 1."""

    betas: Array
    poses: Array
    trans: Array
    contact: Array


@dataclass(frozen=True)
class Truth:
    """A sequence: time (F,) s, world_from_camera (F,4,4), intrinsics (F,4) px; Z up, metres."""

    name: str
    camera_kind: str
    width: int
    height: int
    fps: Fraction
    time: Array
    world_from_camera: Array
    intrinsics: Array
    people: tuple[TrueBody, ...]
    place: Place

    @property
    def keyframes(self) -> Array:
        """Every fifth frame at 30 fps, the last frame always among them (R3)."""
        step = max(1, round(float(self.fps) / KEYFRAMES_PER_SECOND))
        return np.unique(np.append(np.arange(0, len(self.time), step), len(self.time) - 1)).astype(np.int32)


def truth_of_shot(shot: Shot, composition: Composition) -> Truth:
    """The truth of a composed shot."""
    frames = len(composition.world_from_camera)
    return Truth(
        shot.name,
        shot.camera_kind,
        shot.width,
        shot.height,
        Fraction(shot.fps),
        np.arange(frames) / float(shot.fps),
        np.asarray(composition.world_from_camera),
        np.broadcast_to(composition.intrinsics, (frames, 4)).copy(),
        tuple(TrueBody(motion.betas, motion.poses, motion.trans, motion.contact) for motion in composition.people),
        composition.place,
    )


def first_frames(truth: Truth, count: int) -> Truth:
    """The beginning of a sequence."""
    people = tuple(
        replace(body, poses=body.poses[:count], trans=body.trans[:count], contact=body.contact[:count])
        for body in truth.people
    )
    return replace(
        truth,
        time=truth.time[:count],
        world_from_camera=truth.world_from_camera[:count],
        intrinsics=truth.intrinsics[:count],
        people=people,
    )


def moved_body(matrix: Array, poses: Array, trans: Array, pelvis: Array) -> tuple[Array, Array]:
    """poses (T,72) and trans (T,3) under rigid motions (T,4,4) or (4,4); the body turns about its rest pelvis (3,)."""
    turned = np.array(poses, np.float64)
    turned[:, :3] = axis_angle_from_matrix(matrix[..., :3, :3] @ matrix_from_axis_angle(turned[:, :3]))
    place = (matrix[..., :3, :3] @ (trans + pelvis)[..., None])[..., 0] + matrix[..., :3, 3] - pelvis
    return turned, place


def seen_frames(truth: Truth, body: TrueBody, model: BodyModel) -> Array:
    """Whether (F,) the pelvis is in the picture."""
    pelvis = body.trans + model.joints(body.betas)[0]
    local = transform(invert_rigid(truth.world_from_camera), pelvis[:, None])[:, 0]
    pixel = project(local, truth.intrinsics)
    inside = ((pixel > 0) & (pixel < [truth.width, truth.height])).all(-1)
    return np.asarray(inside & (local[:, 2] > 0.3))


def true_scene(truth: Truth, model: BodyModel) -> Scene4D:
    """The truth as the evaluation wants it."""
    frames = np.arange(len(truth.time), dtype=np.int32)
    people = []
    for number, body in enumerate(truth.people):
        seen = seen_frames(truth, body, model)
        people.append(
            Person(
                id=number + 1,
                label=f"Person {number + 1}",
                mask_value=number + 1,
                height=float(model.height(body.betas)),
                frame=frames,
                poses=body.poses.astype(np.float32),
                trans=body.trans.astype(np.float32),
                betas=body.betas.astype(np.float32),
                confidence=seen.astype(np.float32),
                contact=np.asarray(body.contact, np.float32),
                body_id=model.body_id,
            )
        )
    camera = CameraPath(frames, truth.time, truth.world_from_camera, truth.intrinsics, np.zeros(5), truth.keyframes)
    return Scene4D(
        truth.name, source(truth), camera, people, PointCloud.empty(), truth.camera_kind, Scale("camera", 0.0)
    )


def source(truth: Truth) -> Source:
    """A video that nobody ever reads."""
    return Source(
        name=truth.name, path="", absolute_path="", identity="", width=truth.width, height=truth.height,
        fps_num=truth.fps.numerator, fps_den=truth.fps.denominator, frame_count=len(truth.time),
    )  # fmt: skip
