"""The figures of merit on cases whose answer is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from josh_blender.engine.evaluation import metrics
from josh_blender.engine.evaluation.penetration import penetration, winding_number
from josh_blender.engine.similarity import align
from josh_blender.scene4d.rotations import matrix_from_axis_angle

RNG = np.random.default_rng(5)
TURN = matrix_from_axis_angle([0.3, -0.8, 1.1])


def walk(frames: int) -> np.ndarray:
    """Joints (T,24,3) of a rigid group that moves ahead and sways."""
    body = np.random.default_rng(1).normal(0.0, 0.4, (24, 3))
    path = np.stack([0.03 * np.arange(frames), 0.1 * np.sin(0.2 * np.arange(frames)), np.zeros(frames)], 1)
    return body[None] + path[:, None]


def test_align_finds_a_known_similarity_and_never_mirrors() -> None:
    points = RNG.normal(size=(50, 3))
    fit = align(points, 2.5 * points @ TURN.T + [1.0, 2.0, 3.0], with_scale=True)
    assert fit.scale == pytest.approx(2.5)
    assert np.allclose(fit.rotation, TURN)
    assert np.allclose(fit.translation, [1.0, 2.0, 3.0])
    mirrored = align(points, points * [-1.0, 1.0, 1.0], with_scale=True)
    assert np.linalg.det(mirrored.rotation) == pytest.approx(1.0)


def test_segments_join_a_short_tail() -> None:
    assert [(s.start, s.stop) for s in metrics.segments(209)] == [(0, 100), (100, 209)]
    assert [(s.start, s.stop) for s in metrics.segments(210)] == [(0, 100), (100, 200), (200, 210)]
    assert [(s.start, s.stop) for s in metrics.segments(7)] == [(0, 7)]


def test_world_errors_ignore_a_similarity_and_see_a_drift() -> None:
    truth = walk(60)
    moved = 1.3 * truth @ TURN.T + [5.0, 0.0, 1.0]
    assert metrics.wa_mpjpe(moved, truth).max() < 1e-6
    assert metrics.w_mpjpe(moved, truth).max() < 1e-6
    drift = truth + np.arange(60)[:, None, None] * np.array([0.0, 0.0, 0.01])
    # Aligned by the first two frames, the last frame is 590 mm off but for what two frames already show of the drift.
    assert metrics.w_mpjpe(drift, truth)[-1].mean() == pytest.approx(590.0, rel=0.05)
    assert metrics.wa_mpjpe(drift, truth).mean() < 0.5 * metrics.w_mpjpe(drift, truth).mean()


def test_pose_errors() -> None:
    truth = walk(5)
    scaled = truth[:, :1] + 1.1 * (truth - truth[:, :1])
    assert metrics.pa_mpjpe(scaled, truth).max() < 1e-6
    expected = 100.0 * np.linalg.norm(truth - truth[:, :1], axis=-1)
    assert np.allclose(metrics.mpjpe(scaled + 3.0, truth), expected)


def test_root_path_error_is_a_share_of_its_length() -> None:
    truth = np.stack([np.linspace(0.0, 10.0, 101), np.zeros(101), np.zeros(101)], 1)
    bent = truth + np.array([0.0, 0.5, 0.0]) * np.where(np.arange(101) % 2, 1.0, -1.0)[:, None]
    assert metrics.root_translation_error(truth @ TURN.T + 2.0, truth) < 1e-6
    assert metrics.root_translation_error(bent, truth) == pytest.approx(5.0, rel=0.01)
    assert np.isnan(metrics.root_translation_error(truth[:1].repeat(5, 0), truth[:1].repeat(5, 0)))


def test_jitter_of_a_cubic_and_of_a_parabola() -> None:
    time = np.arange(30) / 30.0
    cubic = np.zeros((30, 24, 3))
    cubic[..., 0] = (time**3)[:, None]
    # The third derivative of t^3 is 6 m/s^3.
    assert metrics.jitter(cubic, 30.0) == pytest.approx(0.6)
    cubic[..., 0] = (time**2)[:, None]
    assert metrics.jitter(cubic, 30.0) == pytest.approx(0.0, abs=1e-6)


def test_foot_sliding_counts_only_standing_feet_at_any_frame_rate() -> None:
    for fps in (25.0, 60.0):
        time = np.arange(20) / fps
        truth = np.zeros((20, 4, 3))
        truth[:, 2:, 0] = 2.0 * time[:, None]
        feet = truth.copy()
        feet[:, :2, 1] += 0.15 * time[:, None]
        feet[:, 2:, 1] += 3.0 * time[:, None]
        slide = metrics.foot_sliding(feet, truth, time)
        assert slide.size == 19 * 2
        assert slide.mean() == pytest.approx(150.0 / 30.0)


def test_trajectory_error_with_and_without_scale() -> None:
    angle = np.linspace(0.0, 4.0, 80)
    truth = np.stack([np.cos(angle), np.sin(angle), 0.1 * angle], 1)
    turns = np.broadcast_to(np.eye(3), (80, 3, 3))
    estimate = (0.8 * truth) @ TURN.T + 4.0
    error = metrics.trajectory_error(estimate, truth, TURN @ turns, turns)
    assert error.rmse_scaled < 1e-9
    assert error.scale == pytest.approx(1.25)
    assert error.rmse == pytest.approx(0.2 * error.spread, rel=1e-6)
    assert metrics.scale_error(error.scale) == pytest.approx(100.0 * np.log(1.25))


def test_trajectory_on_a_line_is_aligned_by_the_cameras() -> None:
    truth = np.stack([np.linspace(0.0, 3.0, 30), np.zeros(30), np.zeros(30)], 1)
    turns = matrix_from_axis_angle(RNG.normal(0.0, 0.1, (30, 3)))
    error = metrics.trajectory_error(truth @ TURN.T, truth, TURN @ turns, turns)
    assert error.rmse < 1e-9
    assert np.allclose(error.alignment.rotation, TURN.T)


def test_rotation_error_is_what_no_turn_of_the_world_takes_away() -> None:
    truth = matrix_from_axis_angle(RNG.normal(0.0, 0.5, (40, 3)))
    assert metrics.rotation_error(TURN @ truth, truth) < 1e-6
    wrong = matrix_from_axis_angle(np.radians(3.0) * np.tile([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]], (20, 1)))
    assert metrics.rotation_error(TURN @ wrong @ truth, truth) == pytest.approx(3.0, rel=1e-6)


def test_a_path_that_hardly_leaves_its_line_is_turned_about_it_by_the_cameras() -> None:
    time = np.linspace(0.0, 1.0, 200)
    truth = np.stack([5.0 * time, 0.03 * np.sin(9.0 * time), np.zeros(200)], 1)
    # Smooth errors of 5 mm, as a reconstruction has them: alone they would turn the path by ten degrees about its line.
    wrong = truth + 0.005 * np.stack([np.sin(5.0 * time), np.zeros(200), np.sin(9.0 * time)], 1)
    turns = matrix_from_axis_angle(RNG.normal(0.0, 0.1, (200, 3)))
    error = metrics.trajectory_error(wrong @ TURN.T, truth, TURN @ turns, turns)
    off = (np.trace(error.alignment.rotation @ TURN) - 1.0) / 2.0
    assert np.degrees(np.arccos(min(off, 1.0))) < 2.0
    assert error.rmse < 0.006


def test_cameras_that_look_elsewhere_hardly_move_a_path_that_spreads() -> None:
    angle = np.linspace(0.0, 4.0, 80)
    truth = np.stack([np.cos(angle), np.sin(angle), 0.1 * angle], 1)
    turns = np.broadcast_to(np.eye(3), (80, 3, 3))
    looking = matrix_from_axis_angle(np.array([0.0, 0.0, np.radians(2.0)]))
    error = metrics.trajectory_error(truth, truth, looking @ turns, turns)
    assert error.rmse < 0.0005


def test_chamfer_of_shifted_planes_and_unseen_parts() -> None:
    grid = np.stack(np.meshgrid(np.arange(20.0), np.arange(20.0)), -1).reshape(-1, 2)
    plane = np.concatenate([grid, np.zeros((400, 1))], 1) + 0.5
    raised = plane + np.array([0.0, 0.0, 0.25])
    accuracy, completeness = metrics.chamfer(raised, plane, np.ones(400, bool), 0.5)
    assert (accuracy, completeness) == (pytest.approx(0.25), pytest.approx(0.25))
    half = plane[:, 0] < 10.0
    assert metrics.chamfer(plane[half], plane, half, 0.5) == (0.0, 0.0)
    assert metrics.chamfer(plane[half], plane, np.ones(400, bool), 0.5)[1] > 1.0


def test_feet_float_above_the_scene() -> None:
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 41), np.linspace(-1, 1, 41)), -1).reshape(-1, 2)
    ground = np.concatenate([grid, np.zeros((len(grid), 1))], 1)
    feet = np.zeros((10, 4, 3))
    feet[:, 1:, 2] = 1.0
    feet[7:, 0, 2] = 0.3
    assert metrics.foot_floating(feet, ground) == pytest.approx(0.3)


def test_contact_figures() -> None:
    truth = np.array([1, 1, 1, 1, 0, 0], bool)
    estimate = np.array([1, 1, 0, 0, 1, 0], bool)
    figures = metrics.contact_figures(estimate, truth)
    assert figures.precision == pytest.approx(2 / 3)
    assert figures.recall == pytest.approx(1 / 2)
    assert figures.f1 == pytest.approx(4 / 7)
    assert np.isnan(metrics.contact_figures(~truth & False, truth).precision)


def test_depth_figures() -> None:
    truth = np.array([1.0, 2.0, 4.0, 8.0])
    figures = metrics.depth_figures(truth * np.array([1.1, 1.1, 1.1, 1.5]), truth)
    assert figures.abs_rel == pytest.approx(0.2)
    assert figures.delta == pytest.approx(0.75)
    assert figures.ratio == pytest.approx(1.0 / 1.1)
    assert figures.rmse == pytest.approx(np.sqrt((0.1**2 + 0.2**2 + 0.4**2 + 4.0**2) / 4.0))


def test_points_inside_a_closed_mesh() -> None:
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    faces = np.array(
        [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
         [1, 5, 7], [1, 7, 3]]
    )  # fmt: skip
    points = np.array([[0.5, 0.5, 0.5], [0.9, 0.1, 0.2], [1.5, 0.5, 0.5]])
    assert np.allclose(np.abs(winding_number(points, corners, faces)), [1.0, 1.0, 0.0], atol=1e-6)
    _, depth = penetration(points, corners, faces)
    assert len(depth) == 2
