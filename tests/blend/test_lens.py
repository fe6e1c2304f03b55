"""The lens model of the plate against OpenCV's, and the early check: one distorted marker through all three.

A *Follow Track* constraint that uses undistorted positions tells where Blender's own clip undistortion puts a marker.
`scene4d.camera` is the OpenCV side; tests/scene4d/test_camera.py compares it with OpenCV itself.
"""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from blender_helpers import camera_pixels, make_plate, part  # noqa: E402
from synthetic_scene import synthetic_scene  # noqa: E402

from josh_blender.blend.importer import import_scene  # noqa: E402
from josh_blender.scene4d.camera import invert_rigid, project, transform, undistort_normalized, unproject  # noqa: E402

LENSES = {
    "none": (0.0, 0.0, 0.0, 0.0, 0.0),
    "barrel": (-0.113, 0.02, 0.0, 0.0, 0.004),
    "pincushion": (0.09, -0.03, 0.0, 0.0, 0.01),
    "tangential": (0.0, 0.0, 0.003, -0.002, 0.0),
    "all": (-0.11, 0.03, 0.001, -0.0007, 0.004),
}


def blender_undistorted(clip, pixels, width, height):
    """Where Blender's undistortion of a clip puts markers at pixels (N,2) of the distorted plate."""
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = width, height
    data = bpy.data.cameras.new("probe")
    focal = clip.tracking.camera.focal_length_pixels
    side = max(width, height)
    data.sensor_fit, data.sensor_width, data.lens = "AUTO", 36.0, focal * 36.0 / side
    camera = bpy.data.objects.new("probe", data)
    scene.collection.objects.link(camera)
    tracks = clip.tracking.objects[0].tracks
    for number, (x, y) in enumerate(pixels):
        tracks.new(name=f"marker {number}", frame=1).markers[0].co = (x / width, 1.0 - y / height)
    # Blender 4.5 crashes where a clip is evaluated in parallel with a constraint that reads it: the clip comes first.
    bpy.context.view_layer.update()
    followers = []
    for track in tracks:
        follower = bpy.data.objects.new(track.name, None)
        scene.collection.objects.link(follower)
        follower.location = (0.0, 0.0, -5.0)
        constraint = follower.constraints.new("FOLLOW_TRACK")
        constraint.use_active_clip, constraint.clip, constraint.camera = False, clip, camera
        constraint.object, constraint.track = "Camera", track.name
        constraint.use_undistorted_position, constraint.frame_method = True, "STRETCH"
        followers.append(follower)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    place = np.array([one.evaluated_get(depsgraph).matrix_world.translation for one in followers], dtype=np.float64)
    return place[:, :2] / -place[:, 2:] * focal * (1.0, -1.0) + (width / 2.0, height / 2.0)


def undistorted(pixels, intrinsics, distortion):
    normalized = (pixels - intrinsics[2:]) / intrinsics[:2]
    return undistort_normalized(normalized, distortion) * intrinsics[:2] + intrinsics[2:]


@pytest.mark.parametrize("size", [(960, 540), (540, 960)])
@pytest.mark.parametrize("lens", LENSES)
def test_clip_undistorts_as_opencv(empty_file, tmp_path, size, lens):
    width, height = size
    folder = make_plate(tmp_path, width, height)
    scene4d = synthetic_scene(people=0, frame_count=1, first_frame=0, points=0, width=width, height=height)
    scene4d.source.kind, scene4d.source.absolute_path = "images", str(folder)
    scene4d.camera.distortion[:] = LENSES[lens]
    report = import_scene(empty_file, scene4d)
    assert not report.warnings
    empty_file.scene.frame_set(1)
    clip = part("camera").data.background_images[0].clip
    rng = np.random.default_rng(1)
    pixels = rng.uniform((0.02 * width, 0.02 * height), (0.98 * width, 0.98 * height), size=(40, 2))
    intrinsics = scene4d.camera.intrinsics[0]
    expected = undistorted(pixels, intrinsics, scene4d.camera.distortion)
    if lens != "none":
        assert np.abs(expected - pixels).max() > 0.5, "the lens must matter"
    assert np.abs(blender_undistorted(clip, pixels, width, height) - expected).max() < 0.01


@pytest.mark.parametrize("size", [(960, 540), (540, 960)])
def test_distorted_marker_through_opencv_blender_and_usd(empty_file, tmp_path, size):
    width, height = size
    folder = make_plate(tmp_path, width, height)
    scene4d = synthetic_scene(people=0, frame_count=1, first_frame=0, points=0, width=width, height=height)
    scene4d.source.kind, scene4d.source.absolute_path = "images", str(folder)
    import_scene(empty_file, scene4d)
    empty_file.scene.frame_set(1)
    camera, path = part("camera"), scene4d.camera
    pixels = np.array([(0.1, 0.15), (0.9, 0.2), (0.5, 0.5), (0.2, 0.9), (0.85, 0.95)]) * size
    intrinsics = path.intrinsics[0]
    rays = unproject(pixels, intrinsics, path.distortion) * np.linspace(2.0, 20.0, 5)[:, None]
    markers = transform(path.world_from_camera[0], rays)
    again = project(transform(invert_rigid(path.world_from_camera[0]), markers), intrinsics, path.distortion)
    assert np.abs(again - pixels).max() < 1e-6

    pinhole = undistorted(pixels, intrinsics, path.distortion)
    blender = camera_pixels(camera, markers, width, height)
    clip = blender_undistorted(camera.data.background_images[0].clip, pixels, width, height)

    usd = tmp_path / "camera.usda"
    bpy.ops.wm.usd_export(filepath=str(usd))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.usd_import(filepath=str(usd))
    bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y = size
    reread = next(one for one in bpy.data.objects if one.type == "CAMERA" and one.name.startswith("Synthetic"))
    bpy.context.scene.frame_set(1)
    through_usd = camera_pixels(reread, markers, width, height)

    errors = {
        "Blender camera": np.abs(blender - pinhole).max(),
        "Blender clip": np.abs(clip - pinhole).max(),
        "USD camera": np.abs(through_usd - pinhole).max(),
    }
    print(f"{width}x{height}: moved by the lens {np.abs(pinhole - pixels).max():.2f} px", errors)
    assert all(error < 0.01 for error in errors.values()), errors
