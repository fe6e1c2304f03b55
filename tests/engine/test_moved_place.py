"""The place after a solve: where lens, cameras and depth maps have moved it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from synthetic_walk import make_walk

from josh_blender.engine.solver import build
from josh_blender.engine.solver.moved_place import moved_place
from josh_blender.engine.solver.surfaces import DepthCloud
from josh_blender.engine.solver.touches import Place, foot_touches, supported
from josh_blender.engine.stages import joint
from josh_blender.scene4d.body import load_default_body


def ground_clouds(scene, frames):
    """The ground as these frames see it, 400 rays each."""
    ground = np.asarray(scene.ground, np.float64)
    clouds = []
    for frame in frames:
        matrix, lens = np.asarray(scene.world_from_camera[frame], np.float64), np.asarray(scene.intrinsics[frame])
        size = (2.0 * lens[2:]).astype(int)
        column, row = np.meshgrid(np.linspace(0.05, 0.95, 20) * size[0], np.linspace(0.6, 0.98, 20) * size[1])
        ray = np.stack([(column - lens[2]) / lens[0], (row - lens[3]) / lens[1], np.ones_like(row)], -1).reshape(-1, 3)
        slope = (ray @ matrix[:3, :3].T) @ ground[:3]
        depth = -(ground[:3] @ matrix[:3, 3] + ground[3]) / slope
        local = ray[depth > 0] * depth[depth > 0, None]
        clouds.append(DepthCloud(frame, matrix[:3, :3], matrix[:3, 3], local, np.zeros((2, 2)), lens))
    return clouds


@pytest.fixture(scope="module")
def walk():
    return make_walk(seconds=0.6)


def test_a_factor_on_lens_and_depth_moves_points_and_ground(walk):
    """A lens twice as long halves what lies sideways; a camera that looks level sees a ground half as far below."""
    up = np.array([0.0, -1.0, 0.0])
    level = replace(walk.scene, world_from_camera=np.tile(np.eye(4), (len(walk.scene.intrinsics), 1, 1)),
                    ground=np.append(up, 1.5))  # fmt: skip
    place = Place(up, level.ground, ground_clouds(level, [0, 5]))
    cameras = replace(build.camera_state(level, 0.0), log_focal=torch.tensor([np.log(2.0)]))
    moved = moved_place(place, cameras, torch.log(torch.tensor([1.5, 1.5], dtype=torch.float64)))
    np.testing.assert_allclose(moved.clouds[1].points, place.clouds[1].points * [0.75, 0.75, 1.5], atol=1e-9)
    np.testing.assert_allclose(moved.ground, [0.0, -1.0, 0.0, 0.75 * 1.5], atol=1e-9)
    np.testing.assert_allclose(moved.up, up, atol=1e-9)


def test_a_place_that_did_not_move_is_the_same(walk):
    up = np.asarray(walk.scene.ground[:3])
    place = Place(up, walk.scene.ground, ground_clouds(walk.scene, [0, 5, 10]))
    moved = moved_place(place, build.camera_state(walk.scene, 0.0), torch.zeros(3, dtype=torch.float64))
    np.testing.assert_allclose(moved.ground, place.ground, atol=1e-9)
    for before, after in zip(place.clouds, moved.clouds, strict=True):
        np.testing.assert_allclose(after.points, before.points, atol=1e-9)


def test_surfaces_are_found_where_the_solve_has_moved_them(walk):
    """With a lens that has come out 4 % shorter, people are as much nearer and the unit as much smaller."""
    model = load_default_body()
    figure = joint.make_figures(model, walk.frames, walk.people, walk.bodies, walk.contact)[0]
    place = Place(np.asarray(walk.scene.ground[:3]), walk.scene.ground, ground_clouds(walk.scene, range(0, 18, 5)))
    start = build.camera_state(walk.scene, float(np.log(walk.scale)))
    shorter = replace(start, log_focal=torch.tensor([-0.04], dtype=torch.float64))
    pelvis = (figure.points.joint_rest[0] + figure.points.joint_dirs[0] @ figure.body.betas)[2]
    near = figure.body.trans.clone()
    near[:, 2] = (near[:, 2] + pelvis) * np.exp(-0.04) - pelvis
    body = replace(figure.body, trans=near)
    rotation, centre = start.rotation.numpy(), start.centre.numpy()
    scale = walk.scale * float(np.exp(-0.04))
    feet = foot_touches(figure, body)
    flat = torch.zeros(len(place.clouds), dtype=torch.float64)

    def gaps(seen: Place) -> np.ndarray:
        _, support = supported(figure, body, feet, rotation, centre, scale, seen)
        index = figure.fit.index[feet.frame]
        sole = centre[index] + np.einsum("nij,nj->ni", rotation[index], feet.point) / scale
        return np.where(support.weight > 0, scale * ((sole - support.point) * support.normal).sum(1), np.inf)

    now, before = np.abs(gaps(moved_place(place, shorter, flat))), np.abs(gaps(place))
    assert np.median(now) < 0.02
    assert np.median(now) < 0.5 * np.median(before)


def test_a_surface_is_the_same_unknown_whenever_it_was_found(walk):
    """Found before the solve or after it, what is kept of a surface is the point of the map as it was given."""
    model = load_default_body()
    figure = joint.make_figures(model, walk.frames, walk.people, walk.bodies, walk.contact)[0]
    person = build.person_problem(figure, walk.scene, model, True, joint.SolverSettings())
    clouds = ground_clouds(walk.scene, [0, 5])
    place = Place(np.asarray(walk.scene.ground[:3]), walk.scene.ground, clouds)
    start = build.camera_state(walk.scene, float(np.log(walk.scale)))
    later = replace(start, log_focal=torch.tensor([-0.02], dtype=torch.float64))
    log_depth = torch.tensor([0.01, 0.02], dtype=torch.float64)
    feet = foot_touches(figure, figure.body)
    kept = []
    for cameras, factor in ((start, torch.zeros(2, dtype=torch.float64)), (later, log_depth)):
        seen = moved_place(place, cameras, factor)
        _, support = supported(
            figure, figure.body, feet, start.rotation.numpy(), start.centre.numpy(), walk.scale, seen
        )
        everywhere = replace(support, depth=np.zeros_like(support.depth), weight=np.ones_like(support.weight))
        on_cloud = seen.clouds[0].points[np.arange(len(feet.frame))]
        found = build.with_surfaces(
            person, figure, feet, replace(everywhere, point=on_cloud), cameras, factor, seen.clouds
        )
        kept.append(found.surfaces.local.numpy())
    for one, other in pairwise(kept):
        np.testing.assert_allclose(one, other, atol=1e-9)
