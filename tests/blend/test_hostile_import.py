"""Folders from strangers through Blender's own importer: refused in a sentence, with nothing left in the file."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from hostile_scenes import HOSTILE, WAS_HERE, edit_json, replace_array  # noqa: E402
from random_scene import make_scene  # noqa: E402
from test_operators import extension  # noqa: E402, F401

from josh_blender.scene4d.files import write_scene  # noqa: E402


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_scene(make_scene(), tmp_path_factory.mktemp("written") / "walk.scene4d")


@pytest.fixture
def folder(written, tmp_path):
    return Path(shutil.copytree(written, tmp_path / written.name))


def contents() -> dict[str, int]:
    """How many datablocks of each kind the file has."""
    return {
        name: len(getattr(bpy.data, name))
        for name in ("objects", "meshes", "armatures", "actions", "cameras", "collections", "movieclips", "images")
    }


def refusal(folder: Path) -> str:
    """What the import operator reports as its error."""
    with pytest.raises(RuntimeError) as caught:
        bpy.ops.josh4d.import_scene(filepath=str(folder / "scene.json"))
    return str(caught.value).strip()


def test_hostile_folders_are_refused_in_a_sentence(extension, written, tmp_path):  # noqa: F811
    before = contents()
    for number, (case, damage) in enumerate(HOSTILE.items()):
        folder = tmp_path / str(number) / written.name
        shutil.copytree(written, folder)
        damage(folder)
        said = refusal(folder)
        assert said.startswith("Error: ") and said.endswith(".") and "\n" not in said, (case, said)
        assert "Traceback" not in said and len(said) < 600, (case, said)
        assert contents() == before, case
    assert not WAS_HERE.exists()


STRANGE = {
    "label of a megabyte": lambda f: edit_json(f, lambda d: d["people"][0].update(label="x" * 1_000_000)),
    "label in two lines": lambda f: edit_json(f, lambda d: d["people"][0].update(label="a\n\tb")),
    "no label": lambda f: edit_json(f, lambda d: d["people"][0].update(label="")),
    "label of right-to-left marks": lambda f: edit_json(f, lambda d: d["people"][0].update(label="\u202e\u200f")),
    "endless lists of warnings": lambda f: edit_json(f, lambda d: d.update(warnings=["w"] * 2000)),
    "source at a device": lambda f: edit_json(f, lambda d: d["source"].update(absolute_path=os.devnull, path="")),
    "source climbs out": lambda f: edit_json(f, lambda d: d["source"].update(path="../" * 40 + "etc/passwd")),
    "plate that is no video": lambda f: edit_json(f, lambda d: d.update(plate="cloud.ply")),
    "plate that is not there": lambda f: edit_json(f, lambda d: d.update(plate="none.mp4")),
    "largest picture": lambda f: edit_json(f, lambda d: d["source"].update(width=100_000, height=100_000)),
    "slowest film": lambda f: edit_json(f, lambda d: d["source"].update(fps_num=1, fps_den=2**31 - 1)),
    "fastest film": lambda f: edit_json(f, lambda d: d["source"].update(fps_num=100_000, fps_den=1)),
    "lens of a point": lambda f: replace_array(f, "camera.npz", "intrinsics", np.full((12, 4), 1e-300)),
    "longest shot": lambda f: replace_array(
        f, "camera.npz", "frame", np.concatenate([np.arange(30, 41), [1_048_000]]).astype(np.int64)
    ),
    "betas beyond the shipped body": lambda f: (
        (f / "people" / "02" / "body.npz").unlink(),
        replace_array(f, "people/02/motion.npz", "betas", np.zeros(200, np.float32)),
    ),
    "body id is a path": lambda f: (
        (f / "people" / "02" / "body.npz").unlink(),
        replace_array(f, "people/02/motion.npz", "body_id", np.array("../../body")),
    ),
    "masks are a file": lambda f: (f / "masks").write_text("no folder"),
    "edits are not JSON": lambda f: (f / "edits.json").write_bytes(b"\xff" * 1000),
}
if sys.platform != "win32":
    STRANGE |= {
        "plate is a pipe": lambda f: (edit_json(f, lambda d: d.update(plate="p.mp4")), os.mkfifo(f / "p.mp4")),
        "plate is a device": lambda f: (
            edit_json(f, lambda d: d.update(plate="p.mp4")),
            (f / "p.mp4").symlink_to("/dev/zero"),
        ),
        "source is a pipe": lambda f: (
            edit_json(f, lambda d: d["source"].update(path="pipe.mp4")),
            os.mkfifo(f / "pipe.mp4"),
        ),
        "masks link to themselves": lambda f: (f / "masks").symlink_to(f / "masks"),
    }  # fmt: skip


@pytest.mark.parametrize("case", STRANGE)
def test_strange_folders_are_imported_or_refused_in_a_sentence(extension, folder, case):  # noqa: F811
    """What the format allows, however odd: no exception, and the scene can be updated, played and removed."""
    STRANGE[case](folder)
    before = contents()
    try:
        assert bpy.ops.josh4d.import_scene(filepath=str(folder / "scene.json")) == {"FINISHED"}
    except RuntimeError as error:
        # Warnings are reported as well; with them, the import has still ended.
        said = str(error)
        assert "Traceback" not in said and said.startswith("Error: "), said
        assert contents() == before, said
        return
    bpy.context.scene.frame_set(20)
    assert bpy.ops.josh4d.import_scene(filepath=str(folder / "scene.json")) == {"FINISHED"}
    assert sum(item.get("josh4d_kind") == "root" for item in bpy.data.objects) == 1
