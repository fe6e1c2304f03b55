"""The synthetic walk as stage 2 would hand it on: with world landmarks that are too small, as the network's are."""

from __future__ import annotations

import numpy as np
from synthetic_walk import Errors, Walk, make_walk

from josh_blender.engine.fit import landmarks as lm
from josh_blender.engine.fit.initial import ray_rotation
from josh_blender.scene4d.body import BodyModel, load_default_body
from josh_blender.scene4d.camera import invert_rigid, project, transform

DISTORTION = np.array([-0.11, 0.02, 0.001, -0.001, 0.0])


def landmark_points(model: BodyModel, walk: Walk, person: int) -> np.ndarray:
    """True landmarks (T,L,3) in camera axes, metres."""
    seen = lm.landmark_map(model)
    vertices, joints = model.skin(walk.betas, walk.poses[person], walk.trans[person])
    marks = np.einsum("lv,tvi->tli", seen.vertex_weights, vertices)
    marks += np.einsum("lj,tji->tli", seen.joint_weights, joints)
    return transform(invert_rigid(walk.camera), marks)


def true_joints(model: BodyModel, walk: Walk, person: int = 0) -> np.ndarray:
    """(T,24,3) in camera axes, metres."""
    _, joints = model.skin(walk.betas, walk.poses[person], walk.trans[person])
    return transform(invert_rigid(walk.camera), joints)


def seen_walk(
    seconds: float = 1.0, fps: float = 30.0, landmark_px: float = 0.0, world_m: float = 0.0, **options: object
) -> Walk:
    """A walk behind a distorting lens; world landmarks 6 % too small, in axes of a camera that looks at the person."""
    walk = make_walk(seconds=seconds, fps=fps, errors=Errors(), **options)  # type: ignore[arg-type]
    walk.scene.distortion = DISTORTION
    model = load_default_body()
    noise = np.random.default_rng(5)
    for person, track in enumerate(walk.people.tracks):
        index = lm.landmark_map(model).index
        points = landmark_points(model, walk, person)
        pixels = project(points, walk.scene.intrinsics[:, None], DISTORTION)
        track.landmarks[:, index] = pixels + noise.normal(0.0, 1.0, pixels.shape) * landmark_px
        hips = points[:, [list(index).index(lm.LEFT_HIP), list(index).index(lm.RIGHT_HIP)]].mean(1)
        turned = (points - hips[:, None]) @ ray_rotation(hips / hips[:, 2:])
        track.world_landmarks[:, index] = 0.94 * turned + noise.normal(0.0, 1.0, turned.shape) * world_m
    return walk
