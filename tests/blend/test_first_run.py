"""The sample clip, the help, and settings kept under a name."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from test_reconstruct import PACKAGE, Studio, studio  # noqa: E402, F401


def test_the_sample_clip_is_copied_and_chosen(studio: Studio) -> None:  # noqa: F811
    folder = studio.folder / "a sample, ü"
    assert bpy.ops.josh4d.try_sample(directory=str(folder)) == {"FINISHED"}
    assert (studio.settings.source_kind, studio.settings.count) == ("VIDEO", 120)
    assert studio.settings.source == folder / "sample.mp4"
    changed = (folder / "sample.mp4").stat().st_mtime_ns
    assert bpy.ops.josh4d.try_sample(directory=str(folder)) == {"FINISHED"}
    assert (folder / "sample.mp4").stat().st_mtime_ns == changed, "it was there already"


def test_a_folder_that_cannot_be_made_is_said(studio: Studio) -> None:  # noqa: F811
    (studio.folder / "file").write_text("")
    with pytest.raises(RuntimeError, match="Choose another folder"):
        bpy.ops.josh4d.try_sample(directory=str(studio.folder / "file" / "below"))
    assert studio.settings.source_kind == "SEQUENCE", "nothing was changed"


def test_help_opens_a_page_that_is_there(studio: Studio, monkeypatch) -> None:  # noqa: F811
    first_run = sys.modules[f"{PACKAGE}.operators.first_run"]
    assert first_run._first_there(first_run._PAGES).name == "first_steps.md"
    monkeypatch.setattr(first_run, "_PAGES", (studio.folder / "none.html",))
    with pytest.raises(RuntimeError, match="install the extension again"):
        bpy.ops.josh4d.open_help()


def test_settings_are_kept_under_a_name(studio: Studio) -> None:  # noqa: F811
    """What describes the camera and the people comes back; the video, the range and the output stay as they are."""
    settings = studio.settings
    presets = sys.modules[f"{PACKAGE}.operators.reconstruct_presets"]
    kept = {"use_height": True, "height": 1.81, "camera_mode": "LENS", "lens": 24.0, "use_most": True, "most": 3}
    for name, value in kept.items():
        setattr(settings, name, value)
    before = {name: getattr(settings, name) for name in presets.NAMES}
    (studio.folder / "user" / "presets" / "josh4d" / "reconstruct").mkdir(parents=True)
    assert bpy.ops.josh4d.add_reconstruct_preset(name="Tall with 24 mm") == {"FINISHED"}
    (path,) = (studio.folder / "user").rglob("*.py")
    assert path.parent.parts[-3:] == ("presets", "josh4d", "reconstruct")
    for name, value in {"use_height": False, "height": 1.5, "camera_mode": "SOLVE", "lens": 50.0, "most": 1}.items():
        setattr(settings, name, value)
    picture = settings.picture
    settings.use_range, settings.start = True, 2
    bpy.ops.script.execute_preset(filepath=str(path), menu_idname="JOSH4D_PT_reconstruct_presets")
    assert {name: getattr(settings, name) for name in presets.NAMES} == before
    assert (settings.picture, settings.use_range, settings.start) == (picture, True, 2)


def test_the_presets_that_come_with_the_extension(studio: Studio) -> None:  # noqa: F811
    folders = bpy.utils.preset_paths("josh4d/reconstruct")
    files = [path for folder in folders for path in sorted(Path(folder).glob("*.py"))]
    assert len(files) == 3
    seen = set()
    for path in files:
        done = bpy.ops.script.execute_preset(filepath=str(path), menu_idname="JOSH4D_PT_reconstruct_presets")
        assert done == {"FINISHED"}
        seen.add((studio.settings.camera_mode, studio.settings.movement))
    assert seen == {("SOLVE", "static"), ("SOLVE", "pan"), ("LENS", "auto")}


def test_the_panel_offers_what_the_engine_can_do(studio: Studio) -> None:  # noqa: F811
    """A preset whose backends all exist is offered, and no other."""
    engine = sys.modules[f"{PACKAGE}.operators.reconstruct"].__package__.rpartition(".")[0]
    presets = importlib.import_module(f"{engine}.josh_blender.engine.presets")
    complete = [name for name, stages in presets.PRESETS.items() if set(stages.items()) <= set(presets.BACKENDS)]
    offered = studio.settings.bl_rna.properties["preset"].enum_items.keys()
    assert offered == complete
    bpy.ops.josh4d.reconstruct()
    studio.tick_until(lambda: not studio.entries)
    words = studio.arguments()
    assert words[words.index("--mode") + 1] == "josh" and words[words.index("--preset") + 1] == "preview"


def test_every_setting_is_either_of_a_preset_or_of_the_shot(studio: Studio) -> None:  # noqa: F811
    """A new setting must be put on one of the two sides."""
    presets = sys.modules[f"{PACKAGE}.operators.reconstruct_presets"]
    of_the_shot = {
        *("source_kind", "video", "picture", "clip", "use_range", "start", "end", "start_frame", "camera"),
        *("detected", "detected_for", "use_output", "output"),
        *("width", "height_px", "first", "last", "count", "problem"),
    }
    every = {item.identifier for item in studio.settings.bl_rna.properties} - {"rna_type", "name"}
    assert every == of_the_shot | set(presets.NAMES)


def test_the_fast_mode_asks_for_weights_and_passes_them_on(studio: Studio) -> None:  # noqa: F811
    """Without weights the button says which are missing; chosen once, they are the preferences', for every scene."""
    studio.settings.mode = "josh3r"
    reconstruct = sys.modules[f"{PACKAGE}.operators.reconstruct"]
    assert reconstruct.problem_of(bpy.context) == "Choose the JOSH3R weights first"
    weights = studio.folder / "josh3r.safetensors"
    weights.write_bytes(b"")
    choice = replace(studio.jobs.engine(bpy.context), weights={"josh3r": weights})
    studio.jobs.engine = lambda context: choice
    assert reconstruct.problem_of(bpy.context) == ""
    bpy.ops.josh4d.reconstruct()
    studio.tick_until(lambda: not studio.entries)
    words = studio.arguments()
    assert words[words.index("--mode") + 1] == "josh3r"
    assert words[words.index("--josh3r-weights") + 1] == str(weights)


def test_modes_presets_and_weights_are_those_of_the_engine(studio: Studio) -> None:  # noqa: F811
    module = sys.modules[f"{PACKAGE}.operators.reconstruct"].__package__.rpartition(".")[0]
    presets = importlib.import_module(f"{module}.josh_blender.engine.presets")
    assert studio.settings.bl_rna.properties["mode"].enum_items.keys() == list(presets.MODES)
    table = sys.modules[f"{PACKAGE}.josh_blender.jobs.known_weights"]
    names = [entry.name for entry in table.KNOWN]
    assert {table.needed_weights(mode, "preview") for mode in presets.MODES} <= {"", *names}
    operator = bpy.ops.josh4d.choose_weights.get_rna_type()
    assert operator.properties["network"].enum_items.keys() == names
