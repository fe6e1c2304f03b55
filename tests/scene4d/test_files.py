"""A scene on disk: exact round trips, empty parts, versions, atomic writing, and folders from strangers."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hostile_scenes import edit_json
from random_scene import make_scene

from josh_blender.scene4d import files
from josh_blender.scene4d.errors import SceneFormatError, UserError
from josh_blender.scene4d.scene import DepthMap


def _equal(first: object, second: object) -> None:
    for name, value in vars(first).items():
        other = getattr(second, name)
        if isinstance(value, np.ndarray):
            assert value.dtype == other.dtype, name
            np.testing.assert_array_equal(value, other, err_msg=name)
        elif name not in ("body", "folder", "people", "camera", "cloud", "source", "scale"):
            assert value == other, name


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return files.write_scene(make_scene(), tmp_path_factory.mktemp("written") / "walk.scene4d")


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    shutil.copy2(files.pointer_path(written), tmp_path)
    return Path(shutil.copytree(written, tmp_path / written.name))


def test_round_trip_is_exact(folder: Path) -> None:
    scene = make_scene()
    loaded = files.read_scene(folder)
    for part in ("camera", "cloud", "source", "scale"):
        _equal(getattr(scene, part), getattr(loaded, part))
    _equal(scene, loaded)
    assert len(loaded.people) == 2
    for person, other in zip(scene.people, loaded.people, strict=True):
        _equal(person, other)
        assert person.body is not None
        assert other.body is not None
        _equal(person.body, other.body)
    assert loaded.folder == folder


def test_pointer_opens_the_folder(folder: Path) -> None:
    assert files.read_scene(files.pointer_path(folder)).name == "walk"
    assert files.read_scene(folder / "scene.json").name == "walk"


def test_nobody_and_nothing_is_a_scene(tmp_path: Path) -> None:
    scene = make_scene(people=0, points=0)
    loaded = files.read_scene(files.write_scene(scene, tmp_path / "walk.scene4d"))
    assert loaded.people == []
    assert loaded.cloud.position.shape == (0, 3)


def test_masks_and_depth(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).integers(0, 3, (54, 96)).astype(np.uint8)
    depth = DepthMap(
        np.linspace(1, 9, 60).reshape(6, 10).astype(np.float16), np.ones((6, 10), np.float16), np.array([9.0, 9, 5, 3])
    )

    def fill(partial: Path) -> None:
        files.write_mask(partial, 31, mask)
        files.write_depth(partial, 35, depth)

    folder = files.write_scene(make_scene(), tmp_path / "walk.scene4d", fill)
    loaded = files.read_mask(folder, 31)
    assert loaded is not None
    np.testing.assert_array_equal(loaded, mask)
    assert files.read_mask(folder, 32) is None
    assert files.depth_frames(folder) == [35]
    np.testing.assert_array_equal(files.read_depth(folder, 35).depth, depth.depth)


def test_a_failed_write_leaves_the_old_scene_whole(tmp_path: Path) -> None:
    folder = files.write_scene(make_scene(), tmp_path / "walk.scene4d")
    (folder / "edits.json").write_text("{}")

    def full_disk(partial: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        files.write_scene(make_scene(people=1), folder, full_disk)
    assert len(files.read_scene(folder).people) == 2
    files.write_scene(make_scene(people=1), folder)
    assert len(files.read_scene(folder).people) == 1
    assert (folder / "edits.json").read_text() == "{}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["walk.scene4d", "walk.scene4d.json"]


def test_versions(folder: Path) -> None:
    edit_json(folder, lambda data: data.update(format_version=[1, 7], unheard_of=3))
    assert any("newer version" in warning for warning in files.read_scene(folder).warnings)
    edit_json(folder, lambda data: data.update(format_version=[2, 0]))
    with pytest.raises(SceneFormatError, match=r"format 2\.0"):
        files.read_scene(folder)


@pytest.mark.parametrize("name", ["nothing.scene4d", "text.txt", "nothing.scene4d.json"])
def test_what_is_no_scene_is_told_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.txt").write_text("hello")
    with pytest.raises(UserError) as caught:
        files.read_scene(tmp_path / name)
    assert caught.value.remedy


def test_invalid_scene_is_never_written(tmp_path: Path) -> None:
    scene = make_scene()
    scene.people[0].trans[3] = np.nan
    with pytest.raises(SceneFormatError, match="not finite"):
        files.write_scene(scene, tmp_path / "walk.scene4d")
    assert list(tmp_path.iterdir()) == []
