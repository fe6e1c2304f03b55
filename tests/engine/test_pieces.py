"""Pieces of a reconstruction are put together, on COLMAP's own synthetic data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import pytest

from josh_blender.engine.sfm.pieces import join_pieces

COUNT = 12


@pytest.fixture
def whole(tmp_path: Path) -> tuple[pycolmap.Reconstruction, Path]:
    """A reconstruction that is right, and the database of its matches."""
    path = tmp_path / "database.db"
    options = pycolmap.SyntheticDatasetOptions(
        num_rigs=1, num_frames_per_rig=COUNT, num_points3D=200, num_points2D_without_point3D=0
    )
    pycolmap.set_random_seed(4)
    database = pycolmap.Database.open(path)
    model = pycolmap.synthesize_dataset(options, database)
    database.close()
    return model, path


def centres(model: pycolmap.Reconstruction) -> np.ndarray:
    images = sorted(model.images.values(), key=lambda image: image.image_id)
    return np.stack([image.projection_center() for image in images])


def take_apart(model: pycolmap.Reconstruction, far: set[int]) -> None:
    """Move the pictures ``far`` away together; every point becomes two, one of the pictures of either side."""
    away = pycolmap.Sim3d(1.7, pycolmap.Rotation3d(np.array([0.1, 0.5, -0.2])), np.array([8.0, -3.0, 2.0]))
    for image_id in far:
        image = model.images[image_id]
        model.frames[image.frame_id].set_cam_from_world(
            image.camera_id, away.transform_camera_world(image.cam_from_world())
        )
    for point in list(model.points3D.values()):
        place = np.array(point.xyz)
        moved = [(seen.image_id, seen.point2D_idx) for seen in point.track.elements if seen.image_id in far]
        for image_id, row in moved:
            model.delete_observation(image_id, row)
        if len(moved) > 1:
            model.add_point3D(away * place, pycolmap.Track([pycolmap.TrackElement(*one) for one in moved]))


def path_error(found: np.ndarray, truth: np.ndarray) -> float:
    """Largest distance after the best similarity, as a share of the truth's extent."""
    fit = pycolmap.estimate_sim3d(found, truth)
    return float(np.linalg.norm(fit * found - truth, axis=1).max() / np.ptp(truth))


def test_a_half_that_stands_elsewhere_comes_back(whole: tuple[pycolmap.Reconstruction, Path]) -> None:
    model, database = whole
    truth = centres(model)
    take_apart(model, set(sorted(model.images)[COUNT // 2 :]))
    assert path_error(centres(model), truth) > 0.2
    join_pieces(model, database, fixed_lens=True)
    assert model.num_reg_images() == COUNT
    assert path_error(centres(model), truth) < 1e-3
    assert max(point.track.length() for point in model.points3D.values()) == COUNT


def test_one_piece_stays_as_it_is(whole: tuple[pycolmap.Reconstruction, Path]) -> None:
    model, database = whole
    before = centres(model)
    join_pieces(model, database, fixed_lens=True)
    np.testing.assert_array_equal(centres(model), before)


def test_a_piece_that_nothing_holds_is_taken_out(whole: tuple[pycolmap.Reconstruction, Path]) -> None:
    model, database = whole
    far = set(sorted(model.images)[-2:])
    take_apart(model, far)
    # Its points lie anywhere: no similarity brings them to those that they match.
    generator = np.random.default_rng(0)
    for point in model.points3D.values():
        if all(element.image_id in far for element in point.track.elements):
            point.xyz = generator.uniform(-50.0, 50.0, 3)
    join_pieces(model, database, fixed_lens=True)
    assert {image_id for image_id, image in model.images.items() if not image.has_pose} == far
