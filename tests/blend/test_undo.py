"""Every operator that changes the file: run, undone and redone, and everything in the file compared each time."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from blender_helpers import make_plate, part  # noqa: E402
from conftest import ROOT  # noqa: E402
from file_arrays import differences, file_arrays  # noqa: E402
from synthetic_scene import synthetic_scene  # noqa: E402

from josh_blender.scene4d.files import write_scene  # noqa: E402
from josh_blender.scene4d.source_identity import source_files, source_identity  # noqa: E402

PACKAGE = "josh4d_undo_under_test"
SAMPLE = ROOT / "bench" / "sample" / "data" / "sample.mp4"


class Bench:
    """The extension registered, a scene's folder beside its plate, and a queue that starts nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "plates").mkdir()
        make_plate(folder / "plates", 64, 48, count=6)
        self.write(0)
        self.jobs = sys.modules[f"{PACKAGE}.operators.job_queue"].jobs(bpy.context)
        environment = sys.modules[f"{PACKAGE}.josh_blender.jobs.environment"]
        engine = sys.modules[f"{PACKAGE}.operators.engine"]
        ready = engine.EngineChoice(environment.EngineState("ready", Path(sys.executable), "…"))
        self.jobs.engine = lambda context: ready

    @property
    def scene(self) -> Path:
        return self.folder / "walk.scene4d"

    def write(self, seed: int) -> None:
        scene4d = synthetic_scene(name="walk", frame_count=6, first_frame=0, points=30 + seed, seed=seed)
        first = self.folder / "plates" / "plate_0000.png"
        scene4d.source.kind, scene4d.source.absolute_path = "images", str(first.parent)
        scene4d.source.identity = source_identity(source_files(first))
        write_scene(scene4d, self.scene)

    def imported(self) -> None:
        bpy.ops.josh4d.import_scene(filepath=str(self.scene / "scene.json"))
        bpy.context.view_layer.objects.active = part("armature", 1)

    def job(self, kind: str, result: Path) -> int:
        """A finished job in the queue; gives its number."""
        request = sys.modules[f"{PACKAGE}.josh_blender.jobs.queue"].JobRequest(
            label="walk", command=("engine", "walk"), environment={}, log=None, kind=kind
        )
        entry = self.jobs.queue.add(request)
        entry.state, entry.result = "finished", result
        return entry.id


def run_import_scene(bench):
    return lambda: bpy.ops.josh4d.import_scene(filepath=str(bench.scene / "scene.json"), start_frame=5, scale=2.0)


def run_fit_skeleton(bench):
    bench.imported()
    part("body", 1).data.shape_keys.key_blocks["beta0"].value = 2.0
    return bpy.ops.josh4d.fit_skeleton


def run_select_scene(bench):
    bench.imported()
    identity = part("root")["josh4d_scene"]
    return lambda: bpy.ops.josh4d.select_scene(identity=identity)


def run_update_scene(bench):
    bench.imported()
    bench.write(3)
    return bpy.ops.josh4d.update_scene


def run_choose_take(bench):
    bench.imported()
    action = part("armature", 1).animation_data.action
    action.layers[0].strips[0].channelbags[0].fcurves[0].keyframe_points[0].co.y += 1.0
    bench.write(3)
    bpy.ops.josh4d.update_scene()
    owner = part("armature", 1).name
    return lambda: bpy.ops.josh4d.choose_take(owner=owner, choice="NEW")


def run_find_plate(bench):
    bench.imported()
    moved = bench.folder / "moved"
    shutil.copytree(bench.folder / "plates", moved)
    return lambda: bpy.ops.josh4d.find_plate(filepath=str(moved))


def run_find_scene(bench):
    bench.imported()
    moved = bench.folder / "moved"
    moved.mkdir()
    bench.scene.rename(moved / "walk.scene4d")
    return lambda: bpy.ops.josh4d.find_scene(filepath=str(bench.folder))


def run_remove_scene(bench):
    bench.imported()
    prop = bpy.data.objects.new("prop", None)
    bpy.context.scene.collection.objects.link(prop)
    prop.parent = part("armature", 1)
    return bpy.ops.josh4d.remove_scene


def run_import_result(bench):
    number = bench.job("reconstruct", bench.scene)
    return lambda: bpy.ops.josh4d.import_result(job=number)


def run_list_people(bench):
    path = bench.folder / "people.json"
    person = {"id": 1, "first_frame": 0, "last_frame": 5, "reliable": True, "reason": "", "picture": "1.png"}
    path.write_text(json.dumps({"people": [person]}))
    number = bench.job("detect", path)
    return lambda: bpy.ops.josh4d.list_people(job=number)


def run_choose_output(bench):
    return lambda: bpy.ops.josh4d.choose_output(directory=str(bench.folder))


def run_video_as_scene(bench):
    return lambda: bpy.ops.josh4d.video_as_scene("EXEC_DEFAULT", filepath=str(SAMPLE))


def run_try_sample(bench):
    return lambda: bpy.ops.josh4d.try_sample(directory=str(bench.folder / "sample"))


def _in_editor(kind, prepare, run):
    """Run in an area that shows an editor of a kind."""
    area = bpy.context.window_manager.windows[0].screen.areas[0]
    before, area.type = area.type, kind
    try:
        with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=area):
            prepare(area.spaces.active)
            return run()
    finally:
        area.type = before


def run_reconstruct_clip(bench):
    clip = bpy.data.movieclips.load(str(SAMPLE))
    clip.use_fake_user = True
    name = clip.name
    return lambda: _in_editor(
        "CLIP_EDITOR",
        lambda space: setattr(space, "clip", bpy.data.movieclips[name]),
        bpy.ops.josh4d.reconstruct_clip,
    )


def run_open_log(bench):
    (bench.scene / "run.log").write_text("all is well\n")
    number = bench.job("reconstruct", bench.scene)
    return lambda: _in_editor("TEXT_EDITOR", lambda space: None, lambda: bpy.ops.josh4d.open_log(job=number))


RECIPES = {name.removeprefix("run_"): value for name, value in list(globals().items()) if name.startswith("run_")}


@pytest.fixture
def bench(empty_file, tmp_path, monkeypatch):
    monkeypatch.setattr(bpy.utils, "user_resource", lambda kind, path="", create=False: str(tmp_path / "user" / path))
    spec = importlib.util.spec_from_file_location(PACKAGE, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)
    module.register()
    yield Bench(tmp_path)
    # A class still registered at exit makes Blender 4.5 hang.
    module.unregister()
    for name in [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]


def test_every_operator_with_undo_has_a_recipe(bench):
    names = {
        name
        for name in dir(bpy.ops.josh4d)
        if "UNDO" in getattr(bpy.types, f"JOSH4D_OT_{name}").bl_options
    }  # fmt: skip
    assert names == set(RECIPES)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_undo_and_redo(bench, name):
    run = RECIPES[name](bench)
    bpy.ops.ed.undo_push(message="before")
    before = file_arrays()
    assert run() == {"FINISHED"}
    bpy.ops.ed.undo_push(message="after")
    after = file_arrays()
    assert differences(before, after), "the operator changed nothing"
    bpy.ops.ed.undo()
    assert differences(before, file_arrays()) == []
    bpy.ops.ed.redo()
    assert differences(after, file_arrays()) == []
