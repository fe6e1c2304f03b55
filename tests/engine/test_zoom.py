"""Lenses that zoom: told from those that do not, freed of wrong values, known on every frame."""

from __future__ import annotations

import numpy as np
import pycolmap
import pytest

from josh_blender.engine.sfm.zoom import ZOOM_RATIO, focal_ratio, interpolate_intrinsics, wrong_focals


def synthetic(zoom: float) -> pycolmap.Reconstruction:
    """A reconstruction with one lens of pictures whose true focal length grows ``zoom`` times."""
    pycolmap.set_random_seed(2)
    options = pycolmap.SyntheticDatasetOptions(
        num_rigs=1, num_frames_per_rig=10, num_points3D=200, num_points2D_without_point3D=0,
        camera_model_id=pycolmap.CameraModelId.SIMPLE_RADIAL, camera_params=[1000.0, 512.0, 384.0, 0.0],
    )  # fmt: skip
    model = pycolmap.synthesize_dataset(options)
    generator = np.random.default_rng(0)
    images = sorted(model.images.values(), key=lambda image: image.name)
    for image, factor in zip(images, np.geomspace(1.0, zoom, len(images)), strict=True):
        for seen in image.points2D:
            seen.xy = [512.0, 384.0] + factor * (seen.xy - [512.0, 384.0]) + generator.normal(0.0, 0.5, 2)
    return model


def test_a_constant_lens_does_not_zoom() -> None:
    model = synthetic(1.0)
    before = model.cameras[1].params.copy()
    assert 1.0 <= focal_ratio(model) < 1.0 + 0.5 * (ZOOM_RATIO - 1.0)
    np.testing.assert_array_equal(model.cameras[1].params, before)
    assert len(model.cameras) == 1


@pytest.mark.parametrize("zoom", [1.05, 1.3])
def test_a_zoom_is_told_from_the_pictures(zoom: float) -> None:
    assert ZOOM_RATIO < focal_ratio(synthetic(zoom)) < zoom**1.5


def test_jumps_and_missing_focal_lengths_are_wrong() -> None:
    log_focal = np.log(np.linspace(800.0, 1200.0, 15))
    assert not wrong_focals(log_focal).any()
    log_focal[4] += np.log(1.5)
    log_focal[9] = np.nan
    np.testing.assert_array_equal(np.flatnonzero(wrong_focals(log_focal)), [4, 9])
    assert wrong_focals(np.full(3, np.nan)).all()


def test_between_key_frames_the_logarithm_follows() -> None:
    known = np.array([2, 6, 9])
    focal = 500.0 * 1.02**known
    lens = np.stack([focal, focal, np.full(3, 320.0), np.full(3, 180.0)], axis=1)
    found = interpolate_intrinsics(lens, known, 12)
    np.testing.assert_allclose(found[known], lens, rtol=1e-12)
    np.testing.assert_allclose(found[2:10, 0], 500.0 * 1.02 ** np.arange(2, 10), rtol=1e-12)
    np.testing.assert_allclose(found[:2], lens[:1].repeat(2, 0), rtol=1e-12)
    np.testing.assert_allclose(found[10:], lens[2:].repeat(2, 0), rtol=1e-12)


def test_one_lens_stays_exactly() -> None:
    lens = np.tile([777.7, 777.7, 320.1, 180.2], (3, 1))
    np.testing.assert_array_equal(interpolate_intrinsics(lens, np.array([0, 3, 7]), 9), lens[:1].repeat(9, 0))
