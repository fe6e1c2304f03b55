"""The landmark fit gives back the bodies that made the landmarks."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from fit_helpers import seen_walk, true_joints
from numpy.testing import assert_allclose
from synthetic_walk import Walk

from josh_blender.engine.fit import initial, priors, windows
from josh_blender.engine.fit import landmarks as lm
from josh_blender.engine.fit.problem import FitState, Problem, joint_blocks, moved
from josh_blender.engine.fit.settings import FitSettings
from josh_blender.engine.fit.track import Fitter
from josh_blender.engine.results import PersonFit
from josh_blender.engine.solver import so3
from josh_blender.engine.solver.arrowhead import BAND, Chain, Cut
from josh_blender.engine.solver.body_points import pose
from josh_blender.engine.solver.self_collision import body_volume, overlap_of
from josh_blender.scene4d.body import BodyModel, load_default_body
from josh_blender.scene4d.conventions import JOINT_NAMES
from josh_blender.scene4d.rotations import axis_angle_from_matrix, matrix_from_axis_angle

MODEL: BodyModel = load_default_body()
HEIGHT = float(MODEL.height(np.zeros(10)))


def fit(walk: Walk, height: float = HEIGHT, person: int = 0) -> PersonFit:
    return Fitter(MODEL, FitSettings()).fit(walk.people.tracks[person], walk.scene, walk.frames.time, height)


def joint_errors(walk: Walk, result: PersonFit) -> np.ndarray:
    """(T,24) metres in the camera."""
    _, joints = MODEL.skin(result.betas, result.poses, result.trans)
    return np.linalg.norm(joints - true_joints(MODEL, walk), axis=-1)


def root(result: PersonFit) -> np.ndarray:
    return matrix_from_axis_angle(result.poses[:, :3])


def test_exact_landmarks_give_the_body_back() -> None:
    walk = seen_walk(seconds=0.7)
    result = fit(walk)
    # The made-up walk jolts at every step, which the smoothness of real movement rounds off.
    assert joint_errors(walk, result).mean() < 0.035
    assert np.abs(result.trans[:, 2] - (true_joints(MODEL, walk) - MODEL.joints(walk.betas))[:, 0, 2]).max() < 0.08
    assert np.median(result.landmark_error) < 0.5
    assert result.reliable
    assert result.confidence.min() > 0.9


def test_noise_is_averaged_over_time() -> None:
    walk = seen_walk(seconds=1.0, landmark_px=1.5, world_m=0.02)
    result = fit(walk)
    assert joint_errors(walk, result).mean() < 0.04
    assert (
        np.degrees(
            np.linalg.norm(axis_angle_from_matrix(root(result)[1:] @ root(result)[:-1].transpose(0, 2, 1)), axis=-1)
        ).max()
        < 5.0
    )


@pytest.mark.parametrize("height", [1.50, 1.71, 1.93])
def test_the_given_height_is_kept_exactly(height: float) -> None:
    walk = seen_walk(seconds=0.2, landmark_px=1.0)
    result = fit(walk, height)
    assert abs(float(MODEL.height(result.betas)) - height) < 1e-6
    # A taller person on the same picture stands further away.
    assert_allclose(result.trans[:, 2] / fit(walk).trans[:, 2], height / HEIGHT, rtol=0.02)


def test_swapped_sides_on_some_frames_do_not_turn_the_person_around() -> None:
    walk = seen_walk(seconds=1.0)
    track = walk.people.tracks[0]
    truth = fit(walk)
    pairs = [(k, k + 1) for k in (lm.LEFT_EAR, *range(lm.LEFT_SHOULDER, lm.LANDMARK_COUNT, 2))]
    swap = np.arange(lm.LANDMARK_COUNT)
    for left, right in pairs:
        swap[left], swap[right] = right, left
    wrong = slice(12, 16)
    track.landmarks[wrong] = track.landmarks[wrong][:, swap]
    track.world_landmarks[wrong] = track.world_landmarks[wrong][:, swap]
    facing = (root(fit(walk))[:, :, 2] * root(truth)[:, :, 2]).sum(-1)
    assert facing.min() > 0.7


def test_gaps_are_bridged_without_confidence() -> None:
    walk = seen_walk(seconds=1.0)
    track = walk.people.tracks[0]
    gap = slice(10, 16)
    track.detected[gap] = False
    track.landmarks[gap] = 0.0
    track.world_landmarks[gap] = 0.0
    result = fit(walk)
    errors = joint_errors(walk, result)
    assert (result.confidence[gap] == 0.0).all()
    assert errors[gap].mean() < 0.12
    assert errors[20:].mean() < 0.035


def test_hidden_landmarks_are_not_believed_on_the_image() -> None:
    walk = seen_walk(seconds=0.5)
    track = walk.people.tracks[0]
    hidden = [lm.LEFT_WRIST, lm.LEFT_INDEX, lm.LEFT_PINKY]
    track.landmarks[:, hidden] += 60.0
    track.visibility[:, hidden] = 0.05
    assert joint_errors(walk, fit(walk)).mean() < 0.035


def test_one_frame_is_enough_to_run_but_not_to_trust() -> None:
    walk = seen_walk(seconds=1.0)
    track = walk.people.tracks[0]
    for name in ("index", "box", "landmarks", "visibility", "world_landmarks", "detected", "overlap"):
        setattr(track, name, getattr(track, name)[:1])
    result = fit(walk)
    assert result.poses.shape == (1, 72)
    assert joint_errors(walk, result)[0].mean() < 0.06
    assert not result.reliable


def test_a_long_track_is_fitted_in_windows_without_seams() -> None:
    walk = seen_walk(seconds=4.0, landmark_px=1.5, world_m=0.02)
    track, fitter = walk.people.tracks[0], Fitter(MODEL, FitSettings())
    seen = fitter._observe(track, walk.scene, walk.frames.time, HEIGHT)
    start = fitter._start(track, seen)
    seen = replace(seen, sigma=torch.full_like(seen.sigma, 0.005))
    problem = Problem(fitter.points, fitter.height, seen, FitSettings(), body_volume(MODEL, start.betas.numpy()))
    whole, cut = (windows.solve(problem, start, 20, longest) for longest in (1000, 60))
    points = [pose(fitter.points, one.rotation, one.trans, one.betas).points for one in (whole, cut)]
    assert float((points[0] - points[1]).norm(dim=-1).mean()) < 0.01
    # No frame moves unlike its neighbours more than it does in the fit of the whole.
    whole_jolt, cut_jolt = (one.diff(n=2, dim=0).norm(dim=-1).mean(dim=1) for one in points)
    assert float(cut_jolt.max()) < 1.2 * float(whole_jolt.max())
    assert float((whole.betas - cut.betas).abs().max()) < 0.5
    assert float(fitter.height(cut.betas)[0]) == pytest.approx(HEIGHT)


def test_windows_cover_a_track_and_overlap() -> None:
    for count, longest, shared in ((401, 400, 40), (1000, 400, 40), (90, 30, 3), (58, 30, 2)):
        found = list(windows.windows(count, longest, shared))
        assert found[0][0] == 0 and found[-1][1] == count
        assert all(end - first <= longest + 1 for first, end in found)
        assert all(end - first == shared for (_, end), (first, _) in itertools.pairwise(found))


def test_the_equations_hold_the_slope_of_the_cost() -> None:
    """Gradient of the normal equations against differences of the robust cost, over every kind of unknown."""
    walk = seen_walk(seconds=0.2, landmark_px=2.0, world_m=0.03)
    fitter = Fitter(MODEL, FitSettings())
    seen = fitter._observe(walk.people.tracks[0], walk.scene, walk.frames.time, HEIGHT)
    state = fitter._start(walk.people.tracks[0], seen)
    # Almost no smoothness: its Jacobian neglects how the axes of neighbouring frames differ.
    volume = body_volume(MODEL, state.betas.numpy())
    problem = Problem(fitter.points, fitter.height, seen, FitSettings(turns=1e9, image=0.01), volume)
    # Arms a little inside the flanks, so that the overlap has a slope as well.
    arms = torch.zeros(len(state.trans), 75, dtype=torch.float64)
    for joint, degrees in (("left_shoulder", -30.0), ("right_shoulder", 30.0)):
        arms[:, 3 + 3 * JOINT_NAMES.index(joint) + 2] = np.radians(degrees)
    state = moved(state, arms, torch.zeros(len(state.betas) + 1, dtype=torch.float64))
    assert float(overlap_of(volume, state.rotation, state.trans, state.betas).max()) > 0.0
    system, _ = problem.build(state)
    rng = np.random.default_rng(2)
    for _ in range(4):
        chain = torch.as_tensor(rng.normal(0.0, 1.0, tuple(system.chains[0].gradient.shape)))
        border = torch.as_tensor(rng.normal(0.0, 1.0, tuple(system.gradient.shape)))
        step = 1e-6
        ahead = problem.cost(moved(state, step * chain, step * border))
        behind = problem.cost(moved(state, -step * chain, -step * border))
        slope = 2.0 * ((system.chains[0].gradient * chain).sum() + (system.gradient * border).sum())
        assert_allclose(float((ahead - behind) / (2.0 * step)), float(slope), rtol=1e-4)


def test_derivative_of_the_logarithm() -> None:
    rng = np.random.default_rng(0)
    vector = torch.as_tensor(rng.normal(0.0, 0.9, (20, 3)))
    delta = torch.as_tensor(rng.normal(0.0, 1e-6, (20, 3)))
    moved_log = so3.log(so3.exp(vector) @ so3.exp(delta))
    expected = vector + (so3.right_jacobian_inverse(vector) @ delta[..., None])[..., 0]
    assert_allclose(moved_log.numpy(), expected.numpy(), atol=1e-10)


def test_hinges_bend_the_way_of_the_body() -> None:
    """A knee bent by its prior's mean moves the foot backwards, an elbow the hand forwards, on both sides."""
    rest = MODEL.joints(np.zeros(10))
    for side in ("left", "right"):
        for joint, end, forward in ((f"{side}_knee", f"{side}_ankle", -1.0), (f"{side}_elbow", f"{side}_wrist", 1.0)):
            poses = np.zeros((24, 3))
            poses[JOINT_NAMES.index(joint)] = priors.USUAL_ANGLE[JOINT_NAMES.index(joint)]
            _, joints = MODEL.skin(np.zeros(10), poses.reshape(72), np.zeros(3))
            shift = joints[JOINT_NAMES.index(end)] - rest[JOINT_NAMES.index(end)]
            assert forward * shift[2] > 0.05
            assert (poses >= priors.LEAST_ANGLE).all()
            assert (poses <= priors.GREATEST_ANGLE).all()


def test_usual_legs_hang_down_from_the_hips() -> None:
    """However far apart the legs of a body are at rest, its usual sideways angle puts ankles below hips."""
    rest = MODEL.joints(np.zeros(10))
    for apart in (0.0, 0.1):
        joints = rest.copy()
        poses = np.zeros((24, 3))
        for side, sign in (("left", 1.0), ("right", -1.0)):
            hip, ankle = JOINT_NAMES.index(f"{side}_hip"), JOINT_NAMES.index(f"{side}_ankle")
            joints[ankle, 0] += sign * apart
            poses[hip, 2] = priors.usual_angles(joints)[hip, 2]
            leg = joints[ankle] - joints[hip]
            turn = matrix_from_axis_angle(poses[hip])
            assert_allclose((turn @ leg)[0], 0.0, atol=1e-9)


def test_swing_turns_directions_into_each_other() -> None:
    rng = np.random.default_rng(1)
    start, end = rng.normal(size=(2, 50, 3))
    start[0], end[0] = [0.0, 1.0, 0.0], [0.0, -2.0, 0.0]
    turn = initial.swing(start, end)
    assert_allclose((turn @ initial._unit(start)[..., None])[..., 0], initial._unit(end), atol=1e-9)
    assert_allclose(turn @ turn.transpose(0, 2, 1), np.broadcast_to(np.eye(3), turn.shape), atol=1e-9)
    assert_allclose(np.linalg.det(turn), 1.0, atol=1e-9)


def test_landmarks_lie_on_their_side_of_the_body() -> None:
    seen = lm.landmark_map(MODEL)
    points = seen.vertex_weights @ MODEL.v_template + seen.joint_weights @ MODEL.joints(np.zeros(10))
    row = {int(number): points[place] for place, number in enumerate(seen.index)}
    assert_allclose(seen.vertex_weights.sum(1) + seen.joint_weights.sum(1), 1.0)
    for left in (lm.LEFT_EAR, lm.LEFT_SHOULDER, lm.LEFT_WRIST, lm.LEFT_HIP, lm.LEFT_HEEL, lm.LEFT_TOE, lm.LEFT_INDEX):
        assert row[left][0] > 0.03
        assert_allclose(row[left] * [-1.0, 1.0, 1.0], row[left + 1], atol=0.006)
    assert row[lm.NOSE][2] > row[lm.LEFT_EAR][2] + 0.05
    assert row[lm.LEFT_TOE][2] > row[lm.LEFT_HEEL][2] + 0.15
    assert row[lm.LEFT_INDEX][2] > row[lm.LEFT_PINKY][2] + 0.015


def test_both_sides_have_the_same_spread_and_only_limbs_more_along_the_view() -> None:
    seen = lm.landmark_map(MODEL)
    row = {int(number): place for place, number in enumerate(seen.index)}
    for table in (seen.spread, seen.depth_spread, seen.depth_share):
        for left in (lm.LEFT_SHOULDER, lm.LEFT_WRIST, lm.LEFT_PINKY, lm.LEFT_KNEE, lm.LEFT_TOE):
            assert table[row[left]] == table[row[left + 1]]
    for torso in (lm.NOSE, lm.LEFT_SHOULDER, lm.RIGHT_HIP):
        assert seen.depth_spread[row[torso]] == seen.depth_share[row[torso]] == 1.0
    assert seen.depth_spread[row[lm.RIGHT_ANKLE]] > 1.0 > seen.depth_share[row[lm.RIGHT_WRIST]]


def test_the_view_of_the_joints_own_blocks_writes_where_they_lie() -> None:
    block = torch.zeros(2, 75, 75)
    joint_blocks(block)[1, 5] = torch.arange(9.0).view(3, 3)
    assert_allclose(block[1, 18:21, 18:21].numpy(), np.arange(9.0).reshape(3, 3))
    assert int(block.count_nonzero()) == 8


def still(frames: int) -> tuple[FitState, Problem]:
    """A body that holds one odd pose for some frames, and its problem."""
    walk = seen_walk(seconds=frames / 30.0)
    fitter = Fitter(MODEL, FitSettings())
    seen = fitter._observe(walk.people.tracks[0], walk.scene, walk.frames.time, HEIGHT)
    start = fitter._start(walk.people.tracks[0], seen)
    # The root's turn is smooth in the world: the same pose in every frame needs the camera to be still as well.
    seen = replace(seen, world_from_camera=seen.world_from_camera[:1].expand_as(seen.world_from_camera))
    angles = torch.as_tensor(np.random.default_rng(3).normal(0.0, 0.6, (24, 3)))
    state = replace(
        start,
        rotation=so3.exp(angles).expand(len(start.trans), -1, -1, -1),
        trans=start.trans[:1].expand_as(start.trans),
    )
    volume = body_volume(MODEL, state.betas.numpy())
    return state, Problem(fitter.points, fitter.height, seen, FitSettings(), volume)


def test_the_smoothness_has_the_slope_of_its_cost_where_little_turns() -> None:
    state, problem = still(8)
    frames, rng = len(state.trans), np.random.default_rng(4)
    border = torch.zeros(len(state.betas) + 1, dtype=torch.float64)
    state = moved(state, torch.as_tensor(rng.normal(0.0, 3e-3, (frames, 75))), border)
    chain = Chain.zeros(frames, 75, Cut.whole(len(border)), state.trans)
    problem._add_smoothness(state, chain)
    for _ in range(4):
        way = torch.as_tensor(rng.normal(0.0, 1.0, (frames, 75)))
        ahead, behind = (problem._add_smoothness(moved(state, sign * 1e-6 * way, border), None) for sign in (1.0, -1.0))
        assert_allclose(float((ahead - behind) / 2e-6), 2.0 * float((chain.gradient * way).sum()), rtol=0.03)
        curvature = sum(
            (2.0 if later else 1.0)
            * torch.einsum("ti,tij,tj->", way[: frames - later], chain.band[: frames - later, later], way[later:])
            for later in range(BAND)
        )
        large = problem._add_smoothness(moved(state, way * 1e-2, border), None)
        small = problem._add_smoothness(moved(state, way * -1e-2, border), None)
        middle = problem._add_smoothness(state, None)
        assert_allclose(float(large + small - 2.0 * middle), 2e-4 * float(curvature), rtol=0.03)


def test_swinging_about_the_usual_axis_costs_least() -> None:
    state, problem = still(8)
    costs = []
    for axis in range(3):
        swing = torch.zeros(len(state.trans), 24, 3, dtype=torch.float64)
        swing[:, JOINT_NAMES.index("left_shoulder"), axis] = 0.3 * torch.sin(torch.arange(len(state.trans)) * 0.4)
        costs.append(float(problem._add_smoothness(replace(state, rotation=so3.exp(swing) @ state.rotation), None)))
    assert costs[0] < costs[1] < costs[2]


def test_world_landmarks_that_show_a_share_of_the_depth_fit_exactly() -> None:
    state, problem = still(3)
    points = pose(problem.body, state.rotation, state.trans, state.betas).points
    share = torch.stack([torch.ones_like(problem.seen.spread)] * 2 + [problem.seen.depth_share], -1)
    # Centred first: the shares are of depths relative to the body, whatever the origin of the landmarks.
    weight = problem.seen.world_weight / problem.seen.world_weight.sum(1, keepdim=True)
    centred = points - (weight[..., None] * points).sum(1, keepdim=True)
    shown = 0.9 * share * centred
    middle = (weight[..., None] * shown).sum(1, keepdim=True)
    problem = replace(problem, seen=replace(problem.seen, world=shown - middle))
    exact = replace(state, scale=torch.tensor(1.0 / 0.9, dtype=torch.float64))
    (_, rows), (_, naive) = (
        tuple(one._data_rows(exact, jacobians=False)[k][1] for k in (0, 1))
        for one in (problem, replace(problem, seen=replace(problem.seen, depth_share=torch.ones_like(share[:, 0]))))
    )
    assert float(rows) < 1e-9 * float(naive)
