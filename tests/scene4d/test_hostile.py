"""Folders from strangers are refused in a sentence, and take little memory on the way."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_scenes import HOSTILE, WAS_HERE
from random_scene import make_scene

from josh_blender.scene4d import files
from josh_blender.scene4d.errors import SceneFormatError

#: More than reading the valid scene takes; a bomb of these folders would take 300 MB to many GB.
_MOST_MEGABYTES = 250

_READ_ALL = """
import resource, shutil, sys
from pathlib import Path
from hostile_scenes import HOSTILE
from josh_blender.scene4d.errors import SceneFormatError
from josh_blender.scene4d.files import read_scene
written, home = map(Path, sys.argv[1:])
read_scene(written)
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
for number, (case, damage) in enumerate(HOSTILE.items()):
    folder = home / str(number) / written.name
    shutil.copytree(written, folder)
    damage(folder)
    try:
        read_scene(folder)
    except SceneFormatError:
        print(f"{peak() - before:.0f} {case}")
    else:
        sys.exit(case)
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return files.write_scene(make_scene(), tmp_path_factory.mktemp("written") / "walk.scene4d")


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_folders_are_refused_in_a_sentence(written: Path, tmp_path: Path, case: str) -> None:
    folder = tmp_path / written.name
    shutil.copytree(written, folder)
    HOSTILE[case](folder)
    with pytest.raises(SceneFormatError) as caught:
        files.read_scene(folder)
    assert caught.value.message.endswith(".") and caught.value.remedy
    assert "\n" not in caught.value.message and len(caught.value.message) < 500
    assert not WAS_HERE.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux counts it")
def test_hostile_folders_take_little_memory(written: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _READ_ALL, str(written), str(tmp_path)],
        capture_output=True, text=True, timeout=300,
        env={"PYTHONPATH": ":".join(str(Path(__file__).resolve().parents[depth]) for depth in (1, 2))},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(HOSTILE)
    assert float(lines[-1].split()[0]) < _MOST_MEGABYTES, done.stdout


def test_what_lies_beside_the_scene_is_never_read_or_written(written: Path, tmp_path: Path) -> None:
    """An unknown array whose name is a path, unknown files and the user's edits change nothing."""
    import zipfile

    folder = tmp_path / written.name
    shutil.copytree(written, folder)
    with zipfile.ZipFile(folder / "camera.npz", "a") as archive:
        archive.writestr("../../../outside.npy", b"outside")
    (folder / "edits.json").write_bytes(b"\xff not JSON" * 100)
    (folder / "people" / "99").mkdir()
    (folder / "masks").mkdir()
    (folder / "masks" / "000030.png").write_bytes(b"no picture")
    before = sorted(tmp_path.rglob("*"))
    scene = files.read_scene(folder)
    assert [person.id for person in scene.people] == [1, 2]
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(SceneFormatError, match="not a PNG"):
        files.read_mask(folder, 30)


def test_a_path_that_is_no_text_does_not_stop_the_writing(tmp_path: Path) -> None:
    scene = make_scene(people=0, points=0)
    scene.source.absolute_path = "/videos/\udcff.mp4"
    loaded = files.read_scene(files.write_scene(scene, tmp_path / "walk.scene4d"))
    assert loaded.source.absolute_path == "/videos/?.mp4"
