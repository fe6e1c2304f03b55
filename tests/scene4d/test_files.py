"""A scene on disk: exact round trips, empty parts, versions, atomic writing, and folders from strangers."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from josh_blender.scene4d import files
from josh_blender.scene4d.body import load_default_body
from josh_blender.scene4d.errors import SceneFormatError, UserError
from josh_blender.scene4d.rotations import matrix_from_axis_angle
from josh_blender.scene4d.scene import CameraPath, DepthMap, Person, PointCloud, Scale, Scene4D, Source

FRAMES = 12


def make_scene(people: int = 2, points: int = 500) -> Scene4D:
    """A small valid scene of random numbers, already in the precision of the files."""
    generator = np.random.default_rng(4)
    frame = np.arange(30, 30 + FRAMES, dtype=np.int32)
    world_from_camera = np.tile(np.eye(4), (FRAMES, 1, 1))
    world_from_camera[:, :3, :3] = matrix_from_axis_angle(generator.normal(0, 0.3, (FRAMES, 3)))
    world_from_camera[:, :3, 3] = generator.normal(0, 2, (FRAMES, 3))
    camera = CameraPath(
        frame=frame,
        time=frame / 29.97,
        world_from_camera=world_from_camera,
        intrinsics=np.tile([1050.0, 1049.0, 960.5, 540.25], (FRAMES, 1)),
        distortion=np.array([-0.1, 0.01, 0.001, -0.002, 0.0]),
        keyframe=frame[::5],
    )
    body = load_default_body()
    members = []
    for number in range(1, people + 1):
        member_frame = frame[number : FRAMES - number]
        count = len(member_frame)
        members.append(
            Person(
                id=number,
                label=f"Läufer {number}",
                mask_value=number,
                height=1.6 + 0.1 * number,
                frame=member_frame,
                poses=generator.normal(0, 0.4, (count, 72)).astype(np.float32),
                trans=generator.normal(0, 3, (count, 3)).astype(np.float32),
                betas=generator.normal(0, 1, 10).astype(np.float32),
                confidence=generator.uniform(0, 1, count).astype(np.float32),
                contact=generator.uniform(0, 1, (count, 13)).astype(np.float32),
                body_id=body.body_id,
                body=body,
                reliable=number == 1,
                reason="" if number == 1 else "overlaps somebody",
                surface_model_type=body.body_id,
            )
        )
    cloud = PointCloud(
        generator.normal(0, 10, (points, 3)).astype(np.float32),
        generator.integers(0, 255, (points, 3)).astype(np.uint8),
        generator.uniform(0, 1, points).astype(np.float32),
        generator.integers(0, 3, points).astype(np.uint16),
    )
    source = Source("walk.mp4", "../walk.mp4", "/somewhere/walk.mp4", "123-abc", 1920, 1080, 30000, 1001, 100)
    return Scene4D(
        name="walk",
        source=source,
        camera=camera,
        people=members,
        cloud=cloud,
        scale=Scale("height", 0.02),
        quality={"reprojection_px": 0.7},
        warnings=["a warning"],
        licences=["CC0"],
    )


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


def _edit_json(folder: Path, change: Callable[[dict], None]) -> None:
    data = json.loads((folder / "scene.json").read_text())
    change(data)
    (folder / "scene.json").write_text(json.dumps(data))


def test_versions(folder: Path) -> None:
    _edit_json(folder, lambda data: data.update(format_version=[1, 7], unheard_of=3))
    assert any("newer version" in warning for warning in files.read_scene(folder).warnings)
    _edit_json(folder, lambda data: data.update(format_version=[2, 0]))
    with pytest.raises(SceneFormatError, match=r"format 2\.0"):
        files.read_scene(folder)


def _replace_array(folder: Path, file: str, name: str, value: np.ndarray) -> None:
    with np.load(folder / file) as data:
        arrays = dict(data)
    arrays[name] = value
    np.savez(folder / file, **arrays)


class _Bomb:
    def __reduce__(self) -> tuple:
        return (Path("/tmp/josh4d-was-here").touch, ())


def _pickled(folder: Path) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([_Bomb()], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(folder / "camera.npz", "w") as archive:
        archive.writestr("frame.npy", buffer.getvalue())


def _huge_header(folder: Path) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(folder / "camera.npz", "w") as archive:
        archive.writestr("frame.npy", buffer.getvalue())


HOSTILE: dict[str, Callable[[Path], object]] = {
    "name leaves the folder": lambda f: _edit_json(f, lambda d: d.update(name="../../etc")),
    "plate leaves the folder": lambda f: _edit_json(f, lambda d: d.update(plate="../secret.mp4")),
    "plate on another drive": lambda f: _edit_json(f, lambda d: d.update(plate="c:\\secret.mp4")),
    "undistorted absolute": lambda f: _edit_json(f, lambda d: d.update(undistorted="/etc/passwd")),
    "person id is a path": lambda f: _edit_json(f, lambda d: d["people"][0].update(id="../1")),
    "person id negative": lambda f: _edit_json(f, lambda d: d["people"][0].update(id=-1)),
    "same id twice": lambda f: _edit_json(f, lambda d: d["people"][1].update(id=1)),
    "same mask value twice": lambda f: _edit_json(f, lambda d: d["people"][1].update(mask_value=1)),
    "reserved mask value": lambda f: _edit_json(f, lambda d: d["people"][1].update(mask_value=255)),
    "people is a number": lambda f: _edit_json(f, lambda d: d.update(people=7)),
    "width is a text": lambda f: _edit_json(f, lambda d: d["source"].update(width="wide")),
    "width is true": lambda f: _edit_json(f, lambda d: d["source"].update(width=True)),
    "no frame rate": lambda f: _edit_json(f, lambda d: d["source"].update(fps_num=0)),
    "giant": lambda f: _edit_json(f, lambda d: d["people"][0].update(height=9.0)),
    "unknown camera": lambda f: _edit_json(f, lambda d: d.update(camera_kind="flying")),
    "not JSON": lambda f: (f / "scene.json").write_text("{"),
    "JSON list": lambda f: (f / "scene.json").write_text("[]"),
    "deep JSON": lambda f: (f / "scene.json").write_text("[" * 200_000),
    "huge JSON": lambda f: (f / "scene.json").write_text(" " * 21_000_000),
    "pickle": _pickled,
    "absurd size": _huge_header,
    "no camera": lambda f: (f / "camera.npz").unlink(),
    "damaged camera": lambda f: (f / "camera.npz").write_bytes(b"PK\x03\x04 nothing"),
    "times not finite": lambda f: _replace_array(f, "camera.npz", "time", np.full(FRAMES, np.nan)),
    "frames fall": lambda f: _replace_array(f, "camera.npz", "frame", np.arange(FRAMES, dtype=np.int32)[::-1]),
    "no rotation": lambda f: _replace_array(f, "camera.npz", "world_from_camera", np.ones((FRAMES, 4, 4))),
    "negative focal": lambda f: _replace_array(f, "camera.npz", "intrinsics", -np.ones((FRAMES, 4))),
    "wrong type": lambda f: _replace_array(f, "camera.npz", "distortion", np.array(["a", "b", "c", "d", "e"])),
    "short poses": lambda f: _replace_array(f, "people/01/motion.npz", "poses", np.zeros((3, 72), np.float32)),
    "few betas": lambda f: _replace_array(f, "people/01/motion.npz", "betas", np.zeros(3, np.float32)),
    "foreign frames": lambda f: _replace_array(f, "people/01/motion.npz", "frame", np.arange(10, dtype=np.int32)),
    "body names vertices": lambda f: _replace_array(f, "people/01/body.npz", "f", np.full((9, 3), 10**6, np.int32)),
    "cloud cut": lambda f: (f / "cloud.ply").write_bytes((f / "cloud.ply").read_bytes()[:400]),
    "cloud huge": lambda f: (f / "cloud.ply").write_bytes(
        (f / "cloud.ply").read_bytes().replace(b"vertex 500", b"vertex 900000000")
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_folders_are_refused_in_a_sentence(folder: Path, case: str) -> None:
    HOSTILE[case](folder)
    with pytest.raises(SceneFormatError) as caught:
        files.read_scene(folder)
    assert caught.value.message.endswith(".")
    assert "\n" not in caught.value.message
    assert not Path("/tmp/josh4d-was-here").exists()


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
