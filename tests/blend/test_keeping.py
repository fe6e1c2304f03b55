"""An update brings the new take and keeps all that is the artist's: one test per kind of edit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from blender_helpers import blender_frame, evaluated_vertices, make_plate, part  # noqa: E402
from conftest import ROOT  # noqa: E402
from synthetic_scene import synthetic_scene  # noqa: E402

from josh_blender.blend.animation import channelbag  # noqa: E402
from josh_blender.blend.clip_files import clip_path  # noqa: E402
from josh_blender.blend.identity import find_root, scene_identity  # noqa: E402
from josh_blender.blend.importer import import_scene, update_scene  # noqa: E402
from josh_blender.blend.plate import find_clip  # noqa: E402
from josh_blender.blend.scene_folder import find_folder, state_of  # noqa: E402
from josh_blender.blend.takes import dismiss_new_take, new_take, use_new_take  # noqa: E402
from josh_blender.scene4d.errors import UserError  # noqa: E402
from josh_blender.scene4d.files import read_scene, write_scene  # noqa: E402

FRAMES = 6


class Shot:
    """A scene folder beside its plate, imported; `solve_again` puts another take of the same video there."""

    def __init__(self, folder: Path, name: str = "walk") -> None:
        plates = folder / f"{name} plates"
        plates.mkdir(parents=True)
        make_plate(plates, 96, 54, count=FRAMES)
        self.plates = plates
        self.folder = folder / f"{name}.scene4d"
        self.name = name
        self.take = self._write(0)
        import_scene(bpy.context, read_scene(self.folder))

    def _write(self, seed: int):
        scene4d = synthetic_scene(name=self.name, frame_count=FRAMES, first_frame=0, points=40 + seed, seed=seed)
        scene4d.source.identity = f"the video of {self.name}"
        scene4d.source.kind, scene4d.source.absolute_path = "images", str(self.plates)
        write_scene(scene4d, self.folder)
        return scene4d

    @property
    def key(self) -> str:
        return scene_identity(self.take)

    @property
    def root(self):
        return find_root(bpy.context.scene, self.key)

    def part(self, kind: str, person: int = 0):
        return part(kind, person, self.key)

    def solve_again(self):
        self.take = self._write(7)
        return update_scene(bpy.context, self.root)

    def skin_at(self, person, row: int) -> np.ndarray:
        """Go to the frame of a row of a person's take; its true vertices there."""
        bpy.context.scene.frame_set(blender_frame(self.take, person, row))
        return person.body.skin(person.betas, person.poses[row], person.trans[row])[0]

    def check_take(self) -> None:
        """Everything in use is the newest take, on every frame."""
        for person in self.take.people:
            for row in (0, len(person.frame) - 1):
                expected = self.skin_at(person, row)
                assert np.abs(evaluated_vertices(self.part("body", person.id)) - expected).max() < 5e-4
        assert len(self.part("cloud").data.vertices) == len(self.take.cloud.position)


@pytest.fixture
def shot(empty_file, tmp_path):
    return Shot(tmp_path)


def test_names(shot):
    blocks = [shot.root, *shot.root.children_recursive]
    blocks += [item.data for item in blocks if item.data is not None]
    blocks += [shot.part("armature", 1).animation_data.action, find_clip(shot.key, "plate")]
    blocks += list(bpy.data.collections)
    for number, block in enumerate(blocks):
        block.name = f"mine {number}"
    count = len(bpy.data.objects), len(bpy.data.collections), len(bpy.data.actions)
    shot.solve_again()
    assert [block.name for block in blocks] == [f"mine {number}" for number in range(len(blocks))]
    assert (len(bpy.data.objects), len(bpy.data.collections), len(bpy.data.actions)) == count
    shot.check_take()


def test_materials(shot):
    mine = bpy.data.materials.new("mine")
    shot.part("body", 1).data.materials[0] = mine
    shot.part("cloud").data.materials[0] = mine
    theirs = shot.part("body", 2).data.materials[0]
    theirs.diffuse_color = (1.0, 0.0, 1.0, 1.0)
    shot.solve_again()
    assert list(shot.part("body", 1).data.materials) == list(shot.part("cloud").data.materials) == [mine]
    assert tuple(theirs.diffuse_color) == (1.0, 0.0, 1.0, 1.0)
    shot.check_take()


def test_modifiers(shot):
    body, cloud = shot.part("body", 1), shot.part("cloud")
    for item in (body, cloud):
        item.modifiers.new("mine", "WAVE").show_viewport = False
        item.modifiers.move(1, 0)
    body.modifiers["Armature"].use_deform_preserve_volume = True
    shot.solve_again()
    assert [one.type for one in body.modifiers] == ["WAVE", "ARMATURE"]
    assert [one.type for one in cloud.modifiers] == ["WAVE", "NODES"]
    assert body.modifiers["Armature"].use_deform_preserve_volume
    body.modifiers["Armature"].use_deform_preserve_volume = False
    shot.check_take()


def test_parented_props(shot):
    prop = bpy.data.objects.new("hat", None)
    bpy.context.scene.collection.objects.link(prop)
    prop.parent, prop.parent_type, prop.parent_bone = shot.part("armature", 1), "BONE", "head"
    shot.solve_again()
    assert (prop.parent, prop.parent_bone) == (shot.part("armature", 1), "head")
    bpy.context.scene.frame_set(3)
    bone = shot.part("armature", 1).pose.bones["head"]
    assert np.allclose(np.array(prop.matrix_world)[:3, 3], bone.tail, atol=1e-5)
    shot.check_take()


def test_own_parents(shot):
    """The root on a rig of the artist's, the camera on nothing, a person on something else."""
    crane = bpy.data.objects.new("crane", None)
    bpy.context.scene.collection.objects.link(crane)
    shot.root.parent, shot.root.location = crane, (0.0, 0.0, 0.0)
    shot.part("camera").parent = None
    shot.part("armature", 1).parent = crane
    count = len(bpy.data.objects)
    shot.solve_again()
    assert shot.root.parent is shot.part("armature", 1).parent is crane
    assert shot.part("camera").parent is None
    assert len(bpy.data.objects) == count
    shot.check_take()


def test_place_of_the_root(shot):
    shot.root.location, shot.root.scale, shot.root.rotation_euler = (1.0, 2.0, 3.0), (2.0, 2.0, 2.0), (0.1, 0.2, 0.3)
    before = np.array(shot.root.matrix_basis)
    shot.solve_again()
    assert np.array_equal(np.array(shot.root.matrix_basis), before)


def test_constraints(shot):
    armature = shot.part("armature", 1)
    ours = armature.pose.bones["left_hand"].constraints.new("IK")
    ours.target, ours.chain_count, ours.influence = shot.root, 3, 0.0
    on_camera = shot.part("camera").constraints.new("TRACK_TO")
    on_camera.target, on_camera.influence = armature, 0.25
    shot.solve_again()
    assert (ours.target, ours.chain_count) == (shot.root, 3)
    assert (on_camera.target, on_camera.influence) == (armature, 0.25)
    shot.check_take()


def test_edited_keys(shot):
    armature, camera = shot.part("armature", 1), shot.part("camera")
    for item in (armature, camera):
        curve = channelbag(item.animation_data.action, item).fcurves[0]
        curve.keyframe_points.insert(3.5, 42.0)
    mine = armature.animation_data.action
    report = shot.solve_again()
    assert sorted(report.kept) == sorted([armature.name, camera.name])
    assert armature.animation_data.action is mine
    assert channelbag(mine, armature).fcurves[0].evaluate(3.5) == 42.0
    count = len(bpy.data.actions)
    shot.solve_again()
    assert len(bpy.data.actions) == count, "new takes pile up"
    # The panel asks; either answer is kept by the next update.
    dismiss_new_take(camera)
    assert (new_take(camera), len(bpy.data.actions)) == (None, count - 1)
    use_new_take(armature)
    assert armature.animation_data.action is not mine
    assert mine.use_fake_user
    assert shot.solve_again().kept == [camera.name]
    shot.check_take()


def test_changed_interpolation(shot):
    armature = shot.part("armature", 1)
    curve = channelbag(armature.animation_data.action, armature).fcurves[0]
    curve.keyframe_points[2].interpolation = "CONSTANT"
    assert shot.solve_again().kept == [armature.name]
    assert curve.keyframe_points[2].interpolation == "CONSTANT"


def test_nla_tracks(shot):
    """The take pushed down, with an action of the artist's on top: the new take comes into the same strip."""
    armature = shot.part("armature", 1)
    data = armature.animation_data
    take = data.action
    strip = data.nla_tracks.new().strips.new("take", 1, take)
    strip.action_slot = take.slots[0]
    strip.scale = 2.0
    mine = bpy.data.actions.new("layer")
    data.action = mine
    second = data.nla_tracks.new()
    second.name, second.mute = "mine", True
    assert shot.solve_again().kept == []
    assert [track.name for track in data.nla_tracks][1:] == ["mine"]
    assert (strip.action, strip.scale, data.action) == (take, 2.0, mine)
    strip.scale = 1.0
    shot.check_take()


def test_edited_take_in_the_nla(shot):
    armature = shot.part("armature", 1)
    data = armature.animation_data
    take = data.action
    strip = data.nla_tracks.new().strips.new("take", 1, take)
    strip.action_slot = take.slots[0]
    data.action = None
    channelbag(take, armature).fcurves[0].keyframe_points[0].co.y = 9.0
    assert shot.solve_again().kept == [armature.name]
    assert (strip.action, data.action) == (take, None)
    use_new_take(armature)
    assert strip.action is not take
    shot.check_take()


def test_takes_exchanged_between_people(shot):
    """Person 1 plays the take of person 2: neither action gets the other's keys."""
    first, second = shot.part("armature", 1), shot.part("armature", 2)
    first.animation_data.action = second.animation_data.action
    first.animation_data.action_slot = second.animation_data.action_slot
    assert shot.solve_again().kept == [first.name]
    assert first.animation_data.action is second.animation_data.action
    expected = shot.skin_at(shot.take.people[1], 2)
    assert np.abs(evaluated_vertices(shot.part("body", 2)) - expected).max() < 5e-4


def test_animation_removed(shot):
    armature = shot.part("armature", 1)
    armature.animation_data_clear()
    assert shot.solve_again().kept == [armature.name]
    assert armature.animation_data is None or armature.animation_data.action is None


def test_collections(shot):
    """Moved between collections, hidden, excluded, and a collection of ours that was deleted."""
    scene = bpy.context.scene
    mine = bpy.data.collections.new("mine")
    scene.collection.children.link(mine)
    body, cloud = shot.part("body", 1), shot.part("cloud")
    for home in list(body.users_collection):
        home.objects.unlink(body)
    mine.objects.link(body)
    cloud.hide_render = cloud.hide_viewport = True
    shot.part("armature", 2).hide_set(True)
    mine.objects.link(cloud)
    place = next(one for one in bpy.data.collections if one.get("josh4d_kind") == "place")
    bpy.data.collections.remove(place)
    people = next(one for one in bpy.data.collections if one.get("josh4d_kind") == "people")
    scene.collection.children["walk"].children.unlink(people)
    mine.children.link(people)
    bpy.context.view_layer.layer_collection.children["mine"].children[people.name].exclude = True
    names = sorted(one.name for one in bpy.data.collections)
    shot.solve_again()
    assert sorted(one.name for one in bpy.data.collections) == names
    assert [home.name for home in body.users_collection] == ["mine"]
    assert cloud.hide_render and cloud.hide_viewport
    assert bpy.context.view_layer.layer_collection.children["mine"].children[people.name].exclude
    bpy.context.view_layer.layer_collection.children["mine"].children[people.name].exclude = False
    shot.check_take()


def test_deleted_parts(shot):
    bpy.data.objects.remove(shot.part("body", 1))
    bpy.data.objects.remove(shot.part("armature", 2))
    bpy.data.objects.remove(shot.part("body", 2))
    bpy.data.objects.remove(shot.part("cloud"))
    shot.solve_again()
    kinds = sorted((item["josh4d_kind"], item["josh4d_person"]) for item in bpy.data.objects)
    assert kinds == [("armature", 1), ("camera", 0), ("root", 0)]
    import_scene(bpy.context, read_scene(shot.folder))
    shot.check_take()


def test_duplicates(shot):
    """A duplicate carries the same id properties; it stays as it was."""
    body = shot.part("body", 1)
    copy = body.copy()
    copy.data = body.data.copy()
    copy.name = "a twin"
    bpy.context.scene.collection.objects.link(copy)
    before = [tuple(vertex.co) for vertex in copy.data.vertices]
    body.name = "One"
    shot.solve_again()
    assert [tuple(vertex.co) for vertex in copy.data.vertices] == before
    bpy.data.objects.remove(copy)
    shot.check_take()


def test_camera_display(shot):
    data = shot.part("camera").data
    data.show_background_images = False
    data.background_images[0].alpha = 0.3
    data.background_images[0].display_depth = "FRONT"
    data.dof.use_dof = True
    own = data.background_images.new()
    own.image = bpy.data.images.new("storyboard", 4, 4)
    shot.solve_again()
    assert not data.show_background_images
    assert data.background_images[0].alpha == pytest.approx(0.3)
    assert (data.background_images[0].display_depth, data.background_images[1].image.name) == ("FRONT", "storyboard")
    assert len(data.background_images) == 2
    assert data.dof.use_dof


def test_another_plate(shot, tmp_path):
    """A graded copy of the plate that the artist chose for the clip."""
    graded = tmp_path / "graded"
    graded.mkdir()
    make_plate(graded, 96, 54, count=FRAMES)
    (graded / "plate_0000.png").rename(graded / "graded_0000.png")
    clip = find_clip(shot.key, "plate")
    clip.filepath = str(graded / "graded_0000.png")
    shot.solve_again()
    assert clip_path(clip).name == "graded_0000.png"
    assert len(bpy.data.movieclips) == 1


def test_scene_settings(shot):
    scene = bpy.context.scene
    scene.render.fps, scene.render.resolution_x, scene.frame_end, scene.camera = 12, 333, 4, None
    shot.solve_again()
    assert (scene.render.fps, scene.render.resolution_x, scene.frame_end, scene.camera) == (12, 333, 4, None)


def test_two_shots_in_one_file(shot, tmp_path):
    other = Shot(tmp_path / "other", "run")
    other.part("armature", 1).location.x = 3.0
    before = evaluated_vertices(other.part("body", 1))
    shot.solve_again()
    assert np.array_equal(evaluated_vertices(other.part("body", 1)), before)
    shot.check_take()
    other.part("armature", 1).location.x = 0.0
    other.check_take()
    other.solve_again()
    other.check_take()
    shot.check_take()


def saved(path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(path), relative_remap=True)


def test_save_as_in_another_folder(shot, tmp_path):
    saved(tmp_path / "walk.blend")
    update_scene(bpy.context, shot.root)
    clip = find_clip(shot.key, "plate")
    bpy.ops.file.make_paths_relative()
    assert clip.filepath == "//walk plates/plate_0000.png"
    (tmp_path / "deep" / "er").mkdir(parents=True)
    saved(tmp_path / "deep" / "er" / "walk.blend")
    assert find_clip(shot.key, "plate").filepath == "//../../walk plates/plate_0000.png"
    shot.solve_again()
    assert find_clip(shot.key, "plate").filepath == "//../../walk plates/plate_0000.png"
    assert not state_of(shot.root).plate_missing
    shot.check_take()


def test_everything_moved_together(shot, tmp_path, empty_file):
    """The .blend beside the scene's folder, both on another computer."""
    saved(tmp_path / "walk.blend")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("walk.blend", "walk.scene4d", "walk plates"):
        (tmp_path / name).rename(elsewhere / name)
    bpy.ops.wm.open_mainfile(filepath=str(elsewhere / "walk.blend"))
    shot.folder, shot.plates = elsewhere / "walk.scene4d", elsewhere / "walk plates"
    assert find_folder(shot.root) == shot.folder
    shot.solve_again()
    assert clip_path(find_clip(shot.key, "plate")).is_file()
    shot.check_take()


def test_make_paths_absolute(shot, tmp_path):
    saved(tmp_path / "walk.blend")
    bpy.ops.file.make_paths_relative()
    bpy.ops.file.make_paths_absolute()
    clip = find_clip(shot.key, "plate")
    absolute = clip.filepath
    assert not absolute.startswith("//")
    shot.solve_again()
    assert clip.filepath == absolute
    shot.check_take()


def test_pack(shot, tmp_path):
    image = bpy.data.images.load(str(shot.plates / "plate_0001.png"))
    image.use_fake_user = True
    bpy.ops.file.pack_all()
    saved(tmp_path / "walk.blend")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "walk.blend"))
    shot.solve_again()
    assert [one.packed_file is not None for one in bpy.data.images] == [True]
    shot.check_take()


_UPDATE = """
import sys
sys.path.insert(0, sys.argv[1])
import bpy
from josh_blender.blend.identity import roots
from josh_blender.blend.importer import update_scene
bpy.ops.wm.open_mainfile(filepath=sys.argv[2])
update_scene(bpy.context, roots(bpy.context.scene)[0])
bpy.ops.wm.save_mainfile()
"""


def link(path: Path):
    with bpy.data.libraries.load(str(path), link=True) as (source, target):
        target.collections = [name for name in source.collections if name == "walk"]
    collection = target.collections[0]
    bpy.context.scene.collection.children.link(collection)
    return collection


def test_linked_and_overridden(shot, tmp_path):
    """The scene in an asset file, linked into a shot and overridden there: the update happens in the asset file, and
    the overrides of the shot survive it."""
    asset, work = tmp_path / "asset.blend", tmp_path / "shot.blend"
    saved(asset)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    link(asset)
    with pytest.raises(UserError, match=r"linked from asset\.blend"):
        update_scene(bpy.context, shot.root)
    with pytest.raises(UserError, match=r"linked from asset\.blend"):
        import_scene(bpy.context, read_scene(shot.folder))

    bpy.ops.wm.read_factory_settings(use_empty=True)
    collection = link(asset)
    collection.override_hierarchy_create(bpy.context.scene, bpy.context.view_layer, do_fully_editable=True)
    bpy.context.scene.collection.children.unlink(collection)
    root, armature, body = (
        next(item for item in bpy.context.scene.objects if (item["josh4d_kind"], item["josh4d_person"]) == key)
        for key in (("root", 0), ("armature", 1), ("body", 1))
    )
    root.location = (5.0, 0.0, 0.0)
    armature.hide_viewport = True
    body.modifiers.new("mine", "WAVE").show_viewport = False
    with pytest.raises(UserError, match=r"linked from asset\.blend"):
        update_scene(bpy.context, root)
    saved(work)

    shot.take = shot._write(7)
    script = tmp_path / "update.py"
    script.write_text(_UPDATE)
    subprocess.run([sys.executable, str(script), str(ROOT), str(asset)], check=True, capture_output=True, timeout=120)
    bpy.ops.wm.open_mainfile(filepath=str(work))
    scene = bpy.context.scene
    body = next(item for item in scene.objects if (item["josh4d_kind"], item["josh4d_person"]) == ("body", 1))
    assert tuple(shot.root.location) == (5.0, 0.0, 0.0)
    assert body.find_armature().hide_viewport
    assert [one.type for one in body.modifiers] == ["ARMATURE", "WAVE"]
    body.find_armature().hide_viewport = False
    expected = shot.skin_at(shot.take.people[0], 2)
    assert np.abs(evaluated_vertices(body) - expected - (5.0, 0.0, 0.0)).max() < 5e-4
