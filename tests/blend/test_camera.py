"""The camera in Blender projects like scene4d's, and the plate's lens model is OpenCV's."""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from blender_helpers import camera_pixels, part  # noqa: E402
from synthetic_scene import synthetic_scene  # noqa: E402

from josh_blender.blend.camera import lens_from_intrinsics  # noqa: E402
from josh_blender.blend.importer import import_scene  # noqa: E402
from josh_blender.scene4d.camera import invert_rigid, project, transform, unproject  # noqa: E402


def visible_points(camera, row, width, height, seed=0):
    """World points (N,3) on rays all over the picture."""
    rng = np.random.default_rng(seed)
    pixels = rng.uniform((0.0, 0.0), (width, height), size=(60, 2))
    rays = unproject(pixels, camera.intrinsics[row]) * rng.uniform(0.5, 60.0, size=(60, 1))
    return transform(camera.world_from_camera[row], rays)


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (800, 800)])
@pytest.mark.parametrize("zoom", [False, True])
@pytest.mark.parametrize("aspect", [1.0, 1.0667, 0.9])
def test_reprojection(empty_file, size, zoom, aspect):
    width, height = size
    scene4d = synthetic_scene(people=0, frame_count=12, points=0, width=width, height=height, zoom=zoom)
    scene4d.camera.intrinsics[:, 1] /= aspect
    import_scene(empty_file, scene4d)
    camera = part("camera")
    assert camera.data.sensor_fit in ("HORIZONTAL", "VERTICAL")
    assert empty_file.scene.camera is camera
    assert (empty_file.scene.render.resolution_x, empty_file.scene.render.resolution_y) == size
    for row in (0, 5, 11):
        empty_file.scene.frame_set(1 + row)
        points = visible_points(scene4d.camera, row, width, height)
        in_camera = transform(invert_rigid(scene4d.camera.world_from_camera[row]), points)
        expected = project(in_camera, scene4d.camera.intrinsics[row])
        assert np.abs(camera_pixels(camera, points, width, height) - expected).max() < 0.01


def test_only_a_zoom_gets_lens_keys(empty_file):
    import_scene(empty_file, synthetic_scene(people=0, frame_count=5, points=0))
    assert part("camera").data.animation_data is None
    import_scene(empty_file, synthetic_scene(name="Zoom", people=0, frame_count=5, points=0, zoom=True))
    zoom = next(item for item in bpy.data.objects if item.type == "CAMERA" and item.data.animation_data)
    bag = zoom.data.animation_data.action.layers[0].strips[0].channelbags[0]
    # The shift is relative to the picture, not to the lens, so a zoom about a fixed centre moves the lens alone.
    assert {curve.data_path for curve in bag.fcurves} == {"lens"}


def test_lens_of_a_known_camera():
    lens = lens_from_intrinsics(np.array([[1600.0, 1600.0, 960.0, 540.0]]), 1920, 1080)
    assert lens.sensor_fit == "HORIZONTAL"
    assert lens.lens == pytest.approx([30.0])
    assert (lens.shift_x[0], lens.shift_y[0], lens.pixel_aspect) == (0.0, 0.0, (1.0, 1.0))
    portrait = lens_from_intrinsics(np.array([[1600.0, 1600.0, 540.0, 960.0]]), 1080, 1920)
    assert (portrait.sensor_fit, portrait.sensor[1]) == ("VERTICAL", 36.0)
    assert portrait.lens == pytest.approx([30.0])
