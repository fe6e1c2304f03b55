"""What an import may take from the video, where keys fall in time, units, and what is kept of the cloud."""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from blender_helpers import camera_pixels, evaluated_vertices, part  # noqa: E402
from synthetic_scene import synthetic_scene  # noqa: E402

from josh_blender.blend.blend_size import estimate_bytes  # noqa: E402
from josh_blender.blend.cloud import viewport_share  # noqa: E402
from josh_blender.blend.import_options import ImportOptions  # noqa: E402
from josh_blender.blend.importer import import_scene, options_of, update_scene  # noqa: E402
from josh_blender.blend.preview import PREVIEW_KEY  # noqa: E402
from josh_blender.blend.scene_settings import is_empty  # noqa: E402
from josh_blender.scene4d.camera import invert_rigid, project, transform  # noqa: E402
from josh_blender.scene4d.files import read_scene, write_scene  # noqa: E402
from josh_blender.scene4d.ply import thin  # noqa: E402
from josh_blender.scene4d.summary import read_summary  # noqa: E402

SETTINGS = ("frame_rate", "frame_range", "resolution", "active_camera")


def settings(scene):
    render = scene.render
    return {
        "frame_rate": (render.fps, round(render.fps_base, 6)),
        "frame_range": (scene.frame_start, scene.frame_end),
        "resolution": (render.resolution_x, render.resolution_y),
        "active_camera": scene.camera.name if scene.camera is not None else None,
    }


def at_work(scene):
    """A scene of the artist's with an animated camera."""
    camera = bpy.data.objects.new("mine", bpy.data.cameras.new("mine"))
    scene.collection.objects.link(camera)
    camera.keyframe_insert("location", frame=1)
    scene.camera = camera
    scene.frame_start, scene.frame_end = 5, 8


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_is_taken_alone(empty_file, name):
    scene = empty_file.scene
    at_work(scene)
    before = settings(scene)
    options = ImportOptions(**{one: one == name for one in SETTINGS})
    import_scene(empty_file, synthetic_scene(frame_count=12, points=0), options)
    after = settings(scene)
    camera = part("camera").name
    taken = {"frame_rate": (30, 1.001), "frame_range": (1, 12), "resolution": (960, 540), "active_camera": camera}
    assert after == {**before, name: taken[name]}


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_can_be_left_in_an_empty_scene(empty_file, name):
    before = settings(empty_file.scene)
    import_scene(empty_file, synthetic_scene(frame_count=12, points=0), ImportOptions(**{name: False}))
    after = settings(empty_file.scene)
    assert after[name] == before[name]
    assert all(after[one] != before[one] for one in SETTINGS if one != name)


def test_a_preview_does_not_make_a_scene_a_busy_one(empty_file):
    home = bpy.data.collections.new("Preview")
    home[PREVIEW_KEY] = "job"
    empty_file.scene.collection.children.link(home)
    for name in ("a", "b"):
        camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
        home.objects.link(camera)
        camera.keyframe_insert("location", frame=1)
    assert is_empty(empty_file.scene)
    at_work(empty_file.scene)
    assert not is_empty(empty_file.scene)


def test_retimed_keys_fall_at_their_time(empty_file):
    """A video at 30000/1001 fps in a scene at 24 fps: every pose at its time, also with a variable rate."""
    scene = empty_file.scene
    at_work(scene)
    scene.render.fps = 24
    scene4d = synthetic_scene(frame_count=12, points=0)
    scene4d.camera.time[:] = np.cumsum(np.linspace(0.02, 0.09, 12)) + 7.0
    report = import_scene(empty_file, scene4d, ImportOptions(start_frame=101, retime=True))
    assert not any("frames per second" in warning for warning in report.warnings)
    person = scene4d.people[0]
    row = 7
    time = scene4d.camera.time[np.flatnonzero(scene4d.camera.frame == person.frame[row])[0]] - scene4d.camera.time[0]
    frame = 101 + 24.0 * time
    scene.frame_set(int(frame), subframe=frame % 1.0)
    expected, _ = person.body.skin(person.betas, person.poses[row], person.trans[row])
    assert np.abs(evaluated_vertices(part("body", 1)) - expected).max() < 1e-3
    assert options_of(report.root).retime


def test_retiming_is_offered_where_rates_differ(empty_file):
    at_work(empty_file.scene)
    empty_file.scene.render.fps = 24
    report = import_scene(empty_file, synthetic_scene(frame_count=3, points=0))
    assert any("29.97 frames per second" in warning and "Retime" in warning for warning in report.warnings)


def test_retiming_at_the_videos_own_rate_is_frame_for_frame(empty_file):
    scene4d = synthetic_scene(frame_count=5, points=0)
    scene4d.camera.time[:] *= 3.0
    empty_file.scene.render.fps, empty_file.scene.render.fps_base = 30, 1.001
    import_scene(empty_file, scene4d, ImportOptions(retime=True))
    assert tuple(part("camera").animation_data.action.frame_range) == (1.0, 5.0)


@pytest.mark.parametrize(("length", "scale"), [(0.01, 1.0), (1.0, 3.0), (0.01, 0.5)])
def test_units_of_the_scene(empty_file, length, scale):
    """A scene in centimetres: people are as tall in its units, and the camera sees them at the same pixels."""
    scene = empty_file.scene
    scene.unit_settings.scale_length = length
    scene4d = synthetic_scene(frame_count=4, points=200)
    report = import_scene(empty_file, scene4d, ImportOptions(scale=scale))
    size = scale / length
    person = scene4d.people[0]
    row = int(np.flatnonzero(scene4d.camera.frame == person.frame[0])[0])
    scene.frame_set(1 + row)
    expected, _ = person.body.skin(person.betas, person.poses[0], person.trans[0])
    vertices = evaluated_vertices(part("body", 1))
    assert np.abs(vertices / size - expected).max() < 5e-4
    pose = invert_rigid(scene4d.camera.world_from_camera[row])
    true = project(transform(pose, expected), scene4d.camera.intrinsics[row])
    assert np.abs(camera_pixels(part("camera"), vertices, 960, 540) - true).max() < 0.05
    assert part("camera").data.clip_end == pytest.approx(1000.0 * size)
    report.root.scale = (7.0, 7.0, 7.0)
    import_scene(empty_file, scene4d)
    assert tuple(report.root.scale) == (7.0, 7.0, 7.0)


def test_what_is_kept_of_the_cloud(empty_file, tmp_path):
    folder = write_scene(synthetic_scene(people=0, frame_count=2, points=5000), tmp_path / "walk.scene4d")
    scene4d = read_scene(folder)
    report = import_scene(empty_file, scene4d, ImportOptions(most_points=1000, viewport_points=250))
    cloud = part("cloud")
    assert len(cloud.data.vertices) == 1000
    assert viewport_share(cloud) == pytest.approx(0.25)
    positions = np.array([vertex.co for vertex in cloud.data.vertices], np.float32)
    everything = {tuple(point) for point in scene4d.cloud.position}
    assert all(tuple(point) in everything for point in positions)
    update_scene(empty_file, report.root)
    assert len(cloud.data.vertices) == 1000
    import_scene(empty_file, scene4d, ImportOptions(most_points=None))
    assert len(cloud.data.vertices) == 5000
    import_scene(empty_file, scene4d, ImportOptions(most_points=0))
    assert len(cloud.data.vertices) == 5000, "not to bring a cloud is not to remove one"


def test_no_cloud(empty_file):
    report = import_scene(empty_file, synthetic_scene(people=0, frame_count=2, points=50), ImportOptions(most_points=0))
    assert not [item for item in bpy.data.objects if item.get("josh4d_kind") == "cloud"]
    assert options_of(report.root).most_points == 0


def test_thinning_takes_evenly():
    scene4d = synthetic_scene(people=0, frame_count=2, points=4000)
    cloud = scene4d.cloud
    few = thin(cloud, 1000)
    assert len(few.position) == len(few.color) == len(few.confidence) == len(few.keyframe) == 1000
    assert np.abs(few.position.mean(axis=0) - cloud.position.mean(axis=0)).max() < 0.1 * cloud.position.std()
    assert np.array_equal(few.position, thin(cloud, 1000).position)
    assert thin(cloud, 4000) is cloud


@pytest.mark.slow
@pytest.mark.parametrize(("points", "frames"), [(400_000, 20), (1000, 500)])
def test_the_size_shown_is_that_of_the_file(empty_file, tmp_path, points, frames):
    scene4d = synthetic_scene(frame_count=frames, points=points)
    folder = write_scene(scene4d, tmp_path / "walk.scene4d")
    import_scene(empty_file, read_scene(folder))
    path = tmp_path / "walk.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=True)
    assert estimate_bytes(read_summary(folder), None) == pytest.approx(path.stat().st_size, rel=0.25)
