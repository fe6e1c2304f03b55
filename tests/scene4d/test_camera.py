"""The camera against OpenCV (whose pixels differ by a half) and against its own inverse."""

import numpy as np
import pytest

from josh_blender.scene4d import camera

DISTORTION = np.array([-0.113, 0.021, 0.0007, -0.0004, 0.003])
LANDSCAPE = np.array([1050.0, 1047.0, 965.3, 537.1])
PORTRAIT = np.array([1050.0, 1047.0, 537.1, 965.3])


def _points() -> np.ndarray:
    generator = np.random.default_rng(2)
    return np.stack(
        [generator.uniform(-3, 3, 500), generator.uniform(-2, 2, 500), generator.uniform(4, 20, 500)], axis=-1
    )


@pytest.mark.parametrize("intrinsics", [LANDSCAPE, PORTRAIT])
@pytest.mark.parametrize("distortion", [np.zeros(5), DISTORTION])
def test_projection_is_that_of_opencv_half_a_pixel_apart(intrinsics: np.ndarray, distortion: np.ndarray) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is part of the engine's environment only")
    points = _points()
    expected = cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera.opencv_matrix(intrinsics), distortion)[0]
    np.testing.assert_allclose(camera.project(points, intrinsics, distortion), expected[:, 0] + 0.5, atol=1e-6)


@pytest.mark.parametrize("distortion", [np.zeros(5), DISTORTION])
def test_unproject_inverts_project(distortion: np.ndarray) -> None:
    points = _points()
    rays = camera.unproject(camera.project(points, LANDSCAPE, distortion), LANDSCAPE, distortion)
    np.testing.assert_allclose(rays, points / points[:, 2:], atol=1e-9)


def test_scaled_intrinsics_give_scaled_pixels() -> None:
    points = _points()
    small = camera.project(points, camera.scale_intrinsics(LANDSCAPE, 0.25), DISTORTION)
    np.testing.assert_allclose(small, 0.25 * camera.project(points, LANDSCAPE, DISTORTION), atol=1e-9)


def test_rigid_transforms_invert_and_move_points() -> None:
    from josh_blender.scene4d.rotations import matrix_from_axis_angle

    generator = np.random.default_rng(3)
    world_from_camera = camera.rigid(
        matrix_from_axis_angle(generator.normal(size=(7, 3))), generator.normal(size=(7, 3))
    )
    product = camera.invert_rigid(world_from_camera) @ world_from_camera
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(4), (7, 4, 4)), atol=1e-12)
    moved = camera.transform(world_from_camera, np.zeros((7, 1, 3)))
    np.testing.assert_allclose(moved[:, 0], world_from_camera[:, :3, 3])
