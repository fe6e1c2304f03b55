"""Reconstruct from Video in Blender, with an engine that only talks; timers do not run here, so `tick` is called."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from blender_helpers import make_plate, part  # noqa: E402
from conftest import ROOT  # noqa: E402
from fake_engine import make_fake_engine  # noqa: E402
from synthetic_scene import synthetic_scene  # noqa: E402

from josh_blender.scene4d.arrays import write_npz  # noqa: E402
from josh_blender.scene4d.files import write_scene  # noqa: E402

PACKAGE = "josh4d_jobs_under_test"


class Studio:
    """The extension, registered, with the fake engine and an image sequence as its source."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables = make_fake_engine(folder / "fake")
        self.job_queue = sys.modules[f"{PACKAGE}.operators.job_queue"]
        self.delivery = sys.modules[f"{PACKAGE}.operators.delivery"]
        environment = sys.modules[f"{PACKAGE}.josh_blender.jobs.environment"]
        engine = sys.modules[f"{PACKAGE}.operators.engine"]
        self.state = "ready"

        def choice(context: bpy.types.Context) -> object:
            python = Path(sys.executable)
            state = environment.EngineState(self.state, python, "No engine yet.", variables=self.variables)
            return engine.EngineChoice(state, "Set Up Engine (2 GB)")

        self.jobs.engine = choice
        scene4d = synthetic_scene(frame_count=6, points=30)
        self.scene = write_scene(scene4d, folder / "walk.scene4d")
        self.variables["FAKE_SCENE"] = str(self.scene)
        self.words = folder / "words"
        self.variables["FAKE_WORDS"] = str(self.words)
        (folder / "plate").mkdir()
        make_plate(folder / "plate", 64, 48, count=6)
        self.settings = bpy.context.scene.josh4d_reconstruct
        self.settings.source_kind = "SEQUENCE"
        self.settings.picture = str(folder / "plate" / "plate_0003.png")

    @property
    def jobs(self):
        return self.job_queue.jobs(bpy.context)

    @property
    def entries(self):
        return self.jobs.queue.entries

    def tick_until(self, condition, seconds: float = 30.0) -> None:
        limit = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < limit, [(entry.state, entry.error, entry.note) for entry in self.entries]
            self.job_queue.tick()
            time.sleep(0.01)

    def arguments(self) -> list[str]:
        return json.loads(self.words.read_text().splitlines()[-1])

    def hold(self) -> Path:
        """Let the engine wait for the end of a file."""
        path = self.folder / "hold"
        path.touch()
        self.variables["FAKE_HOLD"] = str(path)
        return path


def load(package: str):
    spec = importlib.util.spec_from_file_location(package, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    module = importlib.util.module_from_spec(spec)
    sys.modules[package] = module
    spec.loader.exec_module(module)
    module.register()
    return module


def unload(module) -> None:
    module.unregister()
    for name in [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]


@pytest.fixture
def studio(empty_file, tmp_path, monkeypatch):
    monkeypatch.setattr(bpy.utils, "user_resource", lambda kind, path="", create=False: str(tmp_path / "user" / path))
    module = load(PACKAGE)
    yield Studio(tmp_path)
    # A class still registered at exit makes Blender 4.5 hang.
    unload(module)


def preview_file(path: Path, people: int) -> Path:
    frames = 6
    poses = np.tile(np.eye(4), (frames, 1, 1))
    poses[:, 0, 3] = np.arange(frames)
    place = np.zeros((people, frames, 3))
    place[:, 0] = np.nan
    write_npz(
        path,
        {
            "frame": np.arange(1, frames + 1, dtype=np.int32),
            "world_from_camera": poses,
            "intrinsics": np.tile([60.0, 60.0, 32.0, 24.0], (frames, 1)),
            "size": np.array([64, 48], np.int32),
            "points": np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32),
            "color": np.zeros((20, 3), np.uint8),
            "person": np.arange(1, people + 1, dtype=np.int32),
            "height": np.full(people, 1.8),
            "place": place,
        },
    )
    return path


def test_video_becomes_a_scene_and_undo_takes_it_out_again(studio):
    bpy.ops.ed.undo_push(message="before")
    studio.settings.start_frame = 11
    assert bpy.ops.josh4d.reconstruct() == {"FINISHED"}
    studio.tick_until(lambda: not studio.entries)
    camera = part("camera")
    assert part("root")["josh4d_start_frame"] == 11
    assert bpy.context.scene.camera is camera
    bpy.ops.ed.undo()
    assert not [item for item in bpy.data.objects if "josh4d_kind" in item]
    bpy.ops.ed.redo()
    assert part("root")["josh4d_start_frame"] == 11


def test_settings_reach_the_engine(studio):
    settings = studio.settings
    settings.fps, settings.color_space = 23.976, "linear"
    settings.use_range, settings.start, settings.end = True, 2, 5
    settings.use_height, settings.height = True, 1.81
    settings.camera_mode, settings.lens, settings.sensor, settings.refine = "LENS", 28.0, 23.5, True
    settings.movement = "pan"
    settings.use_most, settings.most = True, 3
    settings.use_output, settings.output = True, str(studio.folder / "Ausgabe ü")
    bpy.ops.josh4d.reconstruct()
    studio.tick_until(lambda: not studio.entries)
    words = studio.arguments()
    assert words[-2:] == ["--refine", "--json"]
    given = dict(zip(words[2:-2:2], words[3:-2:2], strict=True))
    assert words[:2] == ["reconstruct", settings.picture]
    assert float(given.pop("--fps")) == pytest.approx(23.976, abs=1e-4)
    assert given == {
        "--output": str(studio.folder / "Ausgabe ü"), "--mode": "josh", "--preset": "preview", "--device": "auto",
        "--start": "2", "--end": "5", "--color-space": "linear", "--people": "3", "--height": "0=1.81",
        "--camera": "pan", "--lens": "28:23.5",
    }  # fmt: skip


def test_detect_first_then_only_who_counts(studio):
    people = studio.folder / "people.json"
    entries = [
        {"id": number, "first_frame": 1, "last_frame": 6, "reliable": number != 2, "reason": "hidden",
         "picture": "../escape.png"}
        for number in (1, 2, 3)
    ]  # fmt: skip
    people.write_text(json.dumps({"people": entries}))
    studio.variables["FAKE_PEOPLE"] = str(people)
    assert bpy.ops.josh4d.detect_people() == {"FINISHED"}
    studio.tick_until(lambda: not studio.entries)
    assert "--only-people" in studio.arguments()
    detected = studio.settings.detected
    listed = [(item.person, item.counts, item.picture) for item in detected]
    assert listed == [(1, True, ""), (2, False, ""), (3, True, "")]
    detected[0].height = 1.6
    bpy.ops.josh4d.reconstruct()
    studio.tick_until(lambda: not studio.entries)
    words = studio.arguments()
    assert words[words.index("--keep") + 1] == "1,3" and words[words.index("--height") + 1] == "1=1.6"
    for item in detected:
        item.counts = False
    with pytest.raises(RuntimeError, match="Nobody is ticked"):
        bpy.ops.josh4d.reconstruct()
    # People of another range are other people.
    studio.settings.use_range, studio.settings.start = True, 3
    bpy.ops.josh4d.reconstruct()
    studio.tick_until(lambda: not studio.entries)
    assert "--keep" not in studio.arguments()


def test_previews_come_are_replaced_and_go_with_the_result(studio):
    first = preview_file(studio.folder / "first.npz", 0)
    second = preview_file(studio.folder / "second.npz", 2)
    studio.variables["FAKE_PREVIEW"] = str(first)
    hold = studio.hold()
    mine = bpy.data.collections.new("Preview")
    bpy.ops.josh4d.reconstruct()
    studio.tick_until(lambda: studio.entries[0].shown == 1)
    names = {item.name for item in bpy.data.objects}
    assert names == {"Preview camera", "Preview points"}
    bpy.context.scene.frame_set(4)
    assert bpy.data.objects["Preview camera"].matrix_world.translation.x == pytest.approx(3.0)
    studio.entries[0].previews.append(("bodies", second))
    studio.job_queue.tick()
    people = {"Preview person 1", "Preview person 2"}
    assert {item.name for item in bpy.data.objects} == {"Preview camera", "Preview points", *people}
    assert len(bpy.data.collections) == 2
    bpy.context.view_layer.update()
    assert bpy.data.objects["Preview person 1"].dimensions.z == pytest.approx(1.8)
    hold.unlink()
    studio.tick_until(lambda: not studio.entries)
    assert [one for one in bpy.data.collections if one.get("josh4d_preview")] == []
    assert not [item for item in bpy.data.objects if item.name.startswith("Preview")]
    blocks = [*bpy.data.meshes, *bpy.data.actions, *bpy.data.cameras]
    assert not [one for one in blocks if one.name.startswith("Preview")]
    assert mine.name == "Preview"
    assert bpy.context.scene.camera is part("camera"), "the scene was empty but for the preview"


def test_cancel_removes_the_preview_and_continue_goes_on(studio):
    studio.variables["FAKE_PREVIEW"] = str(preview_file(studio.folder / "first.npz", 1))
    hold = studio.hold()
    bpy.ops.josh4d.reconstruct()
    studio.tick_until(lambda: studio.entries[0].shown == 1)
    entry = studio.entries[0]
    assert entry.stage == 1 and entry.reused == {0} and 0.0 < entry.meter.share < 1.0
    assert not bpy.ops.josh4d.reconstruct.poll()
    bpy.ops.josh4d.cancel_job(job=entry.id)
    studio.tick_until(lambda: entry.state == "cancelled")
    assert not bpy.data.objects
    hold.unlink()
    bpy.ops.josh4d.continue_job(job=entry.id)
    studio.tick_until(lambda: not studio.entries)
    assert part("camera")


def test_undo_brings_no_old_preview_back(studio):
    studio.variables["FAKE_PREVIEW"] = str(preview_file(studio.folder / "first.npz", 1))
    hold = studio.hold()
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.josh4d.reconstruct()
    studio.tick_until(lambda: studio.entries[0].shown == 1)
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("mine", None))
    bpy.ops.ed.undo_push(message="mine, while the preview is shown")
    hold.unlink()
    studio.tick_until(lambda: not studio.entries)
    bpy.ops.ed.undo()
    studio.job_queue.tick()
    assert [item.name for item in bpy.data.objects] == ["mine"] and not bpy.data.collections
    bpy.ops.ed.undo()
    assert not bpy.data.objects
    bpy.ops.ed.redo()
    bpy.ops.ed.redo()
    assert part("camera") and "mine" in bpy.data.objects


def test_jobs_run_one_after_another_and_waiting_ones_can_be_cancelled(studio):
    hold = studio.hold()
    bpy.ops.josh4d.reconstruct()
    studio.settings.use_output, studio.settings.output = True, str(studio.folder / "second")
    bpy.ops.josh4d.reconstruct()
    studio.settings.output = str(studio.folder / "third")
    bpy.ops.josh4d.reconstruct()
    first, second, third = studio.entries
    studio.tick_until(lambda: first.stage == 1)
    assert [entry.state for entry in studio.entries] == ["running", "waiting", "waiting"]
    bpy.ops.josh4d.cancel_job(job=third.id)
    assert third.state == "cancelled"
    hold.unlink()
    studio.tick_until(lambda: first not in studio.entries and second not in studio.entries)
    bpy.ops.josh4d.remove_job(job=third.id)
    assert not studio.entries and len(studio.words.read_text().splitlines()) == 2


def test_error_says_what_to_do_and_can_be_copied(studio):
    studio.variables["FAKE_ERROR"] = "no_room|The disk is full.|Choose another folder."
    bpy.ops.josh4d.reconstruct()
    studio.tick_until(lambda: studio.entries[0].ended)
    entry = studio.entries[0]
    assert entry.state == "failed" and entry.error.message == "The disk is full."
    bpy.ops.josh4d.copy_error(job=entry.id)
    assert bpy.ops.josh4d.choose_output(directory=str(studio.folder)) == {"FINISHED"}
    assert studio.settings.use_output and studio.settings.output == str(studio.folder)


def test_job_survives_another_file_and_its_result_waits_for_the_artist(studio):
    hold = studio.hold()
    bpy.ops.josh4d.reconstruct()
    studio.tick_until(lambda: studio.entries[0].stage == 1)
    # Another unsaved file with a scene of the same name must not get it.
    bpy.ops.wm.read_factory_settings(use_empty=True)
    hold.unlink()
    studio.tick_until(lambda: studio.entries[0].delivered)
    entry = studio.entries[0]
    assert not bpy.data.objects and "not open" in entry.note
    assert bpy.ops.josh4d.import_result(job=entry.id) == {"FINISHED"}
    assert part("camera") and not studio.entries


def test_result_enters_the_saved_file_that_asked_after_it_was_opened_again(studio):
    hold = studio.hold()
    path = str(studio.folder / "shot.blend")
    bpy.context.scene.name = "Shot"
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.josh4d.reconstruct()
    assert studio.entries[0].request.command[-1] == "--json"
    studio.tick_until(lambda: studio.entries[0].stage == 1)
    bpy.ops.wm.open_mainfile(filepath=path)
    bpy.context.window.scene = bpy.data.scenes.new("Other")
    hold.unlink()
    studio.tick_until(lambda: not studio.entries)
    assert part("root").users_scene == (bpy.data.scenes["Shot"],)


def test_nothing_enters_while_blender_is_busy(studio, monkeypatch):
    monkeypatch.setattr(studio.delivery, "is_busy", lambda context: True)
    bpy.ops.josh4d.reconstruct()
    studio.tick_until(lambda: studio.entries[0].state == "finished")
    studio.job_queue.tick()
    assert not bpy.data.objects and not studio.entries[0].delivered
    monkeypatch.setattr(studio.delivery, "is_busy", lambda context: False)
    studio.tick_until(lambda: not studio.entries)
    assert part("camera")


def test_undo_does_not_rewind_the_job(studio):
    hold = studio.hold()
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.josh4d.reconstruct()
    studio.tick_until(lambda: studio.entries[0].stage == 1)
    bpy.data.objects.new("mine", None)
    bpy.ops.ed.undo_push(message="mine")
    bpy.ops.ed.undo()
    assert "mine" not in bpy.data.objects and studio.entries[0].state == "running"
    hold.unlink()
    studio.tick_until(lambda: not studio.entries)
    assert part("camera")


def test_unregistering_ends_the_engine_and_the_next_start_offers_to_continue(empty_file, tmp_path, monkeypatch):
    monkeypatch.setattr(bpy.utils, "user_resource", lambda kind, path="", create=False: str(tmp_path / "user" / path))
    module = load(PACKAGE)
    studio = Studio(tmp_path)
    hold = studio.hold()
    bpy.ops.josh4d.reconstruct()
    studio.tick_until(lambda: studio.entries[0].stage == 1)
    child = studio.jobs.queue._job.process_id
    command = studio.entries[0].request.command
    unload(module)
    assert not Path(f"/proc/{child}").exists() or sys.platform != "linux"
    assert not hasattr(bpy.types.WindowManager, "josh4d_jobs")
    module = load(PACKAGE)
    try:
        here = bpy.context.window_manager.josh4d_jobs
        assert [lost.request.command for lost in here.lost] == [command]
        hold.unlink()
        bpy.ops.josh4d.continue_lost_job(index=0)
        assert here.lost == [] and here.queue.entries[0].request.command == command
        tick = sys.modules[f"{PACKAGE}.operators.job_queue"].tick
        limit = time.monotonic() + 30
        while not (here.queue.entries and here.queue.entries[0].ended):
            assert time.monotonic() < limit
            tick()
        assert list((tmp_path / "user" / "josh4d" / "jobs").iterdir()) == []
    finally:
        unload(module)


def test_reasons_why_the_button_is_grey(studio):
    settings = studio.settings
    assert bpy.ops.josh4d.reconstruct.poll()
    studio.state = "missing"
    assert not bpy.ops.josh4d.reconstruct.poll()
    studio.state = "ready"
    settings.use_range, settings.start, settings.end = True, 5, 2
    assert not bpy.ops.josh4d.reconstruct.poll()
    settings.use_range = False
    settings.camera_mode = "GIVEN"
    assert not bpy.ops.josh4d.reconstruct.poll()
    settings.camera_mode = "SOLVE"
    settings.picture = str(studio.folder / "absent.png")
    assert "absent.png" in settings.problem and not bpy.ops.josh4d.reconstruct.poll()
    settings.picture = ""
    assert not bpy.ops.josh4d.reconstruct.poll()


def test_source_is_measured_and_leaves_no_datablock(studio):
    settings = studio.settings
    assert (settings.width, settings.height_px, settings.first, settings.last) == (64, 48, 0, 5)
    assert [image.name for image in bpy.data.images] == ["plate"] and not bpy.data.movieclips
    settings.source_kind = "CLIP"
    settings.clip = bpy.data.movieclips.load(str(studio.folder / "plate" / "plate_0002.png"))
    settings.clip.frame_start = 101
    settings.use_range, settings.start, settings.end = True, 3, 5
    # The clip begins with picture 2 at frame 101, so picture 3 is shown at 102.
    assert settings.is_sequence and settings.blender_start() == 102
    bpy.ops.josh4d.reconstruct()
    studio.tick_until(lambda: not studio.entries)
    assert part("root")["josh4d_start_frame"] == 102


def test_settings_are_saved_with_the_file(studio):
    studio.settings.use_height, studio.settings.height = True, 1.66
    path = str(studio.folder / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert not bpy.context.scene.josh4d_reconstruct.use_height
    bpy.ops.wm.open_mainfile(filepath=path)
    assert bpy.context.scene.josh4d_reconstruct.height == pytest.approx(1.66)


def test_log_is_shown_in_an_open_text_editor(studio):
    hold = studio.hold()
    bpy.ops.josh4d.reconstruct()
    studio.tick_until(lambda: studio.entries[0].stage == 1)
    entry = studio.entries[0]
    entry.log = studio.folder / "engine.log"
    entry.log.write_text("first line\nzweite Zeile ü\n", encoding="utf-8")
    area = bpy.context.window.screen.areas[0]
    area.type = "TEXT_EDITOR"
    for _ in range(2):
        assert bpy.ops.josh4d.open_log(job=entry.id) == {"FINISHED"}
    assert len(bpy.data.texts) == 1 and "zweite Zeile ü" in area.spaces.active.text.as_string()
    hold.unlink()
    studio.tick_until(lambda: not studio.entries)


def test_dropped_video_is_chosen(studio):
    with pytest.raises(RuntimeError, match="absent"):
        bpy.ops.josh4d.video_as_scene("EXEC_DEFAULT", filepath=str(studio.folder / "absent.mp4"))
    handlers = [one for one in bpy.types.FileHandler.__subclasses__() if one.__name__ == "JOSH4D_FH_video"]
    assert ".mp4" in handlers[0].bl_file_extensions


def test_given_camera_is_what_blender_renders(studio):
    given = sys.modules[f"{PACKAGE}.josh_blender.blend.given_camera"]
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    bpy.context.scene.collection.objects.link(camera)
    camera.data.lens, camera.data.shift_x, camera.data.shift_y = 42.0, 0.1, -0.05
    camera.scale = (2.0, 2.0, 2.0)
    camera.keyframe_insert("location", frame=1)
    camera.location, camera.rotation_euler = (3.0, -2.0, 1.0), (1.1, 0.2, 0.7)
    camera.keyframe_insert("location", frame=11)
    bpy.context.scene.frame_set(5, subframe=0.25)
    poses, intrinsics = given.camera_matrices(bpy.context, camera, range(1, 12), 640, 480)
    assert (bpy.context.scene.frame_current, bpy.context.scene.frame_subframe) == (5, 0.25)
    bpy.context.scene.frame_set(11)
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y = 640, 480
    for point in ((0.4, 3.0, 1.5), (-2.0, 6.0, 0.3)):
        seen = world_to_camera_view(bpy.context.scene, camera, Vector(point))
        local = np.linalg.inv(poses[-1]) @ [*point, 1.0]
        fx, fy, cx, cy = intrinsics[-1]
        pixel = fx * local[0] / local[2] + cx, fy * local[1] / local[2] + cy
        assert pixel == pytest.approx((seen.x * 640, (1.0 - seen.y) * 480), abs=1e-2)
        assert local[2] == pytest.approx(seen.z, abs=1e-4)
