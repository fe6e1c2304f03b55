"""Finding moved files again, by name and by content."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_scene import synthetic_scene

from josh_blender.scene4d.errors import UserError
from josh_blender.scene4d.files import pointer_path, write_scene
from josh_blender.scene4d.locate import find_scenes_below, find_source_below
from josh_blender.scene4d.source_identity import PART, is_source, source_files, source_identity
from josh_blender.scene4d.summary import read_summary, scene_digest


def video(path, content: bytes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_identity_survives_a_move_and_notices_a_change(tmp_path):
    """The first and last 16 MB count, and the length; a byte in between does not."""
    content = bytearray(2 * PART + 100)
    identity = source_identity([video(tmp_path / "a.mp4", bytes(content))])
    assert is_source(video(tmp_path / "b.mp4", bytes(content)), identity)
    content[PART + 50] = 1
    assert is_source(video(tmp_path / "b.mp4", bytes(content)), identity)
    for place in (0, PART - 1, len(content) - 1):
        changed = bytearray(content)
        changed[place] = 1
        assert not is_source(video(tmp_path / "b.mp4", bytes(changed)), identity)
    assert not is_source(video(tmp_path / "b.mp4", bytes(content) + b"1"), identity)
    assert not is_source(tmp_path / "absent.mp4", identity)


def test_files_of_a_sequence_count_as_one(tmp_path):
    data = np.random.default_rng(0).integers(0, 256, 2 * PART + 1000, dtype=np.uint8).tobytes()
    whole = source_identity([video(tmp_path / "a", data)])
    halves = [video(tmp_path / "1", data[: PART + 5]), video(tmp_path / "2", data[PART + 5 :])]
    assert source_identity(halves) == whole
    assert source_identity(halves[::-1]) != whole


def test_a_video_is_found_by_name_before_others(tmp_path):
    wanted = video(tmp_path / "deep" / "er" / "walk.mp4", b"the walk")
    identity = source_identity([wanted])
    video(tmp_path / "walk.mp4", b"the talk")
    video(tmp_path / ".hidden" / "walk.mp4", b"the walk")
    renamed = video(tmp_path / "another name.mov", b"the walk")
    assert find_source_below(tmp_path, "walk.mp4", "video", identity) == wanted
    wanted.unlink()
    assert find_source_below(tmp_path, "walk.mp4", "video", identity) == renamed
    renamed.unlink()
    assert find_source_below(tmp_path, "walk.mp4", "video", identity) is None


def test_a_sequence_is_found_by_its_pictures(tmp_path):
    for folder, byte in (("wrong", b"x"), ("right", b"y")):
        for number in range(3):
            video(tmp_path / folder / f"plate_{number:04d}.png", byte * (number + 1))
    identity = source_identity(source_files(tmp_path / "right" / "plate_0001.png"))
    assert find_source_below(tmp_path, "plate_0000.png", "images", identity) == tmp_path / "right" / "plate_0000.png"
    (tmp_path / "right" / "plate_0002.png").unlink()
    assert find_source_below(tmp_path, "plate_0000.png", "images", identity) is None


def test_scenes_are_found_by_name_first(tmp_path):
    for name in ("a.scene4d", "deep/walk.scene4d", "z.scene4d/inner.scene4d"):
        (tmp_path / name).mkdir(parents=True)
    asked = []
    assert find_scenes_below(tmp_path, "walk.scene4d", lambda path: asked.append(path.name)) is None
    assert asked[0] == "walk.scene4d"
    assert sorted(asked) == ["a.scene4d", "walk.scene4d", "z.scene4d"]
    inside = tmp_path / "deep" / "walk.scene4d"
    assert find_scenes_below(inside, "walk.scene4d", lambda path: True) == inside


def test_summary_of_a_scene(tmp_path):
    scene4d = synthetic_scene(frame_count=9, points=123)
    scene4d.people[1].reliable = False
    folder = write_scene(scene4d, tmp_path / "walk.scene4d")
    summary = read_summary(pointer_path(folder))
    assert (summary.name, summary.source, summary.points) == (scene4d.name, scene4d.source, 123)
    assert summary.frames == tuple(len(person.frame) for person in scene4d.people)
    assert summary.uncertain == (scene4d.people[1].label,)
    assert all(
        size == (folder / f"people/0{n}/body.npz").stat().st_size for n, size in enumerate(summary.body_bytes, 1)
    )
    write_scene(scene4d, folder)
    assert scene_digest(folder) == summary.digest
    scene4d.quality["error"] = 1.0
    write_scene(scene4d, folder)
    assert scene_digest(folder) != summary.digest
    assert scene_digest(tmp_path) == ""


@pytest.mark.parametrize("damage", ['{"format_version": [1, 0], "name": "x"}', "[]", "{", '{"format_version": [9, 0]}'])
def test_a_damaged_description_is_refused_in_a_sentence(tmp_path, damage):
    folder = write_scene(synthetic_scene(frame_count=3, points=2), tmp_path / "walk.scene4d")
    (folder / "scene.json").write_text(damage)
    with pytest.raises(UserError):
        read_summary(folder)
