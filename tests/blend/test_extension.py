"""The zip itself: built by Blender's own command, installed in a fresh Blender, used there."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from conftest import ROOT  # noqa: E402
from synthetic_scene import synthetic_scene  # noqa: E402

from josh_blender.scene4d.files import pointer_path, write_scene  # noqa: E402

_SCRIPT = """
import sys
import bpy
archive, pointer = sys.argv[1:]
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.extensions.package_install_files(filepath=archive, repo="user_default", enable_on_install=True)
name = "bl_ext.user_default.josh4d"
assert name in bpy.context.preferences.addons.keys(), "not enabled"
assert bpy.ops.josh4d.import_scene(filepath=pointer) == {"FINISHED"}
kinds = sorted(item["josh4d_kind"] for item in bpy.data.objects)
panels = [one for one in dir(bpy.types) if one.startswith("JOSH4D_PT_")]
foreign = [one for one in sys.modules if one.split(".")[0] == "josh_blender"]
bpy.ops.preferences.addon_disable(module=name)
left = [one for one in dir(bpy.types) if one.startswith("JOSH4D_")]
print("RESULT", kinds, "JOSH4D_PT_reconstruct" in panels, foreign, left)
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    output = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "build_extension.py"), "--output", str(output)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return next(output.glob("josh4d-*.zip"))


def test_the_zip_holds_the_extension_and_nothing_else(archive):
    names = zipfile.ZipFile(archive).namelist()
    assert {"__init__.py", "blender_manifest.toml", "josh_blender/scene4d/data/cc0_body.npz"} <= set(names)
    assert {name.split("/")[0] for name in names if "/" in name} == {"josh_blender", "operators", "panels"}
    assert not [name for name in names if name.endswith((".pyc", ".zip", ".blend", ".mp4")) or "/." in name]


def test_install_and_import(archive, tmp_path):
    pointer = pointer_path(write_scene(synthetic_scene(frame_count=3, points=9), tmp_path / "walk.scene4d"))
    script = tmp_path / "install.py"
    script.write_text(_SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(archive), str(pointer)], capture_output=True, text=True, timeout=120,
        env={**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path / "user")}, cwd=tmp_path,
    )  # fmt: skip
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT")), None)
    assert line, done.stdout + done.stderr
    kinds = sorted(["root", "camera", "cloud", "armature", "armature", "body", "body"])
    assert line == f"RESULT {kinds} True [] []"
