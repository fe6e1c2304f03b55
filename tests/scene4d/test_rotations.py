"""Rotations against closed forms and against each other."""

import numpy as np
import pytest

from josh_blender.scene4d import rotations


def test_quarter_turn_about_z() -> None:
    matrix = rotations.matrix_from_axis_angle([0.0, 0.0, np.pi / 2])
    np.testing.assert_allclose(matrix @ [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], atol=1e-15)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-5, 1e-4, 1e-3, 0.5, np.pi - 1e-6, np.pi])
def test_axis_angle_round_trip(angle: float) -> None:
    axes = np.random.default_rng(0).normal(size=(50, 3))
    vectors = axes / np.linalg.norm(axes, axis=1, keepdims=True) * angle
    matrix = rotations.matrix_from_axis_angle(vectors)
    back = rotations.axis_angle_from_matrix(matrix)
    np.testing.assert_allclose(rotations.matrix_from_axis_angle(back), matrix, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(back, axis=1), angle, atol=1e-7)


def test_quaternion_round_trip_and_sign() -> None:
    quaternions = np.random.default_rng(1).normal(size=(100, 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    back = rotations.quaternion_from_matrix(rotations.matrix_from_quaternion(quaternions))
    assert (back[:, 0] >= 0).all()
    np.testing.assert_allclose(np.abs(np.sum(back * quaternions, axis=1)), 1.0, atol=1e-12)


def test_continuous_quaternions_never_jump() -> None:
    angles = np.linspace(0.0, 4 * np.pi, 200)
    matrices = rotations.matrix_from_axis_angle(np.outer(angles, [0.0, 1.0, 0.0]))
    smooth = rotations.continuous_quaternions(rotations.quaternion_from_matrix(matrices))
    assert np.abs(np.diff(smooth, axis=0)).max() < 0.05
    np.testing.assert_allclose(rotations.matrix_from_quaternion(smooth), matrices, atol=1e-12)


def test_slerp_halves_the_angle() -> None:
    first = rotations.matrix_from_axis_angle([0.1, 0.2, 0.3])
    second = first @ rotations.matrix_from_axis_angle([0.0, 1.0, 0.0])
    middle = rotations.slerp_matrices(first, second, 0.5)
    np.testing.assert_allclose(middle, first @ rotations.matrix_from_axis_angle([0.0, 0.5, 0.0]), atol=1e-12)


def test_nearest_rotation_ignores_scale_and_keeps_handedness() -> None:
    rotation = rotations.matrix_from_axis_angle([0.3, -0.2, 0.9])
    np.testing.assert_allclose(rotations.nearest_rotation(3.0 * rotation), rotation, atol=1e-12)
    assert np.linalg.det(rotations.nearest_rotation(np.diag([1.0, 1.0, -1.0]))) == pytest.approx(1.0)
