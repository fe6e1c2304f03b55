"""The first-order baseline: its formulas against closed forms, and that it can descend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.baseline import adam, objective, problem, result
from bench.baseline.objective import BodyState, ReferenceState
from bench.controlled.inputs import make_inputs
from bench.controlled.truth import moved_body
from bench.controlled.views import look
from josh_blender.scene4d.camera import invert_rigid
from josh_blender.scene4d.rotations import matrix_from_axis_angle


@pytest.fixture(scope="module")
def case(model, short_walk, tmp_path_factory):
    truth, folder = short_walk.truth, tmp_path_factory.mktemp("depth")
    inputs = make_inputs(truth, short_walk.views, short_walk.sightings, model, 0.0, 0, folder)
    return truth, inputs, problem.make_problem(inputs, model, problem.REPAIRED)


def true_state(truth, inputs, posed, model):
    """The truth as a state of the reference's problem (no errors: one unit for all maps)."""
    keys = truth.keyframes
    camera = truth.world_from_camera[keys]
    unit = np.median([np.median(v[0] / v[1]) for v in _depths(truth, inputs, model)])
    body, person = truth.people[0], posed.people[0]
    poses, trans = moved_body(
        invert_rigid(truth.world_from_camera[keys]), body.poses[keys], body.trans[keys], model.joints(body.betas)[0]
    )
    rotation = matrix_from_axis_angle(poses.reshape(-1, 24, 3))
    assert len(person.keys) == len(keys)
    state = BodyState(*(torch.as_tensor(np.asarray(x, float)) for x in (rotation, trans, body.betas)))
    return ReferenceState(
        torch.as_tensor(camera[:, :3, :3]), torch.as_tensor(camera[:, :3, 3]),
        torch.full((len(keys),), float(np.log(unit)), dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64),
        (state,),
    )  # fmt: skip


def _depths(truth, inputs, model):
    for view, given in zip(look(truth, model), inputs.depths, strict=True):
        good = (given.depth > 0) & ~given.on_people
        yield view.place[good], given.depth[good]


def start_of(posed):
    return adam.state_of(posed, adam.start(posed), adam.tree_levels(posed))


@pytest.mark.parametrize(("power", "values"), [(1.1, (0.101, 1.08, 12.8)), (0.4, (None, 0.539, 1.99))])
def test_robust_function_has_the_published_values(power, values):
    for at, value in zip((0.1, 1.0, 10.0), values, strict=True):
        if value is not None:
            assert float(objective.robust(torch.tensor(at), power)) == pytest.approx(value, rel=0.01)
    assert float(objective.robust_slope(torch.tensor(0.0), power)) == pytest.approx(1.0)


def test_first_learning_steps_lower_the_cost_and_the_truth_has_a_lower_one(case, model):
    truth, inputs, posed = case
    begin = start_of(posed)
    before = float(objective.stage_2(posed, begin))
    true = true_state(truth, inputs, posed, model)
    assert float(objective.stage_2(posed, true)) < 0.2 * before
    assert float(objective.correspondence_2d(posed, true)) < 0.02
    assert float(objective.correspondence_3d(posed, true)) < 0.01
    # One small step against the gradient from the start.
    parameters = adam.start(posed)
    moved = [parameters.turn, parameters.shift, parameters.log_size]
    for value in moved:
        value.requires_grad_(True)
    levels = adam.tree_levels(posed)
    objective.stage_1(posed, adam.state_of(posed, parameters, levels)).backward()
    with torch.no_grad():
        first = float(objective.stage_1(posed, begin))
        for value in moved:
            value -= 1e-3 * value.grad
        assert float(objective.stage_1(posed, adam.state_of(posed, parameters, levels))) < first


def test_a_short_run_descends_and_keeps_rotations_where_repaired(case):
    _, _, posed = case
    before = float(objective.stage_2(posed, start_of(posed)))
    run = adam.solve(posed, problem.REPAIRED, (30, 20), trace_every=10)
    assert float(objective.stage_2(posed, run.state)) < 0.9 * before
    assert len(run.trace.cost) == 2
    rotation = run.state.bodies[0].rotation
    torch.testing.assert_close(
        rotation @ rotation.transpose(-1, -2), torch.eye(3, dtype=torch.float64).expand_as(rotation), atol=1e-3, rtol=0
    )
    free = adam.solve(posed, problem.AS_RELEASED, (5, 0)).state.bodies[0].rotation[:, 1:]
    off = (free @ free.transpose(-1, -2) - torch.eye(3, dtype=torch.float64)).abs().max()
    assert float(off) > 0.01


def test_the_shared_focal_jumps_with_its_repeated_steps(case):
    _, _, posed = case
    once = adam.solve(posed, problem.REPAIRED, (0, 1)).state.log_focal
    often = adam.solve(posed, replace(problem.REPAIRED, repeated_focal=True), (0, 1)).state.log_focal
    # Adam's first step is one learning rate long, whatever the gradient.
    assert abs(float(once)) == pytest.approx(0.014, rel=0.01)
    assert abs(float(often)) == pytest.approx(0.014 * posed.keyframes, rel=0.05)


def test_a_longer_focal_moves_the_depth_map_and_does_not_stretch_it(case):
    _, _, posed = case
    state = start_of(posed)
    zoomed = replace(state, log_focal=torch.tensor(np.log(1.1), dtype=torch.float64))
    key, anchor, ratio = torch.zeros(2, dtype=torch.long), torch.tensor([0.8, 1.5]).double(), torch.ones(2).double()
    moved = objective.depth_of(posed, zoomed, key, anchor, ratio) - objective.depth_of(posed, state, key, anchor, ratio)
    torch.testing.assert_close(moved, 0.1 * posed.median[:1].expand(2))


def test_prior_is_the_distance_of_quaternions_and_matrices(case):
    posed = case[2]
    body = objective.initial_bodies(posed)[0]
    turn = torch.as_tensor(matrix_from_axis_angle([0.3, 0.0, 0.0]))
    root, joints, _, _ = (objective.prior_squares(posed.people[0], b) for b in (body,) * 4)
    assert all(float(part.max()) < 1e-9 for part in root)
    del joints
    rotated = replace(body, rotation=body.rotation @ turn)
    root_square, _, joint_square, _ = objective.prior_squares(posed.people[0], rotated)
    torch.testing.assert_close(root_square, torch.full_like(root_square, 2.0 - 2.0 * np.cos(0.15)))
    torch.testing.assert_close(joint_square, torch.full_like(joint_square, 23 * 8.0 * np.sin(0.15) ** 2))


def test_every_pair_is_listed_both_ways_within_the_window(case):
    pairs = case[2].pairs
    gap = pairs.first - pairs.second
    assert int(gap.abs().max()) <= problem.WINDOW and int(gap.abs().min()) >= 1
    assert int((gap > 0).sum()) == int((gap < 0).sum())


def test_export_keeps_key_frames_and_fills_all_frames(case, model):
    truth, inputs, posed = case
    state = true_state(truth, inputs, posed, model)
    joint = result.joint_result(posed, state, inputs, model)
    np.testing.assert_allclose(
        joint.world_from_camera[truth.keyframes], truth.world_from_camera[truth.keyframes], atol=1e-9
    )
    assert len(joint.people[0].trans) == len(truth.time)
    np.testing.assert_allclose(
        joint.people[0].trans[truth.keyframes], truth.people[0].trans[truth.keyframes], atol=1e-6
    )
    # And back: a joint result asked as a state of the reference's problem.
    again = result.state_of_joint(posed, replace(joint, scale=float(state.log_size.exp()[0])), inputs, model)
    torch.testing.assert_close(again.bodies[0].rotation, state.bodies[0].rotation, atol=1e-6, rtol=0)
