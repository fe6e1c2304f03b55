"""Find Plate and Find Scene: by name, by content, refused in a sentence, or used anyway; and the state in the panel."""

from __future__ import annotations

import shutil

import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from blender_helpers import make_plate, part  # noqa: E402
from synthetic_scene import synthetic_scene  # noqa: E402

from josh_blender.blend.clip_files import clip_path  # noqa: E402
from josh_blender.blend.identity import scene_identity  # noqa: E402
from josh_blender.blend.importer import import_scene, update_scene  # noqa: E402
from josh_blender.blend.plate import find_clip  # noqa: E402
from josh_blender.blend.relink import find_plate, find_scene  # noqa: E402
from josh_blender.blend.scene_folder import find_folder, state_of  # noqa: E402
from josh_blender.scene4d.errors import UserError  # noqa: E402
from josh_blender.scene4d.files import pointer_path, read_scene, write_scene  # noqa: E402
from josh_blender.scene4d.source_identity import source_files, source_identity  # noqa: E402


class Shot:
    """A scene of an image sequence, imported at frame 11; its first solved frame is number 2 of the sequence."""

    def __init__(self, folder):
        self.top = folder
        self.plates = folder / "plates"
        self.plates.mkdir()
        make_plate(self.plates, 64, 48, count=6)
        self.scene4d = synthetic_scene(name="walk", people=1, frame_count=4, first_frame=2, points=5)
        source = self.scene4d.source
        source.kind, source.absolute_path, source.path = "images", str(self.plates), ""
        source.name = "plate_0000.png"
        source.identity = source_identity(source_files(self.plates / "plate_0000.png"))
        self.folder = write_scene(self.scene4d, folder / "walk.scene4d")
        bpy.ops.wm.read_factory_settings(use_empty=True)

    def import_it(self):
        self.root = import_scene(bpy.context, read_scene(self.folder)).root
        return self.root

    @property
    def clip(self):
        return find_clip(scene_identity(self.scene4d), "plate")


@pytest.fixture
def shot(empty_file, tmp_path):
    return Shot(tmp_path)


def test_nothing_to_find(shot):
    state = state_of(shot.import_it())
    assert (state.folder, state.plate_missing, state.newer_take, state.uncertain) == (shot.folder, False, False, ())


def test_a_plate_that_moved(shot):
    root = shot.import_it()
    moved = shot.top / "far" / "away"
    moved.parent.mkdir()
    shot.plates.rename(moved)
    assert state_of(root).plate_missing
    assert find_plate(root, shot.top) == moved / "plate_0002.png"
    assert not state_of(root).plate_missing
    assert clip_path(shot.clip) == moved / "plate_0002.png"
    assert shot.clip.frame_start == 1
    assert len(bpy.data.movieclips) == 1
    update_scene(bpy.context, root)
    assert clip_path(shot.clip) == moved / "plate_0002.png", "an update must not lose what was found"


def test_a_plate_that_was_never_there(shot):
    moved = shot.top / "moved"
    shot.plates.rename(moved)
    root = shot.import_it()
    assert state_of(root).plate_missing and shot.clip is None
    find_plate(root, moved / "plate_0004.png")
    assert clip_path(shot.clip).name == "plate_0002.png"
    assert part("camera").data.background_images[0].clip == shot.clip
    assert shot.clip.use_fake_user, "Blender saves only what is used"


def test_a_wrong_plate_is_refused_or_used_anyway(shot):
    root = shot.import_it()
    other = shot.top / "other"
    other.mkdir()
    make_plate(other, 64, 48, count=3)
    before = shot.clip.filepath
    with pytest.raises(UserError, match=r"plate_0000\.png is not the video that walk was made from\..*Use Anyway"):
        find_plate(root, other / "plate_0000.png")
    with pytest.raises(UserError, match=r"is not in other or below it"):
        find_plate(root, other)
    with pytest.raises(UserError, match=r"There is no absent\.mp4"):
        find_plate(root, shot.top / "absent.mp4")
    assert shot.clip.filepath == before
    assert find_plate(root, other / "plate_0000.png", use_anyway=True) == other / "plate_0002.png"
    assert clip_path(shot.clip) == other / "plate_0002.png"


def test_what_is_no_picture_at_all(shot):
    root = shot.import_it()
    (shot.top / "notes.mp4").write_text("no video")
    with pytest.raises(UserError, match=r"Blender cannot read notes\.mp4"):
        find_plate(root, shot.top / "notes.mp4", use_anyway=True)


def test_a_plate_in_the_scenes_folder(shot):
    """Where the source cannot serve, the scene brings its own plate: that is the one to find."""
    shutil.copy(shot.plates / "plate_0003.png", shot.folder / "plate.png")
    shot.scene4d.plate = "plate.png"
    write_scene(shot.scene4d, shot.folder, lambda here: shutil.copy(shot.plates / "plate_0003.png", here / "plate.png"))
    root = shot.import_it()
    assert clip_path(shot.clip) == shot.folder / "plate.png"
    moved = shot.top / "far" / "walk.scene4d"
    moved.parent.mkdir()
    shot.folder.rename(moved)
    with pytest.raises(UserError, match="is not the video"):
        find_plate(root, shot.plates / "plate_0000.png")
    assert find_plate(root, shot.top) == moved / "plate.png"
    assert (clip_path(shot.clip), shot.clip.frame_start) == (moved / "plate.png", 1)


def test_a_scene_that_moved(shot):
    root = shot.import_it()
    moved = shot.top / "deep" / "er" / "walk.scene4d"
    moved.parent.mkdir(parents=True)
    shot.folder.rename(moved)
    decoy = synthetic_scene(name="walk", people=1, frame_count=4, points=5, seed=3)
    write_scene(decoy, shot.top / "walk.scene4d")
    shutil.rmtree(shot.top / "walk.scene4d")
    write_scene(decoy, shot.top / "deep" / "walk.scene4d")
    assert state_of(root).folder is None
    with pytest.raises(UserError, match=r"The folder of walk was not found\. Use Find Scene"):
        update_scene(bpy.context, root)
    assert find_scene(root, shot.top) == moved
    assert find_folder(root) == moved
    update_scene(bpy.context, root)
    with pytest.raises(UserError, match=r"walk\.scene4d is not a reconstruction of the video of walk"):
        find_scene(root, shot.top / "deep" / "walk.scene4d")
    assert find_folder(root) == moved


def test_a_scene_of_another_name_is_another_take(shot):
    """The same video, solved into another folder: an update brings it in place of the old take."""
    root = shot.import_it()
    shot.scene4d.name, shot.scene4d.people[0].height = "walk v2", 1.5
    second = write_scene(shot.scene4d, shot.top / "walk v2.scene4d")
    assert find_scene(root, pointer_path(second)) == second
    assert state_of(root).newer_take
    count = len(bpy.data.objects)
    update_scene(bpy.context, root)
    assert part("armature", 1)["josh4d_height"] == pytest.approx(1.5)
    assert (root.name, len(bpy.data.objects)) == ("walk", count)
    assert not state_of(root).newer_take


def test_another_scene_used_anyway(shot):
    root = shot.import_it()
    other = synthetic_scene(name="run", people=2, frame_count=4, points=9, seed=5)
    folder = write_scene(other, shot.top / "run.scene4d")
    assert find_scene(root, folder, use_anyway=True) == folder
    update_scene(bpy.context, root)
    assert len(part("cloud").data.vertices) == 9
    assert sorted(i["josh4d_person"] for i in bpy.data.objects if i["josh4d_kind"] == "armature") == [1, 2]


def test_no_scene_at_all(shot):
    root = shot.import_it()
    (shot.top / "empty").mkdir()
    with pytest.raises(UserError, match="is not in empty or below it"):
        find_scene(root, shot.top / "empty")
    with pytest.raises(UserError, match="is not a 4D scene"):
        find_scene(root, shot.plates / "plate_0000.png")


def test_a_newer_take_and_uncertain_people(shot):
    root = shot.import_it()
    shot.scene4d.people[0].reliable, shot.scene4d.people[0].reason = False, "hidden most of the time"
    write_scene(shot.scene4d, shot.folder)
    state = state_of(root)
    assert (state.newer_take, state.uncertain) == (True, ())
    update_scene(bpy.context, root)
    state = state_of(root)
    assert (state.newer_take, state.uncertain) == (False, ("Person 1",))


def test_an_unreadable_video_leaves_no_clip_behind(shot):
    shot.scene4d.source.kind, shot.scene4d.source.absolute_path = "video", str(shot.top / "notes.mp4")
    (shot.top / "notes.mp4").write_text("no video")
    report = import_scene(bpy.context, shot.scene4d)
    assert any("Blender cannot read notes.mp4" in warning for warning in report.warnings)
    assert not bpy.data.movieclips
    assert not len(part("camera").data.background_images)
