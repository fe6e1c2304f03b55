"""A small valid 4D scene of random numbers, already in the precision of its files."""

from __future__ import annotations

import numpy as np

from josh_blender.scene4d.body import load_default_body
from josh_blender.scene4d.rotations import matrix_from_axis_angle
from josh_blender.scene4d.scene import CameraPath, Person, PointCloud, Scale, Scene4D, Source

FRAMES = 12


def make_scene(people: int = 2, points: int = 500) -> Scene4D:
    """A scene with a walking camera, people who overlap in time, and a cloud."""
    generator = np.random.default_rng(4)
    frame = np.arange(30, 30 + FRAMES, dtype=np.int32)
    world_from_camera = np.tile(np.eye(4), (FRAMES, 1, 1))
    world_from_camera[:, :3, :3] = matrix_from_axis_angle(generator.normal(0, 0.3, (FRAMES, 3)))
    world_from_camera[:, :3, 3] = generator.normal(0, 2, (FRAMES, 3))
    camera = CameraPath(
        frame=frame,
        time=frame / 29.97,
        world_from_camera=world_from_camera,
        intrinsics=np.tile([1050.0, 1049.0, 960.5, 540.25], (FRAMES, 1)),
        distortion=np.array([-0.1, 0.01, 0.001, -0.002, 0.0]),
        keyframe=frame[::5],
    )
    body = load_default_body()
    members = []
    for number in range(1, people + 1):
        member_frame = frame[number : FRAMES - number]
        count = len(member_frame)
        members.append(
            Person(
                id=number,
                label=f"Läufer {number}",
                mask_value=number,
                height=1.6 + 0.1 * number,
                frame=member_frame,
                poses=generator.normal(0, 0.4, (count, 72)).astype(np.float32),
                trans=generator.normal(0, 3, (count, 3)).astype(np.float32),
                betas=generator.normal(0, 1, 10).astype(np.float32),
                confidence=generator.uniform(0, 1, count).astype(np.float32),
                contact=generator.uniform(0, 1, (count, 13)).astype(np.float32),
                body_id=body.body_id,
                body=body,
                reliable=number == 1,
                reason="" if number == 1 else "overlaps somebody",
                surface_model_type=body.body_id,
            )
        )
    cloud = PointCloud(
        generator.normal(0, 10, (points, 3)).astype(np.float32),
        generator.integers(0, 255, (points, 3)).astype(np.uint8),
        generator.uniform(0, 1, points).astype(np.float32),
        generator.integers(0, 3, points).astype(np.uint16),
    )
    source = Source("walk.mp4", "../walk.mp4", "/somewhere/walk.mp4", "123-abc", 1920, 1080, 30000, 1001, 100)
    return Scene4D(
        name="walk",
        source=source,
        camera=camera,
        people=members,
        cloud=cloud,
        scale=Scale("height", 0.02),
        quality={"reprojection_px": 0.7},
        warnings=["a warning"],
        licences=["CC0"],
    )
