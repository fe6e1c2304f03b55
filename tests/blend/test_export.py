"""What leaves Blender comes back the same: FBX and USD, exported and read again."""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from blender_helpers import blender_frame, camera_pixels, evaluated_vertices, part  # noqa: E402
from synthetic_scene import synthetic_scene  # noqa: E402

from josh_blender.blend.export import export_fbx, export_usd  # noqa: E402
from josh_blender.blend.importer import import_scene  # noqa: E402
from josh_blender.scene4d.camera import invert_rigid, project, transform, unproject  # noqa: E402
from josh_blender.scene4d.conventions import JOINT_NAMES  # noqa: E402

WIDTH, HEIGHT = 960, 540


@pytest.fixture(params=[False, True], ids=["fixed lens", "zoom"])
def scene4d(request):
    return synthetic_scene(frame_count=16, points=200, fps=(24, 1), zoom=request.param)


def skinned_by(armature):
    """The mesh an armature deforms."""
    for item in bpy.data.objects:
        if any(modifier.type == "ARMATURE" and modifier.object is armature for modifier in item.modifiers):
            return item
    raise AssertionError(f"{armature.name} deforms nothing")


def armature_of(person):
    """The armature of a person as it was read back: USD spells labels with underscores."""
    label = person.label.replace(" ", "_")
    found = [
        item
        for item in bpy.data.objects
        if item.type == "ARMATURE" and (item.name.replace(" ", "_").startswith(label) or label in item.name)
    ]
    assert len(found) == 1, [item.name for item in bpy.data.objects]
    return found[0]


def check_people(scene4d, tolerance=1e-3):
    scene = bpy.context.scene
    for person in scene4d.people:
        armature = armature_of(person)
        for row in (0, len(person.frame) // 2, len(person.frame) - 1):
            scene.frame_set(blender_frame(scene4d, person, row))
            evaluated = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
            heads = np.array([evaluated.matrix_world @ evaluated.pose.bones[name].head for name in JOINT_NAMES])
            vertices, joints = person.body.skin(person.betas, person.poses[row], person.trans[row])
            assert np.abs(heads - joints).max() < tolerance, f"{person.label} row {row}"
            mesh = skinned_by(armature)
            assert np.abs(evaluated_vertices(mesh) - vertices).max() < tolerance


def check_camera(scene4d, tolerance):
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    camera = next(item for item in bpy.data.objects if item.type == "CAMERA")
    pixels = np.random.default_rng(3).uniform((0, 0), (WIDTH, HEIGHT), size=(20, 2))
    for row in (0, 7, 15):
        scene.frame_set(1 + row)
        path = scene4d.camera
        points = transform(path.world_from_camera[row], 6.0 * unproject(pixels, path.intrinsics[row]))
        expected = project(transform(invert_rigid(path.world_from_camera[row]), points), path.intrinsics[row])
        assert np.abs(camera_pixels(camera, points, WIDTH, HEIGHT) - expected).max() < tolerance, f"row {row}"


def test_fbx_round_trip(empty_file, tmp_path, scene4d):
    report = import_scene(empty_file, scene4d)
    path = tmp_path / "walk.fbx"
    assert export_fbx(empty_file, report.root, path) == []
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.scene.render.fps = 24
    bpy.ops.import_scene.fbx(filepath=str(path), anim_offset=0.0)
    check_people(scene4d)
    check_camera(scene4d, 0.1)


def test_usd_round_trip(empty_file, tmp_path, scene4d):
    report = import_scene(empty_file, scene4d)
    before = {item.name for item in bpy.data.objects}
    path = tmp_path / "walk.usdc"
    export_usd(empty_file, report.root, path)
    assert {item.name for item in bpy.data.objects} == before
    assert not bpy.data.pointclouds
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.scene.render.fps = 24
    bpy.ops.wm.usd_import(filepath=str(path))
    check_people(scene4d)
    check_camera(scene4d, 0.05)
    cloud = next(item for item in bpy.data.objects if item.type == "POINTCLOUD")
    positions = np.empty(3 * len(cloud.data.points), np.float32)
    cloud.data.attributes["position"].data.foreach_get("vector", positions)
    world = np.array(cloud.matrix_world)
    assert np.allclose(positions.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3], scene4d.cloud.position, atol=1e-4)
    colors = cloud.data.attributes["displayColor"]
    # USD keeps colours linear.
    linear = np.array([item.color[:3] for item in colors.data])
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.clip(linear, 0, None) ** (1 / 2.4) - 0.055)
    assert np.abs(srgb * 255.0 - scene4d.cloud.color).max() < 1.5


def test_export_leaves_the_file_as_it_was(empty_file, tmp_path, scene4d):
    report = import_scene(empty_file, scene4d)
    scene = empty_file.scene
    scene.frame_start, scene.frame_end = 3, 9
    scene.frame_set(5)
    part("body", 1).hide_set(True)
    part("camera").select_set(True)
    export_fbx(empty_file, report.root, tmp_path / "walk.fbx")
    export_usd(empty_file, report.root, tmp_path / "walk.usdc")
    assert (scene.frame_start, scene.frame_end, scene.frame_current) == (3, 9, 5)
    assert part("body", 1).hide_get()
    assert [item for item in empty_file.view_layer.objects if item.select_get()] == [part("camera")]


def test_fbx_warns_of_a_fractional_frame_rate(empty_file, tmp_path):
    report = import_scene(empty_file, synthetic_scene(people=1, frame_count=3, points=0, fps=(24000, 1001)))
    assert len(export_fbx(empty_file, report.root, tmp_path / "walk.fbx")) == 1
