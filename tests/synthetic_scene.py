"""A small made-up 4D scene with known truth: people of capsules who walk, a camera on a curved path, a coloured place.

Everything follows from the seed. The body is in SMPL's format (24 joints, 10 betas, a few fingers), a few hundred
vertices, so that tests stay fast.
"""

from __future__ import annotations

import numpy as np

from josh_blender.scene4d.body import BodyModel
from josh_blender.scene4d.conventions import CONTACT_REGIONS, JOINT_COUNT, JOINT_NAMES, JOINT_PARENTS
from josh_blender.scene4d.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from josh_blender.scene4d.scene import CameraPath, Person, PointCloud, Scale, Scene4D, Source

# Rest joints in metres, Y up, facing +Z, the soles near y = -1.15.
_JOINTS = np.array(
    [
        (0.0, -0.22, 0.02), (0.06, -0.31, 0.01), (-0.06, -0.31, 0.01), (0.0, -0.11, -0.01), (0.10, -0.69, 0.02),
        (-0.10, -0.69, 0.02), (0.0, 0.03, 0.0), (0.09, -1.09, -0.03), (-0.09, -1.09, -0.03), (0.0, 0.08, 0.02),
        (0.11, -1.13, 0.10), (-0.11, -1.13, 0.10), (0.0, 0.29, -0.02), (0.08, 0.19, -0.01), (-0.08, 0.19, -0.01),
        (0.0, 0.36, 0.03), (0.18, 0.22, -0.02), (-0.18, 0.22, -0.02), (0.44, 0.21, -0.05), (-0.44, 0.21, -0.05),
        (0.69, 0.21, -0.06), (-0.69, 0.21, -0.06), (0.77, 0.20, -0.06), (-0.77, 0.20, -0.06),
    ]
)  # fmt: skip
_RADIUS = {"hip": 0.08, "knee": 0.06, "ankle": 0.05, "foot": 0.03, "elbow": 0.04, "wrist": 0.03, "hand": 0.03}
_RING = 8
_FINGERS = {"left_index1": (22, (0.83, 0.20, -0.06)), "left_index2": (24, (0.87, 0.20, -0.06)),
            "right_index1": (23, (-0.83, 0.20, -0.06)), "right_index2": (26, (-0.87, 0.20, -0.06))}  # fmt: skip


def _radius(name: str) -> float:
    return next((radius for part, radius in _RADIUS.items() if part in name), 0.1)


def _ring(center: np.ndarray, along: np.ndarray, radius: float) -> np.ndarray:
    helper = np.array([0.0, 0.0, 1.0]) if abs(along[2]) < 0.8 * np.linalg.norm(along) else np.array([1.0, 0.0, 0.0])
    across = np.cross(along, helper)
    across /= np.linalg.norm(across)
    third = np.cross(along / np.linalg.norm(along), across)
    angles = np.arange(_RING) * (2.0 * np.pi / _RING)
    return center + radius * (np.cos(angles)[:, None] * across + np.sin(angles)[:, None] * third)


def synthetic_body(seed: int = 0) -> BodyModel:
    """A body of capsules, one per joint, whose regressors give the joints above exactly."""
    rng = np.random.default_rng(seed)
    ends = {"head": (0.0, 0.58, 0.03), "left_foot": (0.12, -1.14, 0.18), "right_foot": (-0.12, -1.14, 0.18)}
    points = np.concatenate([_JOINTS, [position for _, position in _FINGERS.values()]])
    names = [*JOINT_NAMES, *_FINGERS]
    parents = [*JOINT_PARENTS, *(parent for parent, _ in _FINGERS.values())]
    vertices, faces, weights, heads = [], [], [], []
    for joint, name in enumerate(names):
        children = [child for child, parent in enumerate(parents) if parent == joint]
        end = np.array(ends[name]) if name in ends else (
            points[children[0]] if children else points[joint] + 0.5 * (points[joint] - points[parents[joint]])
        )  # fmt: skip
        along, radius, start = end - points[joint], _radius(name), len(vertices) * _RING
        heads.append(range(start, start + _RING))
        for step in (0.0, 0.33, 0.66, 1.0):
            vertices.append(_ring(points[joint] + step * along, along, radius))
            weight = np.zeros(len(names))
            # Near its head a bone shares the skin with its parent.
            weight[joint] = {0.0: 0.5, 0.33: 0.85}.get(step, 1.0)
            if parents[joint] >= 0:
                weight[parents[joint]] += 1.0 - weight[joint]
            weights.append(np.tile(weight / weight.sum(), (_RING, 1)))
        for ring in range(3):
            for i in range(_RING):
                a, b = start + ring * _RING + i, start + ring * _RING + (i + 1) % _RING
                faces += [(a, b, b + _RING), (a, b + _RING, a + _RING)]
    v_template = np.concatenate(vertices).astype(np.float32)
    full = np.concatenate(weights)
    regressor = np.zeros((len(names), len(v_template)))
    for joint, rows in enumerate(heads):
        regressor[joint, list(rows)] = 1.0 / _RING
    smpl = full[:, :JOINT_COUNT].copy()
    fingers = full[:, JOINT_COUNT:]
    for column, (name, _) in enumerate(_FINGERS.items()):
        smpl[:, JOINT_NAMES.index(f"{name.split('_')[0]}_hand")] += fingers[:, column]

    shapedirs = np.zeros((len(v_template), 3, 10))
    shapedirs[:, :, 0] = 0.05 * v_template
    shapedirs[:, :, 1] = v_template * (0.06, 0.0, 0.06)
    for beta in range(2, 10):
        waves = rng.normal(size=(3, 3))
        shapedirs[:, :, beta] = 0.01 * np.sin(v_template @ waves)
    foot = [int(rows[0]) for rows in (heads[7], heads[10], heads[8], heads[11])]
    kintree = np.array([[-1, *JOINT_PARENTS[1:]], list(range(JOINT_COUNT))], dtype=np.int64)
    return BodyModel(
        v_template=v_template,
        shapedirs=shapedirs.astype(np.float32),
        posedirs=np.zeros((len(v_template), 3, 0), np.float32),
        J_regressor=regressor[:JOINT_COUNT].astype(np.float32),
        weights=smpl.astype(np.float32),
        kintree_table=kintree,
        f=np.array(faces, dtype=np.int32),
        body_id="synthetic-1",
        region_of_vertex=np.full(len(v_template), -1, np.int8),
        foot_vertices=np.array(foot, dtype=np.int32),
        finger_names=tuple(_FINGERS),
        finger_parents=np.array([parent for parent, _ in _FINGERS.values()], dtype=np.int32),
        finger_regressor=regressor[JOINT_COUNT:].astype(np.float32),
        finger_weights=fingers.astype(np.float32),
    )


def _walk(body: BodyModel, betas: np.ndarray, frames: np.ndarray, fps: float, lane: float, heading: float,
          rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """A walk along a lane: poses (T,72) and trans (T,3) with the lowest vertex on the ground."""
    time = frames / fps
    phase = 2.0 * np.pi * 0.9 * time
    poses = np.zeros((len(frames), JOINT_COUNT, 3))
    swing = np.sin(phase)
    poses[:, JOINT_NAMES.index("left_hip"), 0] = -0.45 * swing
    poses[:, JOINT_NAMES.index("right_hip"), 0] = 0.45 * swing
    poses[:, JOINT_NAMES.index("left_knee"), 0] = 0.35 * (1.0 - np.cos(phase + 0.6))
    poses[:, JOINT_NAMES.index("right_knee"), 0] = 0.35 * (1.0 + np.cos(phase + 0.6))
    poses[:, JOINT_NAMES.index("left_shoulder"), 2] = -1.2
    poses[:, JOINT_NAMES.index("right_shoulder"), 2] = 1.2
    poses[:, JOINT_NAMES.index("left_elbow"), 1] = -0.3 - 0.3 * np.maximum(swing, 0.0)
    poses[:, JOINT_NAMES.index("right_elbow"), 1] = 0.3 + 0.3 * np.maximum(-swing, 0.0)
    # Small motion of every joint, so that no bone goes untested.
    amplitude = rng.uniform(0.02, 0.12, size=(JOINT_COUNT, 3))
    offset = rng.uniform(0.0, 2.0 * np.pi, size=(JOINT_COUNT, 3))
    poses += amplitude * np.sin(phase[:, None, None] + offset)

    upright = matrix_from_axis_angle([np.pi / 2.0, 0.0, 0.0])
    turning = matrix_from_axis_angle(
        np.stack([np.zeros_like(time), np.zeros_like(time), heading + 0.4 * np.sin(0.7 * time)], axis=-1)
    )
    poses[:, 0] = axis_angle_from_matrix(turning @ upright @ matrix_from_axis_angle(poses[:, 0]))
    poses = poses.reshape(len(frames), -1)
    # Facing +Z of SMPL is -Y of the world before the turn.
    forward = turning @ np.array([0.0, -1.0, 0.0])
    trans = np.cumsum(forward * 1.2 / fps, axis=0) + np.array([lane, 5.0, 0.0])
    vertices, _ = body.skin(betas, poses, trans)
    trans[:, 2] -= vertices[:, :, 2].min(axis=1)
    return poses.astype(np.float32), trans.astype(np.float32)


def synthetic_people(body: BodyModel, first: int, frame_count: int, fps: float, count: int, seed: int) -> list[Person]:
    """People who walk towards or away from the camera; the second is seen on a part of the frames only."""
    people = []
    for number in range(count):
        rng = np.random.default_rng(seed + 17 * number)
        betas = np.zeros(10, np.float32)
        betas[:5] = rng.uniform(-1.5, 1.5, size=5)
        late, early = (frame_count // 5, frame_count // 10) if number == 1 else (0, 0)
        frame = np.arange(first + late, first + frame_count - early, dtype=np.int32)
        lane = 1.2 * (number - (count - 1) / 2.0)
        poses, trans = _walk(body, betas, frame.astype(np.float64), fps, lane, np.pi * (number % 2), rng)
        people.append(
            Person(
                id=number + 1,
                label=f"Person {number + 1}",
                mask_value=number + 1,
                height=float(body.height(betas)),
                frame=frame,
                poses=poses,
                trans=trans,
                betas=betas,
                confidence=np.ones(len(frame), np.float32),
                contact=np.zeros((len(frame), len(CONTACT_REGIONS)), np.float32),
                body_id=body.body_id,
                body=body,
            )
        )
    return people


def synthetic_camera(
    first: int, frame_count: int, fps: float, width: int, height: int, zoom: bool = False, distortion: bool = True
) -> CameraPath:
    """A camera at eye height that drifts, turns and sways; principal point off centre."""
    frame = np.arange(first, first + frame_count, dtype=np.int32)
    time = frame / fps
    turn = np.stack([0.03 * np.sin(time), 0.05 * np.sin(0.8 * time), 0.02 * np.cos(time)], axis=-1)
    level = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    world_from_camera = np.tile(np.eye(4), (frame_count, 1, 1))
    world_from_camera[:, :3, :3] = matrix_from_axis_angle(turn) @ level
    world_from_camera[:, :3, 3] = np.stack(
        [0.3 * np.sin(0.5 * time), 0.2 * time, 1.6 + 0.02 * np.sin(3.0 * time)], axis=-1
    )
    focal = 0.9 * max(width, height) * (1.0 + (0.2 * np.sin(0.4 * time) if zoom else np.zeros_like(time)))
    intrinsics = np.stack(
        [focal, focal, np.full(frame_count, width / 2.0 + 6.3), np.full(frame_count, height / 2.0 - 4.7)], axis=-1
    )
    coefficients = np.array([-0.11, 0.03, 0.001, -0.0007, 0.004]) if distortion else np.zeros(5)
    return CameraPath(frame, time, world_from_camera, intrinsics, coefficients, frame[::5].copy())


def synthetic_cloud(count: int, seed: int = 0) -> PointCloud:
    """A chequered ground and a wall behind it."""
    rng = np.random.default_rng(seed)
    ground = count * 2 // 3
    position = np.empty((count, 3), np.float32)
    position[:ground] = rng.uniform((-5.0, -2.0, -0.005), (5.0, 12.0, 0.005), size=(ground, 3))
    position[ground:] = rng.uniform((-5.0, 11.95, 0.0), (5.0, 12.05, 4.0), size=(count - ground, 3))
    checks = (np.floor(position[:, 0]) + np.floor(position[:, 1]) + np.floor(position[:, 2] + 0.5)) % 2 > 0
    color = np.where(checks[:, None], (200, 180, 140), (70, 90, 120)).astype(np.uint8)
    color[ground:, 0] = 180
    return PointCloud(position, color, np.ones(count, np.float32), np.zeros(count, np.uint16))


def synthetic_scene(
    name: str = "Synthetic", people: int = 2, frame_count: int = 48, points: int = 4000, width: int = 960,
    height: int = 540, first_frame: int = 5, fps: tuple[int, int] = (30000, 1001), seed: int = 0, zoom: bool = False,
    distortion: bool = True, body: BodyModel | None = None, video: str = "",
) -> Scene4D:  # fmt: skip
    """A whole scene; ``video`` is the path of its plate, if there is one."""
    body = body or synthetic_body()
    rate = fps[0] / fps[1]
    return Scene4D(
        name=name,
        source=Source(
            name=video.rsplit("/", 1)[-1] or "walk.mp4",
            path="",
            absolute_path=video,
            identity=f"{frame_count}-{seed:064x}",
            width=width,
            height=height,
            fps_num=fps[0],
            fps_den=fps[1],
            frame_count=first_frame + frame_count,
        ),
        camera=synthetic_camera(first_frame, frame_count, rate, width, height, zoom, distortion),
        people=synthetic_people(body, first_frame, frame_count, rate, people, seed),
        cloud=synthetic_cloud(points, seed) if points else PointCloud.empty(),
        scale=Scale("height", 0.01),
    )
