"""A whole scene in Blender: structure, settings, updates in place, several scenes, and a file that stands alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from blender_helpers import evaluated_vertices, make_plate, part  # noqa: E402
from synthetic_scene import synthetic_body, synthetic_scene  # noqa: E402

from josh_blender.blend.animation import channelbag  # noqa: E402
from josh_blender.blend.import_options import ImportOptions  # noqa: E402
from josh_blender.blend.importer import import_scene, update_scene  # noqa: E402
from josh_blender.scene4d.body import load_default_body, save_body  # noqa: E402
from josh_blender.scene4d.files import read_scene, write_scene  # noqa: E402


def test_structure(empty_file):
    report = import_scene(empty_file, synthetic_scene(frame_count=4, points=50))
    top = empty_file.scene.collection.children["Synthetic"]
    homes = {child.name: {item["josh4d_kind"] for item in child.objects} for child in top.children}
    assert homes == {"People": {"armature", "body"}, "Camera": {"camera"}, "Place": {"cloud"}, "Helpers": {"root"}}
    root = report.root
    assert root.type == "EMPTY"
    assert np.allclose(np.array(root.matrix_world), np.eye(4))
    assert {item["josh4d_kind"] for item in root.children} == {"armature", "camera", "cloud"}
    assert set(root.children_recursive) | {root} == set(empty_file.scene.objects)


def test_moving_the_root_moves_everything(empty_file):
    report = import_scene(empty_file, synthetic_scene(frame_count=4, points=50))
    before = evaluated_vertices(part("body", 1))
    report.root.location, report.root.scale = (1.0, 2.0, 3.0), (2.0, 2.0, 2.0)
    empty_file.view_layer.update()
    assert np.allclose(evaluated_vertices(part("body", 1)), 2.0 * before + (1.0, 2.0, 3.0), atol=1e-4)


def test_an_empty_scene_takes_the_videos_settings(empty_file):
    view = empty_file.scene.view_settings
    look = view.view_transform, view.look, view.exposure
    import_scene(empty_file, synthetic_scene(frame_count=12, points=0, width=720, height=1280))
    scene = empty_file.scene
    assert (scene.render.fps, pytest.approx(scene.render.fps_base)) == (30, 1.001)
    assert (scene.frame_start, scene.frame_end) == (1, 12)
    assert (scene.render.resolution_x, scene.render.resolution_y) == (720, 1280)
    assert scene.camera is part("camera")
    assert (view.view_transform, view.look, view.exposure) == look


def test_a_scene_at_work_keeps_its_settings(empty_file):
    scene = empty_file.scene
    camera = bpy.data.objects.new("mine", bpy.data.cameras.new("mine"))
    scene.collection.objects.link(camera)
    camera.keyframe_insert("location", frame=1)
    scene.camera = camera
    scene.render.fps, scene.frame_start, scene.frame_end, scene.frame_current = 25, 10, 20, 15
    empty_file.view_layer.objects.active = camera
    camera.select_set(True)
    report = import_scene(empty_file, synthetic_scene(frame_count=30, points=0), ImportOptions(start_frame=4))
    assert scene.camera is camera
    assert (scene.render.fps, scene.frame_start, scene.frame_end, scene.frame_current) == (25, 10, 20, 15)
    assert empty_file.view_layer.objects.active is camera
    assert [item for item in empty_file.view_layer.objects if item.select_get()] == [camera]
    assert any("frames per second" in warning for warning in report.warnings)
    assert any("960 x 540" in warning for warning in report.warnings)
    assert any("from frame 4 to 33" in warning for warning in report.warnings)
    assert tuple(part("armature", 1).animation_data.action.frame_range) == (4.0, 33.0)


def test_edit_mode_is_left_as_it_was(empty_file):
    item = bpy.data.objects.new("mine", bpy.data.meshes.new("mine"))
    empty_file.scene.collection.objects.link(item)
    empty_file.view_layer.objects.active = item
    bpy.ops.object.mode_set(mode="EDIT")
    import_scene(empty_file, synthetic_scene(frame_count=2, points=0))
    assert item.mode == "EDIT"
    bpy.ops.object.mode_set(mode="OBJECT")


def counts():
    kinds = ("objects", "meshes", "armatures", "cameras", "actions", "materials", "node_groups", "collections")
    return {kind: len(getattr(bpy.data, kind)) for kind in kinds}


def test_importing_again_updates_in_place(empty_file):
    scene4d = synthetic_scene(frame_count=8, points=60)
    import_scene(empty_file, scene4d)
    before = counts()
    body, armature = part("body", 1), part("armature", 1)
    body.name, armature.name, part("camera").name = "Alice", "Alice's rig", "My camera"
    material = bpy.data.materials.new("mine")
    body.data.materials[0] = material
    body.modifiers.new("mine", "SUBSURF")
    armature.hide_set(True)
    constraint = armature.pose.bones["head"].constraints.new("DAMPED_TRACK")
    constraint.influence = 0.0

    changed = synthetic_scene(frame_count=8, points=90, seed=4)
    changed.source.identity = scene4d.source.identity
    report = import_scene(empty_file, changed)
    assert counts() == {**before, "materials": before["materials"] + 1}
    assert (body.name, armature.name) == ("Alice", "Alice's rig")
    assert body.data.materials[0] is material
    assert [modifier.type for modifier in body.modifiers] == ["ARMATURE", "SUBSURF"]
    assert armature.hide_get()
    assert len(armature.pose.bones["head"].constraints) == 1
    assert report.kept == []
    body.modifiers.remove(body.modifiers[1])
    person = changed.people[0]
    empty_file.scene.frame_set(4)
    expected, _ = person.body.skin(person.betas, person.poses[3], person.trans[3])
    assert np.abs(evaluated_vertices(body) - expected).max() < 5e-4


def test_an_edited_action_is_kept_and_the_new_take_comes_beside(empty_file):
    scene4d = synthetic_scene(frame_count=8, points=0)
    import_scene(empty_file, scene4d)
    armature = part("armature", 1)
    action = armature.animation_data.action
    curve = action.layers[0].strips[0].channelbags[0].fcurves[0]
    curve.keyframe_points[3].co.y += 0.5
    edited = curve.keyframe_points[3].co.y
    report = import_scene(empty_file, scene4d)
    assert report.kept == ["Person 1"]
    assert armature.animation_data.action is action
    assert curve.keyframe_points[3].co.y == edited
    beside = [one for one in bpy.data.actions if one.use_fake_user]
    assert len(beside) == 1
    assert beside[0] is not action


def test_an_action_of_the_artists_own_is_never_written(empty_file):
    scene4d = synthetic_scene(people=1, frame_count=4, points=0)
    import_scene(empty_file, scene4d)
    armature, mine = part("armature", 1), bpy.data.actions.new("mine")
    armature.animation_data.action = mine
    assert import_scene(empty_file, scene4d).kept == ["Person 1"]
    assert armature.animation_data.action is mine
    assert not mine.layers


def test_two_scenes_in_one_file(empty_file):
    first = import_scene(empty_file, synthetic_scene(frame_count=4, points=20))
    second = import_scene(empty_file, synthetic_scene(name="Other", frame_count=4, points=20, seed=9))
    assert first.root is not second.root
    assert set(first.root.children_recursive).isdisjoint(second.root.children_recursive)
    assert len(first.root.children_recursive) == len(second.root.children_recursive) == 6


def test_another_body_replaces_the_mesh_but_not_its_material(empty_file):
    scene4d = synthetic_scene(people=1, frame_count=4, points=0)
    import_scene(empty_file, scene4d)
    material = part("body", 1).data.materials[0]
    body = synthetic_body()
    keep = slice(0, len(body.v_template) - 32)
    body.f = body.f[(body.f < keep.stop).all(axis=1)]
    body.v_template, body.shapedirs, body.posedirs = body.v_template[keep], body.shapedirs[keep], body.posedirs[keep]
    body.J_regressor, body.weights = body.J_regressor[:, keep], body.weights[keep]
    body.finger_names = body.finger_parents = body.finger_regressor = body.finger_weights = None
    scene4d.people[0].body = body
    import_scene(empty_file, scene4d)
    item = part("body", 1)
    assert len(item.data.vertices) == keep.stop
    assert list(item.data.materials) == [material]
    expected, _ = body.skin(scene4d.people[0].betas, scene4d.people[0].poses[0], scene4d.people[0].trans[0])
    empty_file.scene.frame_set(1)
    assert np.abs(evaluated_vertices(item) - expected).max() < 5e-4


def test_no_people_and_a_missing_body(empty_file, tmp_path, monkeypatch):
    monkeypatch.setenv("JOSH4D_BODIES", str(tmp_path))
    scene4d = synthetic_scene(frame_count=4, points=0)
    scene4d.people[1].body = None
    scene4d.people[1].body_id = "smpl-male-0123456789ab"
    report = import_scene(empty_file, scene4d)
    assert any("smpl-male-0123456789ab" in warning for warning in report.warnings)
    assert part("body", 1)
    save_body(synthetic_body(), tmp_path / "smpl-male-0123456789ab.npz")
    found = import_scene(empty_file, scene4d)
    assert part("body", 2) and not any("smpl-male" in warning for warning in found.warnings)
    import_scene(empty_file, synthetic_scene(name="Nobody", people=0, frame_count=1, points=0))


def test_one_frame(empty_file):
    import_scene(empty_file, synthetic_scene(people=1, frame_count=1, points=3))
    assert (empty_file.scene.frame_start, empty_file.scene.frame_end) == (1, 1)


def test_plate_behind_the_camera(empty_file, tmp_path):
    folder = make_plate(tmp_path, 96, 54, count=12)
    scene4d = synthetic_scene(people=0, frame_count=6, first_frame=5, points=0, width=96, height=54)
    scene4d.source.kind, scene4d.source.absolute_path = "images", str(folder)
    report = import_scene(empty_file, scene4d, ImportOptions(start_frame=101))
    assert report.warnings == []
    data = part("camera").data
    background = data.background_images[0]
    assert data.show_background_images
    assert (background.source, background.frame_method) == ("MOVIE_CLIP", "FIT")
    assert background.clip_user.use_render_undistorted
    assert background.clip.filepath.endswith("plate_0005.png")
    assert background.clip.frame_start == 101
    import_scene(empty_file, scene4d)
    assert len(data.background_images) == len(bpy.data.movieclips) == 1
    assert background.clip.frame_start == 1


def test_a_missing_video_is_no_failure(empty_file):
    scene4d = synthetic_scene(people=0, frame_count=3, points=0, video="/nowhere/at all/né.mp4")
    report = import_scene(empty_file, scene4d)
    assert len(report.warnings) == 1 and "né.mp4" in report.warnings[0]
    assert len(part("camera").data.background_images) == 0


def test_the_plate_is_saved_also_where_its_undistorted_copy_is_shown(empty_file, tmp_path):
    scene4d = synthetic_scene(people=0, frame_count=3, points=0)
    scene4d.source.kind, scene4d.source.absolute_path = "images", str(make_plate(tmp_path, 96, 54, count=3))
    folder = write_scene(scene4d, tmp_path / "walk.scene4d")
    shutil.copy(next(Path(scene4d.source.absolute_path).glob("*.png")), folder / "undistorted.png")
    scene4d = read_scene(folder)
    scene4d.undistorted = "undistorted.png"
    import_scene(empty_file, scene4d)
    shown = part("camera").data.background_images[0].clip
    assert shown["josh4d_kind"] == "undistorted"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "walk.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "walk.blend"))
    assert sorted(clip["josh4d_kind"] for clip in bpy.data.movieclips) == ["plate", "undistorted"]


_READ_BACK = """
import json, sys
import bpy, numpy as np
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
found = {}
for frame in (1, 7, 12):
    bpy.context.scene.frame_set(frame)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    for item in bpy.data.objects:
        evaluated = item.evaluated_get(depsgraph)
        values = np.array(evaluated.matrix_world).ravel().tolist()
        if item.get("josh4d_kind") == "body":
            mesh = evaluated.to_mesh()
            values += [c for vertex in mesh.vertices for c in evaluated.matrix_world @ vertex.co]
        if item.get("josh4d_kind") == "cloud":
            geometry = evaluated.evaluated_geometry()
            values += [float(len(geometry.pointcloud.points))]
        found[f"{frame} {item.name}"] = values
images = [clip.filepath for clip in bpy.data.movieclips]
drivers = sum(len(item.animation_data.drivers) for item in bpy.data.objects if item.animation_data)
modules = [name for name in sys.modules if "josh" in name]
print("RESULT" + json.dumps([found, images, drivers, modules]))
"""


def read_back(path, tmp_path):
    script = tmp_path / "read_back.py"
    script.write_text(_READ_BACK)
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path / "factory")}
    done = subprocess.run(
        [sys.executable, str(script), str(path)], capture_output=True, text=True, timeout=120, env=environment,
        cwd=tmp_path,
    )  # fmt: skip
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT")), None)
    assert line, done.stderr
    return json.loads(line.removeprefix("RESULT"))


@pytest.mark.parametrize(
    "options",
    [ImportOptions(), ImportOptions(start_frame=-2, retime=True, frame_rate=False, scale=2.0, most_points=100)],
    ids=["defaults", "all else"],
)
def test_a_saved_file_stands_alone(empty_file, tmp_path, options):
    """Opened with factory settings in another process, without the extension and without the scene's folder."""
    empty_file.scene.unit_settings.scale_length = 0.1
    plates = tmp_path / "plates"
    plates.mkdir()
    scene4d = synthetic_scene(frame_count=12, points=300)
    scene4d.source.kind, scene4d.source.absolute_path = "images", str(make_plate(plates, 96, 54, count=20))
    folder = write_scene(scene4d, tmp_path / "walk.scene4d")
    report = import_scene(empty_file, read_scene(folder), options)
    # Keys of the artist's with a new take beside them, and a take pushed down.
    armature = part("armature", 1)
    channelbag(armature.animation_data.action, armature).fcurves[0].keyframe_points[2].co.y += 0.3
    other = part("armature", 2).animation_data
    strip = other.nla_tracks.new().strips.new("take", 1, other.action)
    strip.action_slot, other.action = other.action.slots[0], None
    assert update_scene(empty_file, report.root).kept == [armature.name]
    (tmp_path / "saved").mkdir()
    path = tmp_path / "saved" / "walk.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path), relative_remap=True)
    folder.rename(tmp_path / "gone")
    found, images, drivers, modules = read_back(path, tmp_path)
    assert (drivers, modules) == (0, [])
    assert images == ([] if options.retime else ["//../plates/plate_0005.png"])
    for frame in (1, 7, 12):
        bpy.context.scene.frame_set(frame)
        for person in (1, 2):
            item = part("body", person)
            values = np.array(found[f"{frame} {item.name}"][16:]).reshape(-1, 3)
            assert np.abs(values - evaluated_vertices(item)).max() < 1e-6 * max(1.0, np.abs(values).max())
        camera = part("camera")
        assert np.allclose(found[f"{frame} {camera.name}"], np.array(camera.matrix_world).ravel(), atol=1e-6)
    assert found[f"1 {part('cloud').name}"][16] == (300 if options.most_points > 300 else 100)


def test_the_same_scene_in_two_blender_scenes(empty_file):
    """Each Blender scene gets its own copy, and an update of one leaves the other alone."""
    scene4d = synthetic_scene(people=1, frame_count=3, points=5)
    first = import_scene(empty_file, scene4d)
    bpy.ops.scene.new(type="EMPTY")
    second = import_scene(bpy.context, scene4d)
    assert first.root.users_scene != second.root.users_scene
    assert len(bpy.context.scene.objects) == 5
    assert set(second.root.children_recursive) | {second.root} == set(bpy.context.scene.objects)
    before = counts()
    import_scene(bpy.context, scene4d)
    assert counts() == before


def test_the_shipped_body_need_not_travel(empty_file):
    body = load_default_body()
    scene4d = synthetic_scene(people=1, frame_count=2, points=0, body=body)
    scene4d.people[0].body = None
    assert import_scene(empty_file, scene4d).warnings[1:] == []
    assert len(part("body", 1).data.vertices) == len(body.v_template)
