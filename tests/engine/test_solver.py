"""The solver's parts: derivatives against finite differences, elimination against a dense solve, closed forms."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import other_device
import pytest
import torch
from synthetic_walk import FOCAL, Errors, Walk, make_walk

from josh_blender.engine.solver import build, bundle, levenberg, scale, so3
from josh_blender.engine.solver.arrowhead import Arrowhead, Chain, NotPositiveDefinite, solve
from josh_blender.engine.solver.body_points import BODY_SIZE, pose
from josh_blender.engine.solver.device import on_device
from josh_blender.engine.solver.problem import Problem
from josh_blender.engine.solver.residuals import moment
from josh_blender.engine.solver.settings import SolverSettings
from josh_blender.engine.solver.sightings import chosen_points, observations
from josh_blender.engine.solver.state import State, retract
from josh_blender.engine.solver.surfaces import DepthCloud
from josh_blender.engine.solver.timeline import cut_of
from josh_blender.engine.solver.touches import Place, foot_touches, support_of
from josh_blender.engine.stages import joint
from josh_blender.scene4d.body import load_default_body
from josh_blender.scene4d.conventions import JOINT_NAMES

SETTINGS = SolverSettings(points_per_keyframe=80)


def zoomed(walk: Walk) -> Walk:
    """The same through a lens that is taken for one that zooms by a fifth of a percent."""
    intrinsics = np.array(walk.scene.intrinsics, np.float64)
    intrinsics[:, :2] *= np.linspace(0.999, 1.001, len(intrinsics))[:, None]
    return replace(walk, scene=replace(walk.scene, intrinsics=intrinsics))


def problem_of(walk: Walk) -> tuple[Problem, State]:
    """The joint problem of a walk, with one depth map's surface under the first contact, and a state off its start."""
    model = load_default_body()
    figures = joint.make_figures(model, walk.frames, walk.people, walk.bodies, walk.contact)
    place = Place(joint.up_direction(walk.scene, figures), walk.scene.ground, [])
    people = [build.person_problem(figure, walk.scene, model, True, SETTINGS) for figure in figures]
    # Maps from elsewhere: their depths take part.
    scene = replace(walk.scene, focal_sigma=0.05)
    first = np.asarray(scene.world_from_camera[0], np.float64)
    there = (np.asarray(scene.points) - first[:3, 3]) @ first[:3, :3]
    there = there[there[:, 2] > 0.1]
    lens = np.array([200.0, 200.0, 160.0, 90.0])
    column, row = np.clip(there[:, :2] / there[:, 2:] * 200.0 + lens[2:], 0, [319, 179]).astype(int).T
    depth = np.zeros((180, 320), np.float32)
    depth[row, column] = there[:, 2]
    cloud = DepthCloud.of_map(0, first, depth, lens)
    log_scale = float(np.log(walk.scale))
    problem = build.make_problem(scene, figures, [cloud], log_scale, SETTINGS, scale_free=True, cameras_free=True)
    cameras = problem.initial.cameras
    associated = []
    for person, figure, body in zip(people, figures, problem.initial.bodies, strict=True):
        touches = foot_touches(figure, body)
        support = support_of(figure, touches, cameras.rotation.numpy(), cameras.centre.numpy(), walk.scale, place)
        support.depth[::2] = 0
        associated.append(build.with_surfaces(person, figure, touches, support, cameras, torch.zeros(1), [cloud]))
    problem = replace(problem, people=tuple(associated))
    torch.manual_seed(0)
    step = 0.01 * torch.randn(problem.layout.size, dtype=torch.float64)
    chains = [0.02 * torch.randn(len(p.index), BODY_SIZE, dtype=torch.float64) for p in problem.people]
    points = 0.01 * torch.randn_like(problem.initial.points)
    return problem, retract(problem.initial, problem.layout, step, chains, points)


@pytest.fixture(scope="module", params=["one lens", "zoom"])
def small(request: pytest.FixtureRequest) -> tuple[Problem, State]:
    walk = make_walk(seconds=0.4, people=1, errors=Errors(pose_degrees=3.0, landmark_px=1.0))
    return problem_of(zoomed(walk) if request.param == "zoom" else walk)


def test_exponential_and_logarithm_invert_each_other() -> None:
    vector = torch.tensor([[0.0, 0.0, 0.0], [1e-8, 0.0, 0.0], [0.3, -0.2, 0.5], [2.0, 1.0, -1.0]], dtype=torch.float64)
    assert torch.allclose(so3.log(so3.exp(vector)), vector, atol=1e-9)
    turn = so3.exp(vector)
    assert torch.allclose(turn @ turn.transpose(-1, -2), torch.eye(3, dtype=torch.float64).expand(4, 3, 3))


def test_body_points_are_the_skinned_body() -> None:
    model = load_default_body()
    walk = make_walk(seconds=0.2)
    figure = joint.make_figures(model, walk.frames, walk.people, walk.bodies, walk.contact)[0]
    posed = pose(figure.points, figure.body.rotation, figure.body.trans, figure.body.betas)
    fit = figure.fit
    vertices, joints = model.skin(fit.betas, fit.poses, fit.trans)
    expected = np.einsum("pv,tvi->tpi", figure.map.vertex_mix, vertices)
    expected += np.einsum("pj,tji->tpi", figure.map.joint_mix, joints)
    assert np.allclose(posed.points.numpy(), expected, atol=1e-6)
    assert np.allclose(posed.joints.numpy(), joints, atol=1e-6)


@pytest.mark.parametrize("term", ["landmarks", "static", "root", "scale"])
def test_jacobians_agree_with_differences(small: tuple[Problem, State], term: str) -> None:
    problem, state = small
    terms = levenberg.Terms(SETTINGS, problem.image_long_side)
    person, layout = problem.people[0], problem.layout
    block = getattr(terms, term)

    def residual(border: torch.Tensor, chain: torch.Tensor) -> torch.Tensor:
        moved = retract(state, layout, border, [chain], torch.zeros_like(state.points))
        at = moment(person, 0, moved, False)
        return block.groups_at(at, moved.depth) if term == "scale" else block.groups(at)

    at = moment(person, 0, state, True)
    rows = block.rows_at(at, layout, state.depth) if term == "scale" else block.rows(at, layout)
    count = len(rows.residual)
    assert count > 3
    torch.manual_seed(1)
    for _ in range(4):
        border = torch.randn(layout.size, dtype=torch.float64)
        chain = torch.randn(len(person.index), BODY_SIZE, dtype=torch.float64)
        h = 1e-6
        numeric = (residual(h * border, h * chain) - residual(-h * border, -h * chain)) / (2.0 * h)
        analytic = torch.einsum("ngic,nc->ngi", rows.border, border[rows.columns])
        for frame, jacobian in rows.body:
            analytic = analytic + torch.einsum("ngid,nd->ngi", jacobian, chain[frame][:, : jacobian.shape[-1]])
        assert torch.allclose(analytic, numeric, atol=1e-4 * float(numeric.abs().max()))


def test_jacobian_of_correspondences(small: tuple[Problem, State]) -> None:
    problem, state = small
    block = levenberg.Terms(SETTINGS, problem.image_long_side).correspondences
    seen, layout = problem.observations, problem.layout
    by_camera, by_point = block.linearize(seen, state)
    torch.manual_seed(2)
    border = torch.randn(layout.size, dtype=torch.float64)
    points = torch.randn_like(state.points)
    zero = [torch.zeros(len(p.index), BODY_SIZE, dtype=torch.float64) for p in problem.people]

    def residual(h: float) -> torch.Tensor:
        return block._residuals(seen, retract(state, layout, h * border, zero, h * points))

    numeric = (residual(1e-6) - residual(-1e-6)) / 2e-6
    assert (seen.map >= 0).any() and numeric[:, 2].abs().max() > 0.0
    maps = torch.where(seen.map >= 0, layout.depth_start + seen.map, 0)[:, None]
    focal = layout.lens_of(seen.keyframe)[:, None]
    columns = torch.cat([layout.camera_of(seen.keyframe), focal, maps], 1)
    analytic = torch.einsum("mic,mc->mi", by_camera, border[columns])
    analytic = analytic + torch.einsum("mic,mc->mi", by_point, points[seen.point])
    assert torch.allclose(analytic, numeric, atol=1e-4 * float(numeric.abs().max()))


def test_gradient_of_the_whole_cost(small: tuple[Problem, State]) -> None:
    """Along the border and the bodies, J'Wr is half the slope of the robust cost (points held)."""
    problem, state = small
    arms = torch.zeros(len(problem.people[0].index), BODY_SIZE, dtype=torch.float64)
    for name, degrees in (("left_shoulder", -30.0), ("right_shoulder", 30.0)):
        arms[:, 3 + 3 * JOINT_NAMES.index(name) + 2] = np.radians(degrees)
    still = torch.zeros(problem.layout.size, dtype=torch.float64)
    state = retract(state, problem.layout, still, [arms], torch.zeros_like(state.points))
    terms = levenberg.Terms(SETTINGS, problem.image_long_side)
    held = replace(problem, observations=observations(make_walk(seconds=0.4, moving=False).scene, 0)[0])
    system = levenberg.assemble(held, terms, state)
    assert levenberg.evaluate(held, terms, state)["self_collision"] > 0.0
    torch.manual_seed(3)
    border = torch.randn(problem.layout.size, dtype=torch.float64)
    # Turns of the camera enter the smoothness of turns only in its value (documented there).
    border[problem.layout.camera_start : problem.layout.depth_start] = 0.0
    chain = torch.randn(len(problem.people[0].index), BODY_SIZE, dtype=torch.float64)

    def cost(h: float) -> float:
        moved = retract(state, problem.layout, h * border, [h * chain], torch.zeros_like(state.points))
        return sum(levenberg.evaluate(held, terms, moved).values())

    slope = (cost(1e-6) - cost(-1e-6)) / 2e-6
    analytic = 2.0 * float(system.gradient @ border + (system.chains[0].gradient * chain).sum())
    # The turns' smoothness drops half the turn between frames from its Jacobian.
    assert analytic == pytest.approx(slope, rel=0.05)


SIZE, FRAMES, PIECES, CAMERAS, SHARED = 3, 60, 5, 10, 2


def elimination_problem(people: list[list[int]], loop: bool) -> tuple[Arrowhead, torch.Tensor, torch.Tensor]:
    """A system of chains whose frames touch the cameras near them, and the same as a dense matrix and gradient.

    ``loop``: the last camera sees what the first one saw.
    """
    torch.manual_seed(4)
    columns = CAMERAS + SHARED
    piece = torch.arange(FRAMES) * PIECES // FRAMES
    camera_frame = torch.arange(CAMERAS) * FRAMES // CAMERAS
    total = sum(len(index) for index in people) * SIZE + columns
    border = total - columns
    dense = torch.eye(total, dtype=torch.float64)
    gradient = torch.randn(total, dtype=torch.float64)
    starts = [sum(len(index) for index in people[:number]) * SIZE for number in range(len(people))]
    touched: list[list[tuple[torch.Tensor, torch.Tensor]]] = [[] for _ in people]

    def add(where: torch.Tensor) -> None:
        row = torch.randn(4, len(where), dtype=torch.float64)
        dense[where[:, None], where[None]] += row.T @ row

    for number, index in enumerate(people):
        for first in range(len(index)):
            rows = list(range(first, min(first + 3, len(index))))
            nearest = int((camera_frame - index[first]).abs().argmin())
            cameras = sorted({nearest, min(nearest + 1, CAMERAS - 1)})
            seen = torch.tensor([*cameras, *range(CAMERAS, columns)])
            bodies = torch.cat([starts[number] + t * SIZE + torch.arange(SIZE) for t in rows])
            add(torch.cat([bodies, border + seen]))
            touched[number].append((torch.tensor(rows), seen.expand(len(rows), -1)))
    for camera in range(CAMERAS - 1):
        add(border + torch.tensor([camera, camera + 1]))
    if loop:
        add(border + torch.tensor([0, CAMERAS - 1]))

    home = torch.cat([piece[camera_frame], torch.full((SHARED,), PIECES)])
    system = Arrowhead([], dense[border:, border:].clone(), gradient[border:].clone(), home)
    for number, index in enumerate(people):
        cut = cut_of(torch.tensor(index), piece, touched[number], columns)
        chain = Chain.zeros(len(index), SIZE, cut, dense)
        place = starts[number] + torch.arange(len(index) * SIZE).reshape(-1, SIZE)
        chain.gradient[:] = gradient[place]
        for t in range(len(index)):
            coupled = torch.nonzero((dense[place[t]][:, border:] != 0.0).any(0))[:, 0]
            slot = chain.slots(torch.tensor([t]), coupled[None])[0]
            assert (slot >= 0).all()
            chain.border[t, slot] = dense[place[t][:, None], border + coupled].T
            for offset in range(min(3, len(index) - t)):
                chain.band[t, offset] = dense[place[t][:, None], place[t + offset]]
        system.chains.append(chain)
    return system, dense, gradient


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize(
    "people",
    [
        [],
        [list(range(FRAMES))],
        [[0], list(range(7, 20)), [3, 4, 11, 12, 13, 40, 41, 58], list(range(1, FRAMES))],
    ],
)
def test_elimination_is_the_dense_solve(people: list[list[int]], loop: bool) -> None:
    system, dense, gradient = elimination_problem(people, loop)
    if people:
        assert max(len(chain.cut.start) for chain in system.chains) == PIECES
    columns, total, damping = CAMERAS + SHARED, len(gradient), 0.3
    damped = dense + damping * torch.diag(dense.diagonal()) + 1e-9 * torch.eye(total, dtype=torch.float64)
    every = torch.ones(columns, dtype=torch.bool)
    some = every.clone()
    some[[0, 4, CAMERAS]] = False
    for free in (every, some, ~every):
        kept = torch.cat([torch.ones(total - columns, dtype=torch.bool), free])
        expected = torch.zeros(total, dtype=torch.float64)
        expected[kept] = -torch.linalg.solve(damped[kept][:, kept], gradient[kept])
        step = solve(system, free, damping)
        found = torch.cat([*(chain.reshape(-1) for chain in step.chains), step.border])
        assert torch.allclose(found, expected, atol=1e-8)
        if bool(free[columns - SHARED :].any()):
            assert (step.last >= CAMERAS).all()
            covariance = torch.linalg.inv(damped[kept][:, kept])
            of_last = covariance[-len(step.last) :, -len(step.last) :]
            assert torch.allclose(torch.linalg.inv(step.schur), of_last[step.last.argsort()][:, step.last.argsort()])


def test_a_matrix_that_is_not_positive_definite_is_refused() -> None:
    system, _, _ = elimination_problem([list(range(FRAMES))], False)
    system.chains[0].band[30, 0] = -system.chains[0].band[30, 0]
    with pytest.raises(NotPositiveDefinite):
        solve(system, torch.ones(CAMERAS + SHARED, dtype=torch.bool), 0.1)


def test_points_settle_without_any_camera_moving(small: tuple[Problem, State]) -> None:
    problem, _ = small
    block = levenberg.Terms(SETTINGS, problem.image_long_side).correspondences
    torch.manual_seed(5)
    away = 0.02 * torch.randn_like(problem.initial.points)
    state = replace(problem.initial, points=problem.initial.points + away)
    after = block.settled(problem.observations, state)
    assert torch.equal(after.cameras.centre, state.cameras.centre)
    before_each, after_each = (block._costs(problem.observations, each) for each in (state, after))
    per_point = torch.zeros(len(state.points), dtype=torch.float64)
    gain = per_point.index_add(0, problem.observations.point, before_each - after_each)
    assert (gain >= 0.0).all()
    assert float(after_each.sum()) < 0.1 * float(before_each.sum())


def test_every_key_frame_keeps_sightings() -> None:
    """A long video has points that are seen long ago and for long; each key frame still gets its own."""
    scene = make_walk(seconds=2.0, people=1).scene
    few = chosen_points(scene, 5)
    kept = np.isin(scene.observation_point, few)
    assert (np.bincount(np.asarray(scene.observation_keyframe)[kept], minlength=len(scene.keyframe)) >= 5).all()
    assert len(few) < len(chosen_points(scene, 50))
    assert len(chosen_points(scene, 0)) == 0


def test_every_accepted_step_lowers_the_cost(small: tuple[Problem, State]) -> None:
    problem, state = small
    report = levenberg.Report()
    levenberg.minimize(problem, replace(SETTINGS, iterations=6), state, report)
    totals = [sum(cost.values()) for cost in report.costs]
    assert len(totals) >= 3
    assert all(after < before for before, after in pairwise(totals))
    assert totals[-1] < 0.1 * totals[0]


def test_bursts_of_the_pelvis_are_no_outliers_but_jumps_are() -> None:
    """Standing feet pull a pelvis forward by up to 16 m/s^2 on a frame; a track that jumps to another person more."""
    kernel, sigma = levenberg.Terms(SETTINGS, 512.0).root.kernel, SETTINGS.acceleration
    burst, jump = (torch.tensor((value / sigma) ** 2) for value in (16.0, 120.0))
    assert float(kernel.weight(burst)) > 0.6
    assert float(kernel.weight(jump)) < 0.1


# --- closed forms ----------------------------------------------------------------------------------------------------


def test_a_ray_votes_for_the_true_scale() -> None:
    rng = np.random.default_rng(0)
    count, unit = 40, 0.37
    rotation = so3.exp(torch.as_tensor(rng.normal(0.0, 0.2, (count, 3)))).numpy()
    centre = rng.normal(0.0, 1.0, (count, 3)) / unit
    sole = np.stack([rng.normal(0, 1, count), rng.uniform(0.5, 1.5, count), rng.uniform(3, 9, count)], 1)
    point = centre + np.einsum("nij,nj->ni", rotation, sole) / unit
    normal = rng.normal(size=(count, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    value, weight = scale.ray_votes(sole, rotation, centre, point, normal)
    assert (weight > 0).all()
    assert np.allclose(np.exp(value), unit)
    behind = point - 5.0 * (point - centre)
    _, weight = scale.ray_votes(sole, rotation, centre, behind, normal)
    assert (weight == 0).all()


def test_wrong_votes_do_not_move_the_scale() -> None:
    rng = np.random.default_rng(1)
    good = np.log(0.4) + rng.normal(0.0, 0.01, 100)
    votes = scale.Votes(np.append(good, np.full(30, 1.0)), np.ones(130), np.append(np.zeros(100), np.ones(30)))
    estimate = scale.combine_votes(votes)
    assert estimate is not None
    assert abs(estimate.log_scale - np.log(0.4)) < 0.01
    assert estimate.sigma > 0.1  # the two people disagree, and it says so
    assert scale.combine_votes(scale.Votes(np.zeros(3), np.zeros(3), np.zeros(3))) is None


def test_weighted_median_is_symmetric() -> None:
    value, weight = np.array([1.0, 2.0, 5.0, 9.0]), np.array([1.0, 3.0, 2.0, 1.0])
    assert scale.weighted_median(-value, weight) == pytest.approx(-scale.weighted_median(value, weight))


def test_standing_feet_and_smooth_motion_know_the_scale() -> None:
    rng = np.random.default_rng(2)
    time = np.arange(60) / 30.0
    unit = 0.4
    rotation = so3.exp(torch.as_tensor(rng.normal(0.0, 0.05, (60, 3)))).numpy()
    camera = np.stack([0.3 * np.sin(5 * time), 1.2 * time, 0.1 * np.cos(7 * time)], 1)
    stand = np.repeat([1, 2, 3], 20)
    feet = np.array([[0.0, 5.0, 0.0], [0.3, 5.6, 0.0], [0.0, 6.2, 0.0]])[stand - 1]
    local = np.einsum("tji,tj->ti", rotation, feet - camera)
    answer = scale.standing_scale(local, rotation, camera / unit, stand)
    assert answer is not None
    assert answer[0] == pytest.approx(np.log(unit), abs=1e-6)
    pelvis = np.stack([np.zeros(60), 5.0 + 1.0 * time, np.ones(60)], 1)
    local = np.einsum("tji,tj->ti", rotation, pelvis - camera)
    answer = scale.smooth_motion_scale(local, rotation, camera / unit, time, 1.0)
    assert answer is not None
    assert answer[0] == pytest.approx(np.log(unit), abs=1e-3)
    still = np.zeros((60, 3))
    assert scale.standing_scale(local, rotation, still, stand) is None
    assert scale.smooth_motion_scale(local, rotation, still, time, 1.0) is None


@pytest.mark.slow
def test_it_computes_on_another_device(small: tuple[Problem, State]) -> None:
    """The same steps to the same state, with every tensor that it makes on the device of those that it is given."""
    problem, state = small
    settings = replace(SETTINGS, iterations=2)
    expected = levenberg.minimize(problem, settings, state, levenberg.Report())
    here, there = torch.device("cpu"), torch.device(other_device.NAME)
    with other_device.OtherDevice():
        moved, start = on_device((problem, state), there)
        solved = levenberg.minimize(moved, settings, start, levenberg.Report())
        assert isinstance(solved.bodies[0].trans, other_device.Elsewhere)
        sigma = levenberg.scale_sigma(moved, settings, solved)
        found = on_device(solved, here)
    assert torch.allclose(found.bodies[0].trans, expected.bodies[0].trans, atol=1e-9)
    assert torch.allclose(found.cameras.centre, expected.cameras.centre, atol=1e-9)
    assert sigma == pytest.approx(levenberg.scale_sigma(problem, settings, expected), rel=1e-6)


def test_tensors_of_two_devices_do_not_meet() -> None:
    """The stand-in for a device does what one does: without that the test above could not fail."""
    with other_device.OtherDevice():
        there = torch.arange(3, device=other_device.NAME)
        assert torch.equal((there + 1).to("cpu"), torch.tensor([1, 2, 3]))
        with pytest.raises(RuntimeError):
            there + torch.arange(3)
        with pytest.raises((RuntimeError, TypeError)):
            there.numpy()


def test_each_key_frame_of_a_zoom_has_its_own_focal_length() -> None:
    """A lens that does not zoom, taken for one that goes to and fro: one factor could not take that back. (A zoom that
    only goes in is nearly the same picture as a camera that does.)"""
    walk = make_walk(seconds=3.0)
    intrinsics = np.array(walk.scene.intrinsics, np.float64)
    intrinsics[:, :2] *= 1.0 + 0.01 * np.sin(np.linspace(0.0, 4.0 * np.pi, len(intrinsics)))[:, None]
    scene = replace(walk.scene, intrinsics=intrinsics)
    assert build.lenses_of(scene) == len(scene.keyframe)
    after = np.asarray(bundle.adjusted(scene, 0.05).intrinsics)[scene.keyframe, 0] / FOCAL - 1.0
    assert np.ptp(after) < 0.2 * np.ptp(intrinsics[:, 0] / FOCAL)
    assert np.abs(after).max() < 0.005


@pytest.mark.parametrize("damaged", [False, True])
def test_a_scale_that_nothing_holds_has_a_sigma_of_one(small: tuple[Problem, State], damaged: bool) -> None:
    """Without people there is nothing to tell it; equations that have no factor say nothing either."""
    problem, state = small
    alone = replace(
        problem, people=(), layout=replace(problem.layout, betas=()), free=problem.free[: problem.layout.betas_start(0)]
    )
    if damaged:
        alone = replace(alone, observations=replace(alone.observations, pixel=alone.observations.pixel * torch.nan))
    assert levenberg.scale_sigma(alone, SETTINGS, replace(state, bodies=())) == 1.0
