"""What people touch: planes under hands and seats, how far their skin reaches, feet that carry no label."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic_walk import Walk, make_walk

from josh_blender.engine.solver import build
from josh_blender.engine.solver.figures import Figure
from josh_blender.engine.solver.residuals import ContactScale, moment
from josh_blender.engine.solver.robust import GemanMcClure
from josh_blender.engine.solver.settings import SolverSettings
from josh_blender.engine.solver.surfaces import DepthCloud
from josh_blender.engine.solver.touched_planes import fitted_level, fitted_plane
from josh_blender.engine.solver.touches import Place, foot_touches, reach_of, supported, touches_of
from josh_blender.engine.stages.joint import make_figures
from josh_blender.scene4d.body import load_default_body
from josh_blender.scene4d.conventions import CONTACT_REGIONS

SEAT, HAND = CONTACT_REGIONS.index("seat"), CONTACT_REGIONS.index("right_hand")


def plane_points(rng: np.random.Generator, normal: np.ndarray, count: int, size: float) -> np.ndarray:
    """Points (N,3) of a square patch around the origin."""
    across = np.linalg.svd(normal[None])[2][1:]
    return np.asarray(rng.uniform(-size, size, (count, 2)) @ across)


# --- planes ----------------------------------------------------------------------------------------------------------


def test_a_plane_is_found_among_other_points() -> None:
    rng = np.random.default_rng(0)
    normal, middle = np.array([0.36, 0.48, 0.8]), np.array([1.0, -2.0, 5.0])
    points = middle + plane_points(rng, normal, 200, 0.3) + 0.005 * rng.standard_normal((200, 1)) * normal
    others = middle + rng.uniform(-0.3, 0.3, (100, 3))
    found = fitted_plane(np.concatenate([others, points]), 0.02)
    assert found is not None
    assert abs(found.normal @ normal) > np.cos(np.radians(1.5))
    assert abs((found.point - middle) @ normal) < 0.003
    assert found.unevenness < 0.008


def test_points_of_no_plane_give_none() -> None:
    rng = np.random.default_rng(1)
    ball = rng.standard_normal((300, 3))
    ball *= 0.3 / np.linalg.norm(ball, axis=1, keepdims=True)
    assert fitted_plane(ball, 0.02) is None
    line = np.linspace(-1.0, 1.0, 100)[:, None] * [1.0, 1.0, 0.0] + 0.01 * rng.standard_normal((100, 3))
    assert fitted_plane(line, 0.02) is None


def test_a_level_is_the_top_of_a_bench_and_not_its_front() -> None:
    rng = np.random.default_rng(2)
    top = np.stack([rng.uniform(-0.3, 0.3, 150), rng.uniform(0.0, 0.3, 150), np.full(150, 0.43)], 1)
    front = np.stack([rng.uniform(-0.3, 0.3, 200), np.zeros(200), rng.uniform(0.0, 0.43, 200)], 1)
    points = np.concatenate([front, top]) + 0.004 * rng.standard_normal((350, 3))
    found = fitted_level(points, 0.02, np.array([0.0, 0.0, 1.0]))
    assert found is not None
    assert found.point[2] == pytest.approx(0.43, abs=0.006)
    assert np.median(points[:, 2]) < 0.40


# --- touching skin ---------------------------------------------------------------------------------------------------


def figure_touching(region: int) -> tuple[Walk, Figure]:
    """Somebody of whom only one region is in contact, on every frame."""
    walk = make_walk(seconds=0.3)
    contact = np.zeros_like(walk.contact.people[0].contact)
    contact[:, region] = 0.9
    walk.contact.people[0] = replace(walk.contact.people[0], contact=contact)
    return walk, make_figures(load_default_body(), walk.frames, walk.people, walk.bodies, walk.contact)[0]


def region_skin(figure: Figure, region: int) -> np.ndarray:
    """All vertices (T,N,3) of a region in camera axes."""
    model, fit = load_default_body(), figure.fit
    inside = np.asarray(model.region_of_vertex) == list(model.region_names).index(CONTACT_REGIONS[region])
    return np.asarray(model.skin(fit.betas, fit.poses, fit.trans)[0][:, inside])


@pytest.mark.parametrize("region", [SEAT, HAND])
def test_reach_is_that_of_the_whole_skin(region: int) -> None:
    _, figure = figure_touching(region)
    touches = touches_of(figure, figure.body, np.array([region]))
    rng = np.random.default_rng(3)
    toward = rng.standard_normal((len(touches.frame), 3))
    toward /= np.linalg.norm(toward, axis=1, keepdims=True)
    skin = region_skin(figure, region)[touches.frame]
    farthest = np.einsum("tvj,tj->tv", skin - touches.point[:, None], toward).max(1)
    assert np.allclose(reach_of(figure, figure.body, touches, toward), farthest, atol=0.004)


@pytest.mark.parametrize(("region", "level"), [(SEAT, True), (HAND, False)])
def test_skin_on_a_surface_has_no_residual_and_off_it_the_gap(region: int, level: bool) -> None:
    """A patch of the place touches the region's skin on one frame: level under a seat, upright at a hand."""
    walk, figure = figure_touching(region)
    scene, frame = walk.scene, 4
    matrix = np.asarray(scene.world_from_camera, np.float64)
    rotation, centre = matrix[:, :3, :3], matrix[:, :3, 3]
    up = np.asarray(scene.ground[:3], np.float64)
    skin = region_skin(figure, region)[frame] @ rotation[frame].T
    # A surface faces the camera that sees it.
    back = -rotation[frame][:, 2] + (rotation[frame][:, 2] @ up) * up
    normal = up if level else back / np.linalg.norm(back)
    touching = skin[np.argmin(skin @ normal)] / walk.scale + centre[frame]
    rng = np.random.default_rng(4)
    points = touching + plane_points(rng, normal, 400, 0.3 / walk.scale)
    cloud = DepthCloud(
        frame, rotation[frame], centre[frame], (points - centre[frame]) @ rotation[frame], np.zeros((2, 2)), np.ones(4)
    )
    place = Place(up, np.zeros(0), [cloud])
    feet = foot_touches(figure, figure.body)
    assert not len(feet.frame)
    touches, support = supported(figure, figure.body, feet, rotation, centre, walk.scale, place)
    row = int(np.flatnonzero(touches.frame == frame)[0])
    assert support.weight[row] > 0.9
    assert abs(support.normal[row] @ normal) > 0.999

    person = build.person_problem(figure, scene, load_default_body(), True, SolverSettings())
    problem = build.make_problem(
        scene, [figure], [cloud], float(np.log(walk.scale)), SolverSettings(), scale_free=True, cameras_free=True
    )
    cameras = problem.initial.cameras
    person = build.with_surfaces(person, figure, touches, support, cameras, torch.zeros(1), [cloud])
    block = ContactScale(GemanMcClure(3.0), 1.0)

    def gap(lift: float) -> float:
        body = problem.initial.bodies[0]
        moved = replace(body, trans=body.trans + torch.as_tensor(lift * normal @ rotation[frame]))
        at = moment(person, 0, replace(problem.initial, bodies=(moved,)), False)
        here = person.surfaces.frame == frame
        return float(block.groups_at(at, problem.initial.depth)[here].squeeze())

    assert gap(0.0) == pytest.approx(0.0, abs=0.004)
    assert gap(0.05) - gap(0.0) == pytest.approx(0.05, abs=1e-3)


def test_a_surface_out_of_reach_is_not_touched() -> None:
    walk, figure = figure_touching(HAND)
    matrix = np.asarray(walk.scene.world_from_camera, np.float64)
    rotation, centre = matrix[:, :3, :3], matrix[:, :3, 3]
    touches = touches_of(figure, figure.body, np.array([HAND]))
    spot = centre[0] + rotation[0] @ touches.point[0] / walk.scale
    back = -rotation[0][:, 2]
    points = spot - 0.25 / walk.scale * back + plane_points(np.random.default_rng(5), back, 400, 0.3 / walk.scale)
    cloud = DepthCloud(0, rotation[0], centre[0], (points - centre[0]) @ rotation[0], np.zeros((2, 2)), np.ones(4))
    place = Place(np.asarray(walk.scene.ground[:3]), np.zeros(0), [cloud])
    feet = foot_touches(figure, figure.body)
    _, support = supported(figure, figure.body, feet, rotation, centre, walk.scale, place)
    assert support.depth[touches.frame == 0] == [0]
    assert support.weight[touches.frame == 0] == [0.0]


# --- feet without a label --------------------------------------------------------------------------------------------


def test_a_foot_without_a_label_counts_a_little_and_a_hand_does_not() -> None:
    _, figure = figure_touching(SEAT)
    settings = SolverSettings(unlabelled=0.1)
    pairs = build.static_pairs(figure, settings)
    region = pairs.row.numpy() - figure.map.region_row(0)
    steps = len(figure.fit.index) - 1
    assert pairs.weight.shape == (steps, 5)
    assert np.allclose(pairs.weight.numpy()[:, region < 4], 0.1)
    assert np.allclose(pairs.weight.numpy()[:, region == SEAT], 0.9, atol=1e-6)
    assert set(region) == {0, 1, 2, 3, SEAT}
    hidden = replace(figure, track=replace(figure.track, visibility=np.zeros_like(figure.track.visibility)))
    assert set(build.static_pairs(hidden, settings).row.numpy() - figure.map.region_row(0)) == {SEAT}
