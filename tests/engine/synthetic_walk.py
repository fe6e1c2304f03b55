"""A walk with exact foot locks seen by a moving camera, and what the stages would have made of it, with known errors.

Truth is made in metres, Z up; the results handed to the joint stage are in an arbitrary unit and arbitrary axes, as
structure from motion gives them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

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
from josh_blender.engine.solver.region_points import FOOT_REGIONS, region_mix
from josh_blender.scene4d.body import BodyModel, load_default_body
from josh_blender.scene4d.camera import invert_rigid, project, rigid, transform
from josh_blender.scene4d.conventions import CONTACT_REGIONS, JOINT_NAMES
from josh_blender.scene4d.rotations import axis_angle_from_matrix, matrix_from_axis_angle

WIDTH, HEIGHT, FOCAL = 960, 540, 800.0
#: Turns SMPL's rest pose (Y up, facing +Z) upright in a Z-up world, facing +Y (away from the camera).
UPRIGHT = np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])


@dataclass
class Errors:
    """Errors of the made-up stages; zero everywhere means perfect stages but for the unknown unit."""

    landmark_px: float = 0.0
    depth: float = 0.0
    depth_bias: float = 0.0
    side_m: float = 0.0
    pose_degrees: float = 0.0
    match_px: float = 0.0
    contact_flips: float = 0.0
    seed: int = 0


@dataclass
class Walk:
    """Inputs of the joint stage and the truth behind them (metres, Z up)."""

    frames: FramesResult
    people: PeopleResult
    scene: SceneResult
    bodies: BodiesResult
    contact: ContactResult
    scale: float
    camera: np.ndarray
    poses: list[np.ndarray] = field(default_factory=list)
    trans: list[np.ndarray] = field(default_factory=list)
    betas: np.ndarray = field(default_factory=lambda: np.zeros(10))
    standing: list[np.ndarray] = field(default_factory=list)


def walk_motion(model: BodyModel, betas: np.ndarray, time: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, ...]:
    """poses (T,72), trans (T,3) and standing (T,4) per foot region: the standing sole does not move at all."""
    count = len(time)
    phase = 2.0 * np.pi * 0.9 * time
    swing = np.radians(24.0) * np.sin(phase)
    left_stands = np.cos(phase) < 0.0
    poses = np.zeros((count, 24, 3))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        stands = left_stands if side == "left" else ~left_stands
        hip, knee, ankle = (JOINT_NAMES.index(f"{side}_{part}") for part in ("hip", "knee", "ankle"))
        bend = np.where(stands, 0.0, np.radians(50.0) * np.cos(phase) ** 2)
        # Turning the thigh forward is a negative turn about x; the ankle keeps the sole level.
        poses[:, hip, 0] = -sign * swing - 0.5 * bend
        poses[:, knee, 0] = bend
        poses[:, ankle, 0] = sign * swing - 0.5 * bend
        shoulder = JOINT_NAMES.index(f"{side}_shoulder")
        poses[:, shoulder, 2] = -sign * 1.2
    poses[:, 0] = axis_angle_from_matrix(UPRIGHT)
    poses = poses.reshape(count, 72)
    mix = region_mix(model)[[CONTACT_REGIONS.index(name) for name in FOOT_REGIONS]]
    vertices, _ = model.skin(betas, poses, np.zeros((count, 3)))
    soles = np.einsum("rv,tvi->tri", mix, vertices)
    trans = np.zeros((count, 3))
    standing = np.stack([left_stands, left_stands, ~left_stands, ~left_stands], 1)
    trans[0] = start - [0.0, 0.0, soles[0, standing[0]].mean(0)[2]]
    for t in range(1, count):
        foot = soles[:, standing[t]].mean(1)
        trans[t] = trans[t - 1] + foot[t - 1] - foot[t]
        if standing[t, 0] != standing[t - 1, 0]:
            # The new foot comes down on the ground.
            trans[t, 2] = -foot[t, 2]
    return poses, trans, standing


def make_walk(
    seconds: float = 2.0,
    fps: float = 30.0,
    people: int = 1,
    unit: float = 0.4,
    errors: Errors | None = None,
    height_known: bool = True,
    moving: bool = True,
    seed: int = 3,
) -> Walk:
    """Walks and what was measured of them; ``unit``: metres per unit of the scene."""
    errors = errors or Errors()
    rng = np.random.default_rng(seed)
    noise = np.random.default_rng(1000 + errors.seed)
    model = load_default_body()
    time = np.arange(round(seconds * fps)) / fps
    count = len(time)
    betas = np.zeros(model.shapedirs.shape[-1])

    forward = 1.1 * time if moving else 0.0 * time
    centre = np.stack([0.25 * np.sin(1.5 * time) * moving, forward - 1.0, 1.6 + 0.03 * np.sin(5 * time) * moving], 1)
    turn = np.stack([0.02 * np.sin(3 * time), 0.03 * np.sin(2 * time), 0.01 * np.sin(4 * time)], 1) * moving
    # Camera axes x right, y down, z forward, looking along +Y and a little down.
    look = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]) @ matrix_from_axis_angle([-0.12, 0.0, 0.0])
    camera = rigid(look @ matrix_from_axis_angle(turn), centre)

    axes = matrix_from_axis_angle(rng.normal(0.0, 1.0, 3))
    shift = rng.normal(0.0, 3.0, 3)

    def to_scene(points: np.ndarray) -> np.ndarray:
        return (points @ axes.T + shift) / unit

    scene_camera = camera.copy()
    scene_camera[:, :3, :3] = axes @ camera[:, :3, :3]
    scene_camera[:, :3, 3] = to_scene(camera[:, :3, 3])
    intrinsics = np.tile([FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2], (count, 1))

    ground = np.stack([rng.uniform(-5, 5, 400), rng.uniform(1, 14, 400), np.zeros(400)], 1)
    wall = np.stack([rng.choice([-5.0, 5.0], 300), rng.uniform(1, 14, 300), rng.uniform(0, 3, 300)], 1)
    points = np.concatenate([ground, wall])
    keyframe = np.unique(np.append(np.arange(0, count, 5), count - 1)).astype(np.int32)
    seen_key, seen_point, seen_pixel = [], [], []
    for number, position in enumerate(keyframe):
        local = transform(invert_rigid(camera[position]), points)
        pixel = project(local, intrinsics[0])
        good = (local[:, 2] > 0.5) & (pixel > 0).all(1) & (pixel < [WIDTH, HEIGHT]).all(1)
        seen_key.append(np.full(good.sum(), number))
        seen_point.append(np.flatnonzero(good))
        seen_pixel.append(pixel[good] + noise.normal(0.0, errors.match_px, (good.sum(), 2)))
    if not moving:
        points, seen_key, seen_point, seen_pixel = points[:0], [np.zeros(0)], [np.zeros(0)], [np.zeros((0, 2))]
    up = axes @ [0.0, 0.0, 1.0]
    scene = SceneResult(
        camera_kind="moving" if moving else "static",
        keyframe=keyframe,
        world_from_camera=scene_camera,
        intrinsics=intrinsics,
        distortion=np.zeros(5),
        points=to_scene(points),
        point_color=np.zeros((len(points), 3), np.uint8),
        observation_keyframe=np.concatenate(seen_key).astype(np.int32),
        observation_point=np.concatenate(seen_point).astype(np.int32),
        observation_pixel=np.concatenate(seen_pixel).astype(np.float32),
        depth_index=np.zeros(0, np.int32),
        ground=np.append(up, -up @ to_scene(np.zeros(3))),
    )
    source = VideoSource("walk.mp4", "video", WIDTH, HEIGHT, round(fps * 1000), 1000, count, 0, "", "sRGB")
    walk = Walk(
        FramesResult(source, np.arange(count, dtype=np.int32), time),
        PeopleResult([]),
        scene,
        BodiesResult(model.body_id, [], height_known),
        ContactResult([]),
        unit,
        camera,
        betas=betas,
    )
    for number in range(people):
        _add_person(walk, model, number, errors, noise)
    return walk


def _add_person(walk: Walk, model: BodyModel, number: int, errors: Errors, noise: np.random.Generator) -> None:
    count = len(walk.frames.time)
    poses, trans, standing = walk_motion(
        model, walk.betas, walk.frames.time + 0.3 * number, np.array([1.2 * number - 0.6, 4.0 + 0.7 * number, 0.0])
    )
    walk.poses.append(poses)
    walk.trans.append(trans)
    walk.standing.append(standing)
    vertices, joints = model.skin(walk.betas, poses, trans)
    seen = landmark_map(model)
    marks = np.einsum("lv,tvi->tli", seen.vertex_weights, vertices) + np.einsum(
        "lj,tji->tli", seen.joint_weights, joints
    )
    to_camera = invert_rigid(walk.camera)
    local = transform(to_camera, marks)
    landmarks = np.zeros((count, LANDMARK_COUNT, 2), np.float32)
    visibility = np.zeros((count, LANDMARK_COUNT), np.float32)
    pixel = project(local, walk.scene.intrinsics[:, None])
    landmarks[:, seen.index] = pixel + noise.normal(0.0, errors.landmark_px, pixel.shape)
    visibility[:, seen.index] = 1.0
    box = np.concatenate([pixel.min(1), pixel.max(1)], 1).astype(np.float32)
    index = np.arange(count, dtype=np.int32)
    identifier = number + 1
    walk.people.tracks.append(
        Track(
            identifier, identifier, index, box, landmarks, visibility,
            np.zeros((count, LANDMARK_COUNT, 3), np.float32), np.ones(count, bool), np.zeros(count, np.float32),
        )
    )  # fmt: skip

    rest = model.joints(walk.betas)[0]
    rotation = matrix_from_axis_angle(poses.reshape(count, 24, 3))
    rotation[:, 0] = to_camera[:, :3, :3] @ rotation[:, 0]
    rotation[:, 1:] = rotation[:, 1:] @ matrix_from_axis_angle(
        noise.normal(0.0, np.radians(errors.pose_degrees), (count, 23, 3))
    )
    pelvis = transform(to_camera, (trans + rest)[:, None])[:, 0]
    stretch = 1.0 + errors.depth_bias + noise.normal(0.0, errors.depth, (count, 1))
    pelvis = pelvis * stretch + np.append(noise.normal(0.0, errors.side_m, 2), 0.0)
    walk.bodies.people.append(
        PersonFit(
            identifier, index, walk.betas.copy(), axis_angle_from_matrix(rotation).reshape(count, 72), pelvis - rest,
            np.ones(count, np.float32), np.zeros(count, np.float32),
        )
    )  # fmt: skip
    contact = np.zeros((count, len(CONTACT_REGIONS)), np.float32)
    columns = [CONTACT_REGIONS.index(name) for name in FOOT_REGIONS]
    contact[:, columns] = standing
    flips = noise.random((count // 3 + 1, 4)) < errors.contact_flips
    flips = np.repeat(flips, 3, axis=0)[:count]
    contact[:, columns] = np.where(flips, 1.0 - contact[:, columns], contact[:, columns])
    walk.contact.people.append(PersonContact(identifier, contact))
