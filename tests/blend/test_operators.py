"""Operators: the same result as the functions, refusals in one sentence, undo and redo."""

from __future__ import annotations

import importlib.util
import json
import sys
import tomllib

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from blender_helpers import evaluated_vertices, part  # noqa: E402
from conftest import ROOT  # noqa: E402
from synthetic_scene import synthetic_scene  # noqa: E402

from josh_blender import __version__  # noqa: E402
from josh_blender.scene4d.files import pointer_path, write_scene  # noqa: E402

PACKAGE = "josh4d_under_test"
#: Operators about jobs, help and presets, which are not in the file: undo must not seem to undo them.
CHANGE_NO_DATA = {
    "set_up_engine",
    "doctor",
    "reconstruct",
    "detect_people",
    "cancel_job",
    "continue_job",
    "remove_job",
    "copy_error",
    "continue_lost_job",
    "forget_lost_job",
    "open_help",
    "add_reconstruct_preset",
    "choose_weights",
}


@pytest.fixture
def extension(empty_file):
    """The root package, registered under a made-up name: its imports must all be relative."""
    spec = importlib.util.spec_from_file_location(PACKAGE, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)
    module.register()
    yield module
    # A class still registered at exit makes Blender 4.5 hang.
    module.unregister()
    for name in [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]


@pytest.fixture
def pointer(tmp_path):
    scene4d = synthetic_scene(frame_count=6, points=30)
    return pointer_path(write_scene(scene4d, tmp_path / "Synthetic walk é.scene4d"))


def test_import_operator(extension, pointer):
    assert bpy.ops.josh4d.import_scene(filepath=str(pointer), start_frame=11) == {"FINISHED"}
    scene4d = synthetic_scene(frame_count=6, points=30)
    bpy.context.scene.frame_set(14)
    for person in scene4d.people:
        row = 3 - int(person.frame[0] - scene4d.camera.frame[0])
        expected, _ = person.body.skin(person.betas, person.poses[row], person.trans[row])
        assert np.abs(evaluated_vertices(part("body", person.id)) - expected).max() < 5e-4
    assert bpy.context.scene.camera is part("camera")


def test_options_leave_parts_out(extension, pointer):
    bpy.ops.josh4d.import_scene(filepath=str(pointer), people=False, cloud="NONE", active_camera=False)
    assert {item["josh4d_kind"] for item in bpy.data.objects} == {"root", "camera"}
    assert bpy.context.scene.camera is None


def test_a_json_that_is_no_scene(extension, tmp_path, capfd):
    other = tmp_path / "package.json"
    other.write_text(json.dumps({"name": "something else"}))
    assert bpy.ops.josh4d.import_scene(filepath=str(other)) == {"CANCELLED"}
    assert "package.json is not a 4D scene" in capfd.readouterr().out
    assert not bpy.data.objects


def test_a_pointer_without_its_folder(extension, tmp_path):
    lonely = tmp_path / "walk.scene4d.json"
    lonely.write_text("{}")
    with pytest.raises(RuntimeError, match=r"The folder walk\.scene4d is not beside"):
        bpy.ops.josh4d.import_scene(filepath=str(lonely))


def test_a_damaged_scene(extension, pointer):
    folder = pointer.with_name(pointer.name.removesuffix(".json"))
    (folder / "camera.npz").write_bytes(b"nothing")
    with pytest.raises(RuntimeError, match=r"camera\.npz"):
        bpy.ops.josh4d.import_scene(filepath=str(pointer))
    assert not bpy.data.objects


def test_undo_and_redo(extension, pointer):
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.josh4d.import_scene(filepath=str(pointer))
    bpy.ops.ed.undo_push(message="imported")
    before = evaluated_vertices(part("body", 1))
    bpy.ops.ed.undo()
    assert not [item for item in bpy.data.objects if "josh4d_kind" in item]
    bpy.ops.ed.redo()
    assert np.array_equal(evaluated_vertices(part("body", 1)), before)


def test_fit_skeleton_operator(extension, pointer):
    bpy.ops.josh4d.import_scene(filepath=str(pointer))
    body = part("body", 1)
    layer = bpy.context.view_layer
    layer.objects.active = part("camera")
    assert not bpy.ops.josh4d.fit_skeleton.poll()
    layer.objects.active = body
    body.data.shape_keys.key_blocks["beta0"].value = 2.0
    length = body.parent.data.bones["left_hip"].length
    bpy.ops.ed.undo_push(message="before")
    assert bpy.ops.josh4d.fit_skeleton() == {"FINISHED"}
    bpy.ops.ed.undo_push(message="fitted")
    fitted = part("body", 1).parent.data.bones["left_hip"].length
    assert fitted > 1.02 * length
    bpy.ops.ed.undo()
    assert part("body", 1).parent.data.bones["left_hip"].length == pytest.approx(length, abs=1e-7)
    bpy.ops.ed.redo()
    assert part("body", 1).parent.data.bones["left_hip"].length == pytest.approx(fitted, abs=1e-7)


def test_select_scene_operator(extension, pointer):
    bpy.ops.josh4d.import_scene(filepath=str(pointer))
    root = part("root")
    part("camera").select_set(True)
    assert bpy.ops.josh4d.select_scene(identity=root["josh4d_scene"]) == {"FINISHED"}
    assert bpy.context.view_layer.objects.active is root
    assert bpy.context.selected_objects == [root]
    assert bpy.ops.josh4d.select_scene(identity="another") == {"CANCELLED"}


def test_manifest_agrees_with_the_package():
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    assert manifest["version"] == __version__
    assert manifest["id"] == "josh4d"
    assert len(manifest["tagline"]) <= 64 and not manifest["tagline"].endswith(".")


def test_every_operator_has_a_tooltip_and_undo(extension):
    module = sys.modules[f"{PACKAGE}.operators"]
    for one in module.CLASSES:
        if issubclass(one, bpy.types.Operator):
            assert one.__doc__ and "\n" not in one.__doc__
            assert "REGISTER" in one.bl_options
            assert ("UNDO" in one.bl_options) != (one.bl_idname.removeprefix("josh4d.") in CHANGE_NO_DATA)
