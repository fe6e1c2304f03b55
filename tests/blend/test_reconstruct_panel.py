"""What the panels show in each state. Panels are not drawn without a window, so their layout is recorded instead."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from test_reconstruct import PACKAGE, Studio, studio  # noqa: E402, F401


class Layout:
    """Takes every call of a ``UILayout``; notes texts and operators, and refuses properties that do not exist."""

    def __init__(self, notes: SimpleNamespace) -> None:
        object.__setattr__(self, "notes", notes)

    def _part(self, **_options: object) -> Layout:
        return Layout(self.notes)

    row = column = box = split = _part

    def label(self, text: str = "", icon: str = "NONE", translate: bool = True) -> None:
        self.notes.texts.append(text)

    def progress(self, factor: float, text: str, translate: bool = True) -> None:
        assert 0.0 <= factor <= 1.0
        self.notes.texts.append(text)

    def operator(self, name: str, **options: object) -> SimpleNamespace:
        assert name.partition(".")[2] in dir(bpy.ops.josh4d), name
        self.notes.operators.append(name.removeprefix("josh4d."))
        self.notes.texts.append(str(options.get("text") or ""))
        return SimpleNamespace()

    def prop(self, owner: object, name: str, **_options: object) -> None:
        assert name in owner.bl_rna.properties
        self.notes.properties.append(name)

    def template_ID(self, owner: object, name: str, **_options: object) -> None:
        self.prop(owner, name)

    def template_icon(self, icon_value: int, scale: float) -> None:
        self.notes.texts.append("picture")


def drawn(*names: str) -> SimpleNamespace:
    """What the panels put into their layouts."""
    notes = SimpleNamespace(texts=[], operators=[], properties=[])
    module = sys.modules[f"{PACKAGE}.panels.reconstruct"]
    for name in names or [one.__name__ for one in module.CLASSES if not hasattr(one, "preset_subdir")]:
        panel = getattr(module, name)
        fake = SimpleNamespace(layout=Layout(notes), pictures=None)
        for helper in ("_draw_person", "_picture"):
            if hasattr(panel, helper):
                setattr(fake, helper, getattr(panel, helper).__get__(fake))
        panel.draw(fake, bpy.context)
    return notes


MAIN = "JOSH4D_PT_reconstruct"


def test_one_button_that_first_sets_up_the_engine(studio: Studio) -> None:  # noqa: F811
    assert "reconstruct" in drawn(MAIN).operators
    studio.state = "missing"
    assert drawn(MAIN).operators == ["set_up_engine"]
    assert "Set Up Engine (2 GB)" in drawn(MAIN).texts


@pytest.mark.parametrize("kind", ["VIDEO", "SEQUENCE", "CLIP"])
@pytest.mark.parametrize("camera", ["SOLVE", "LENS", "GIVEN"])
def test_every_setting_that_is_drawn_exists(studio: Studio, kind: str, camera: str) -> None:  # noqa: F811
    studio.settings.camera_mode = camera
    studio.settings.source_kind = kind
    shown = drawn().properties
    assert ("fps" in shown) == (kind == "SEQUENCE")
    assert ("lens" in shown, "camera" in shown) == (camera == "LENS", camera == "GIVEN")


def test_a_job_from_start_to_end(studio: Studio) -> None:  # noqa: F811
    hold = studio.hold()
    bpy.ops.josh4d.reconstruct()
    studio.settings.use_output, studio.settings.output = True, str(studio.folder / "other")
    bpy.ops.josh4d.reconstruct()
    entry = studio.entries[0]
    studio.tick_until(lambda: entry.meter.stage_share > 0)
    notes = drawn(MAIN)
    assert "reconstruct" not in notes.operators, "its progress stands in the button's place"
    assert {"cancel_job", "open_log"} <= set(notes.operators)
    assert {"Read the Video", "Find the People", "50%"} <= set(notes.texts)
    studio.settings.use_range, studio.settings.start = True, 2
    assert "reconstruct" in drawn(MAIN).operators, "another range can be queued"
    bpy.ops.josh4d.cancel_job(job=studio.entries[1].id)
    bpy.ops.josh4d.cancel_job(job=entry.id)
    assert "Stopping" in drawn(MAIN).texts
    studio.tick_until(lambda: entry.ended)
    notes = drawn(MAIN)
    assert {"continue_job", "remove_job"} <= set(notes.operators) and "import_result" not in notes.operators
    hold.unlink()


def test_the_first_run_offers_a_clip_and_help(studio: Studio) -> None:  # noqa: F811
    assert "try_sample" not in drawn(MAIN).operators
    studio.settings.source_kind, studio.settings.video = "VIDEO", ""
    assert {"try_sample", "open_help"} <= set(drawn(MAIN).operators)


def test_an_error_with_the_button_that_helps(studio: Studio) -> None:  # noqa: F811
    studio.variables["FAKE_ERROR"] = "no_room|The disk is full.|Choose another folder."
    bpy.ops.josh4d.reconstruct()
    studio.tick_until(lambda: studio.entries[0].ended)
    notes = drawn(MAIN)
    assert {"copy_error", "choose_output", "continue_job"} <= set(notes.operators)
    assert {"The disk is full.", "Choose another folder."} <= set(notes.texts)


def test_people_and_room(studio: Studio) -> None:  # noqa: F811
    people = studio.folder / "people.json"
    person = {"id": 1, "first_frame": 0, "last_frame": 5, "reliable": False, "reason": "hidden", "picture": ""}
    people.write_text(json.dumps({"people": [person]}))
    studio.variables["FAKE_PEOPLE"] = str(people)
    bpy.ops.josh4d.detect_people()
    studio.tick_until(lambda: not studio.entries)
    notes = drawn()
    assert {"Frames 0 to 5", "hidden"} <= set(notes.texts) and "counts" in notes.properties
    assert any(text.startswith("At most 150 MB needed, ") for text in notes.texts)
    studio.settings.use_most = True
    assert "Found for another source or range" in drawn("JOSH4D_PT_detect").texts


def test_what_an_earlier_blender_left(studio: Studio) -> None:  # noqa: F811
    records = sys.modules[f"{PACKAGE}.josh_blender.jobs.records"]
    queue = sys.modules[f"{PACKAGE}.josh_blender.jobs.queue"]
    lost = records.LostJob(queue.JobRequest("clip.mp4", ("x",)), studio.folder / "a.job.json")
    studio.jobs.lost.append(lost)
    notes = drawn(MAIN)
    assert {"continue_lost_job", "forget_lost_job"} <= set(notes.operators)
    assert "clip.mp4 was not finished when Blender ended." in " ".join(notes.texts)
    bpy.ops.josh4d.forget_lost_job(index=0)
    assert not studio.jobs.lost
