"""What the panel 4D Scenes shows in each state, with a recorded layout, and what its list does."""

from __future__ import annotations

import shutil
import sys
from types import SimpleNamespace

import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from blender_helpers import part  # noqa: E402
from test_undo import PACKAGE, Bench, bench  # noqa: E402, F401


class Layout:
    """Takes every call of a ``UILayout``; notes texts and operators with what is set on them."""

    def __init__(self, notes):
        self.notes = notes

    def _part(self, **_options):
        return Layout(self.notes)

    row = column = box = _part

    def icon(self, _item):
        return 1

    def label(self, text="", icon="NONE", translate=True):
        self.notes.texts.append(text)

    def operator(self, name, **_options):
        assert name.partition(".")[2] in dir(bpy.ops.josh4d), name
        properties = SimpleNamespace()
        self.notes.operators.append((name.removeprefix("josh4d."), properties))
        return properties

    def prop(self, owner, name, **_options):
        assert name in owner.bl_rna.properties

    def template_list(self, *arguments, **_options):
        self.notes.lists.append(arguments)

    def template_icon(self, icon_value, scale):
        assert icon_value


def panel():
    return sys.modules[f"{PACKAGE}.panels.scenes"].JOSH4D_PT_scenes


def drawn():
    notes = SimpleNamespace(texts=[], operators=[], lists=[])
    panel().look.forget()
    panel().draw(SimpleNamespace(layout=Layout(notes), look=panel().look), bpy.context)
    return notes


def names(notes):
    return [name for name, _ in notes.operators]


def test_an_empty_file(bench: Bench):  # noqa: F811
    notes = drawn()
    assert names(notes) == ["reconstruct", "import_scene"]
    assert notes.lists == []


def test_all_is_well(bench: Bench):  # noqa: F811
    bench.imported()
    notes = drawn()
    assert names(notes) == ["reconstruct", "import_scene", "update_scene", "remove_scene"]
    assert notes.texts == ["Up to date"]


def test_what_is_missing_is_said_with_its_button(bench: Bench):  # noqa: F811
    bench.imported()
    (bench.folder / "plates").rename(bench.folder / "moved")
    shutil.rmtree(bench.scene)
    notes = drawn()
    assert notes.texts == ["Scene folder missing", "Plate missing"]
    assert names(notes)[:2] == ["find_plate", "find_scene"]


def test_a_newer_take_and_uncertain_people(bench: Bench):  # noqa: F811
    bench.imported()
    part("armature", 2)["josh4d_reliable"] = False
    bench.write(3)
    assert drawn().texts == ["A newer take is there", "Uncertain: Person 2"]


def test_the_choice_between_takes(bench: Bench):  # noqa: F811
    bench.imported()
    armature = part("armature", 1)
    mine = armature.animation_data.action
    mine.layers[0].strips[0].channelbags[0].fcurves[0].keyframe_points[0].co.y += 1.0
    bench.write(3)
    bpy.ops.josh4d.update_scene()
    notes = drawn()
    assert any("your keys, or the new take?" in text for text in notes.texts)
    choices = [vars(properties) for name, properties in notes.operators if name == "choose_take"]
    assert choices == [{"owner": armature.name, "choice": "MINE"}, {"owner": armature.name, "choice": "NEW"}]
    bpy.ops.josh4d.choose_take(**choices[0])
    assert armature.animation_data.action == mine
    assert "choose_take" not in names(drawn())


def test_the_list_shows_scenes_only_and_follows_the_active_object(bench: Bench):  # noqa: F811
    bench.imported()
    first = part("root")
    bench.scene.rename(bench.folder / "other.scene4d")
    description = bench.folder / "other.scene4d" / "scene.json"
    description.write_text(description.read_text().replace('"name": "walk"', '"name": "other"'))
    bpy.ops.josh4d.import_scene(filepath=str(description))
    scene, layer = bpy.context.scene, bpy.context.view_layer
    flags, _ = sys.modules[f"{PACKAGE}.panels.scenes"].JOSH4D_UL_scenes.filter_items(
        SimpleNamespace(bitflag_filter_item=1), bpy.context, scene, "objects"
    )
    shown = [item for item, flag in zip(scene.objects, flags, strict=True) if flag]
    assert sorted(item.name for item in shown) == ["other", "walk"]
    layer.objects.active = next(item for item in first.children_recursive if item.type == "MESH")
    assert scene.objects[scene.josh4d_scene] == first
    scene.josh4d_scene = scene.objects.find("other")
    assert layer.objects.active.name == "other"
    assert scene.objects[scene.josh4d_scene].name == "other"
    layer.objects.active = None
    assert scene.josh4d_scene == -1


def test_a_row_of_the_list(bench: Bench):  # noqa: F811
    bench.imported()
    shutil.rmtree(bench.scene)
    notes = SimpleNamespace(texts=[], operators=[], lists=[])
    panel().look.forget()
    row = sys.modules[f"{PACKAGE}.panels.scenes"].JOSH4D_UL_scenes.draw_item
    row(SimpleNamespace(), bpy.context, Layout(notes), bpy.context.scene, part("root"), 0, bpy.context.scene, "")
    assert [(name, vars(given)) for name, given in notes.operators] == [
        ("select_scene", {"identity": part("root")["josh4d_scene"]})
    ]


def dialog(bench, **values):  # noqa: F811
    """The texts and properties of the import dialog."""
    cls = sys.modules[f"{PACKAGE}.operators.import_scene"].JOSH4D_OT_import_scene
    notes = SimpleNamespace(texts=[], operators=[], lists=[], properties=[])
    layout = Layout(notes)
    Layout.prop, prop = lambda _self, _owner, name, **_options: notes.properties.append(name), Layout.prop
    fake = SimpleNamespace(
        layout=layout, filepath=str(bench.scene / "scene.json"), people=True, camera=True, cloud="THIN",
        most_points=2_000_000, frame_rate=False, **values,
    )  # fmt: skip
    fake._summary, fake._kept_points = (getattr(cls, name).__get__(fake) for name in ("_summary", "_kept_points"))
    try:
        cls.draw(fake, bpy.context)
    finally:
        Layout.prop = prop
    return notes


def test_the_import_dialog(bench: Bench):  # noqa: F811
    notes = dialog(bench)
    assert notes.texts[:2] == ["walk", "2 people, 960 x 540 px, 29.97 fps, 30 points"]
    assert any(text.startswith("Adds about") for text in notes.texts)
    assert any("The video runs at 29.97 fps" in text for text in notes.texts)
    assert {"retime", "scale", "frame_rate", "frame_range", "resolution", "active_camera"} <= set(notes.properties)
    bench.imported()
    notes = dialog(bench)
    assert "Already here: it is updated in place" in notes.texts
    assert not {"retime", "scale"} & set(notes.properties)


def test_the_import_dialog_of_what_is_no_scene(bench: Bench):  # noqa: F811
    (bench.scene / "scene.json").write_text("[]")
    assert dialog(bench).texts == []
