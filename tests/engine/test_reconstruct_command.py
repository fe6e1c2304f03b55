"""``josh4d reconstruct`` around its stages: the protocol, continuing after a kill, bad input, a full disk.

The stages after the first are made up (fake_stages.py); every run is a process of its own.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from josh_blender.engine import work_folder
from josh_blender.engine.presets import STAGES
from josh_blender.jobs.job import Job, engine_environment
from josh_blender.jobs.protocol import Done, Preview, Progress, Stage, Start, Warn
from josh_blender.scene4d.errors import UserError
from josh_blender.scene4d.files import read_scene

PROGRAM = str(Path(__file__).with_name("fake_stages.py"))
posix = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")


class Studio:
    """A folder with a video and an output folder, both with difficult names, and a way to run the command."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.video = home / "Clip von Zoë 影.mp4"
        self.video.write_bytes(b"stands for a video")
        self.output = home / "Ausgabe ü 2"
        self.scene = self.output / "Clip von Zoë 影.scene4d"
        self.executed = home / "executed"

    def variables(self, **more: str) -> dict[str, str]:
        return {**engine_environment(), "FAKE_LOG": str(self.executed), "FAKE_FRAMES": "1", **more}

    def words(self, *more: str) -> list[str]:
        return ["reconstruct", str(self.video), "--output", str(self.output), "--device", "cpu", *more]

    def run(self, *more: str, **variables: str) -> subprocess.CompletedProcess[str]:
        self.executed.write_text("")
        return subprocess.run(
            [sys.executable, PROGRAM, *self.words(*more)],
            env={**os.environ, **self.variables(**variables)},
            capture_output=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            timeout=120,
        )

    def stages(self) -> list[str]:
        return self.executed.read_text().split()


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    studio = Studio(tmp_path_factory.mktemp("undisturbed"))
    assert studio.run().returncode == 0
    return studio


def only_line(done: subprocess.CompletedProcess[str]) -> str:
    """What a failed command says: one line, no traceback."""
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    said = [line for line in lines if line.startswith("josh4d: ")]
    assert len(said) == 1 and lines[-1] == said[0]
    assert "Traceback" not in done.stdout + done.stderr
    return said[0]


def test_a_whole_run_in_words(studio: Studio) -> None:
    done = studio.run()
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == str(studio.scene) and "[2/7] people" in lines and "  note: Nobody was followed." in lines
    assert done.stderr == "" and "noise" not in done.stdout
    scene = read_scene(studio.scene)
    assert scene.name == studio.video.stem and scene.people == []
    log = (studio.scene / "run.log").read_text()
    assert log.count("library noise") == 7 and log.count("python noise") == 7
    assert sorted(path.name.split("-")[0] for path in (studio.scene / "stages").iterdir()) == sorted(STAGES[:-1])
    assert {path.name for path in studio.output.iterdir()} == {studio.scene.name, studio.scene.name + ".json"}


def test_a_whole_run_as_a_job(studio: Studio) -> None:
    job = Job.start([sys.executable, PROGRAM, *studio.words("--json")], studio.variables())
    messages = []
    limit = time.monotonic() + 60
    while job.running:
        assert time.monotonic() < limit
        messages += job.poll()
        time.sleep(0.01)
    assert job.error is None and job.result == studio.scene
    assert messages[0] == Start(list(STAGES), str(studio.scene), str(studio.scene) + ".log")
    assert [message for message in messages if isinstance(message, Stage)] == [
        Stage(name, index) for index, name in enumerate(STAGES)
    ]
    assert Progress(5, 5) in messages and Warn("Nobody was followed.") in messages
    previews = [message for message in messages if isinstance(message, Preview)]
    assert [preview.stage for preview in previews] == ["scene", "bodies"]
    assert messages[-1] == Done(str(studio.scene))


@posix
@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_run_continues_at_the_stage_that_was_killed(studio: Studio, undisturbed: Studio, stage: str) -> None:
    killed = studio.run(FAKE_KILL=stage)
    assert killed.returncode < 0 and studio.stages()[-1] == stage
    assert not studio.scene.exists()
    again = studio.run()
    assert again.returncode == 0, again.stdout + again.stderr
    assert studio.stages() == list(STAGES[STAGES.index(stage) :])
    assert not [path for path in studio.output.rglob("*") if path.name.endswith((".partial", ".work", "half"))]
    assert (studio.scene / "camera.npz").read_bytes() == (undisturbed.scene / "camera.npz").read_bytes()


def test_two_programs_do_not_make_the_same_scene(studio: Studio) -> None:
    """The second is refused and disturbs nothing; a killed one leaves no lock behind."""
    studio.executed.write_text("")
    holding = studio.home / "hold"
    holding.touch()
    first = subprocess.Popen(
        [sys.executable, PROGRAM, *studio.words()],
        env={**os.environ, **studio.variables(FAKE_HOLD=f"scene:{holding}")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        limit = time.monotonic() + 60
        while "scene" not in studio.stages():
            assert time.monotonic() < limit and first.poll() is None
            time.sleep(0.01)
        second = subprocess.run(
            [sys.executable, PROGRAM, *studio.words()],
            env={**os.environ, **studio.variables()},
            capture_output=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        assert "is being made by another program already" in only_line(second)
        assert studio.stages() == list(STAGES[:3])
    finally:
        holding.unlink()
        assert first.wait(60) == 0
    assert {path.name for path in studio.output.iterdir()} == {studio.scene.name, studio.scene.name + ".json"}


def test_a_disk_without_locks_keeps_nobody_from_working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(error: int) -> None:
        def lock(file: object) -> None:
            raise OSError(error, os.strerror(error))

        monkeypatch.setattr(work_folder, "lock", lock)

    work = work_folder.WorkFolder(tmp_path / "clip.scene4d")
    refuse(errno.ENOLCK)
    with work.alone():
        pass
    refuse(errno.EAGAIN)
    with pytest.raises(UserError, match="by another program"), work.alone():
        pass


def test_a_finished_run_is_reused_and_a_changed_setting_runs_what_depends_on_it(studio: Studio) -> None:
    studio.run()
    again = studio.run()
    assert again.returncode == 0 and studio.stages() == ["world"]
    assert "[3/7] scene: done before" in again.stdout
    studio.run("--focal", "900")
    assert studio.stages() == list(STAGES[2:])
    studio.run()
    assert studio.stages() == ["world"]


def test_a_moved_video_continues_and_another_one_of_the_same_name_does_not(studio: Studio) -> None:
    studio.run()
    moved = studio.home / "elsewhere"
    moved.mkdir()
    studio.video = studio.video.rename(moved / studio.video.name)
    studio.run()
    assert studio.stages() == ["frames", "world"]
    studio.video.write_bytes(b"another video")
    studio.run()
    assert studio.stages() == list(STAGES)


@posix
def test_a_failing_or_killed_run_loses_nothing_of_the_earlier_scene(studio: Studio) -> None:
    studio.run()
    (studio.scene / "edits.json").write_text('{"mine": 1}')
    before = (studio.scene / "camera.npz").read_bytes()
    for variables in ({"FAKE_KILL": "joint"}, {"FAKE_FAIL": "joint:unexpected"}, {"FAKE_KILL": "world"}):
        assert studio.run("--focal", "700", **variables).returncode != 0
        assert (studio.scene / "camera.npz").read_bytes() == before
        assert (studio.scene / "edits.json").read_text() == '{"mine": 1}'
    assert studio.run("--focal", "700").returncode == 0
    assert (studio.scene / "edits.json").read_text() == '{"mine": 1}'


@pytest.mark.parametrize(
    "kind, words",
    [
        ("unexpected", ["Something unexpected", "ValueError", "broadcast", ".log"]),
        ("full", ["is full", "Free some room", "continues"]),
        ("permission", ["arrays.npz", "cannot be read or written: Permission denied.", "choose another folder"]),
        ("memory", ["not enough memory", "finished stages are kept"]),
        ("torch", ["not enough memory", "finished stages are kept"]),
        ("user", ["Nobody is seen in the video. Choose a part with people."]),
        ("import", ["torch", "Set the engine's environment up again"]),
    ],
)
def test_a_failing_stage_is_one_sentence(studio: Studio, kind: str, words: list[str]) -> None:
    line = only_line(studio.run(FAKE_FAIL=f"bodies:{kind}"))
    assert all(word in line for word in words), line
    log = Path(str(studio.scene) + ".log").read_text()
    assert ("Traceback" in log) == (kind not in ("user", "full"))
    work = Path(str(studio.scene) + ".work")
    # What failed takes no room; what was finished stays.
    assert sorted(path.name.split("-")[0] for path in work.iterdir()) == ["frames", "people", "scene"]
    assert studio.run().returncode == 0
    assert studio.stages() == ["bodies", "contact", "joint", "world"]


def test_a_failure_for_programs_is_an_error_message(studio: Studio) -> None:
    kinds = {
        "user": "no_people",
        "full": "disk_full",
        "permission": "permission_denied",
        "memory": "out_of_memory",
        "unexpected": "unexpected",
    }
    for failure, kind in kinds.items():
        done = studio.run("--json", FAKE_FAIL=f"bodies:{failure}")
        last = json.loads(done.stdout.splitlines()[-1])
        assert done.returncode == 1 and done.stderr == ""
        assert (last["type"], last["kind"]) == ("error", kind) and last["remedy"]
    studio.video.unlink()
    done = studio.run("--json")
    assert json.loads(done.stdout)["kind"] == "missing_video" and done.stderr == ""


@pytest.mark.parametrize(
    "words, message",
    [
        (["--height", "178"], "178 m is not a person's"),
        (["--height", "1=1.7,x"], "is not like 1.78"),
        (["--lens", "0:36"], "is not like 35"),
        (["--lens", "35", "--focal", "1000"], "Both a focal length"),
        (["--focal", "-3"], "must be positive"),
        (["--refine"], "nothing_to_refine|no camera or lens to refine"),
        (["--start", "9", "--end", "3"], "9 to 3 is empty"),
        (["--people", "0"], "at least 1"),
        (["--camera", "handheld"], "neither a kind of camera nor a file"),
        (["--body", "nowhere.npz"], "There is no body file"),
        (["--preset", "paper"], "needs backends"),
        (["--mode", "josh3r"], "JOSH3R weights are needed and not given"),
        (["--preset", "mast3r"], "CC BY-NC-SA 4.0"),
        (["--mode", "josh3r", "--josh3r-weights", "none.pth"], "There is no file"),
        (["--device", "tpu"], "--device"),
        (["--frobnicate"], "frobnicate"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(studio: Studio, words: list[str], message: str) -> None:
    line = only_line(studio.run(*words))
    assert any(part in line for part in message.split("|")), line
    assert studio.stages() == []
    assert not studio.scene.exists() and not Path(str(studio.scene) + ".work").exists()


def test_a_body_file_that_is_something_else(studio: Studio) -> None:
    body = studio.home / "SMPL_NEUTRAL.pkl"
    body.write_bytes(b"\x80\x02cposix\nsystem\nq\x00X\x02\x00\x00\x00lsq\x01\x85q\x02Rq\x03.")
    line = only_line(studio.run("--body", str(body)))
    assert "SMPL_NEUTRAL.pkl is not an SMPL body" in line and "Choose" in line
    assert studio.stages() == []


def test_an_output_that_cannot_be_made(studio: Studio) -> None:
    studio.output.write_text("a file stands here")
    assert "cannot be made" in only_line(studio.run())


# --- with the real first stage ---------------------------------------------------------------------------------------


def write_video(path: Path, frames: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(frames):
            picture = np.full((48, 64, 3), 20 * index % 255, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("kind", ["absent", "empty", "text", "folder", "truncated header", "no frames"])
def test_input_that_is_no_video(studio: Studio, kind: str) -> None:
    video = studio.video
    if kind == "absent":
        video.unlink()
    elif kind == "empty":
        video.write_bytes(b"")
    elif kind == "text":
        video.write_text("This is a shopping list.\n" * 100)
    elif kind == "folder":
        video.unlink()
        video.mkdir()
    elif kind == "truncated header":
        write_video(video, 10)
        video.write_bytes(video.read_bytes()[:200])
    elif kind == "no frames":
        write_video(video, 0)
    line = only_line(studio.run(FAKE_FRAMES=""))
    assert "unexpected" not in line and (video.name in line or "video" in line)
    assert line.rstrip().endswith(".") and line.count(". ") >= 1, "no remedy"
    assert not studio.scene.exists()


@pytest.mark.parametrize("start, end, message", [("50", "60", "do not exist"), ("-5", "-1", "do not exist")])
def test_range_outside_the_video(studio: Studio, start: str, end: str, message: str) -> None:
    write_video(studio.video, 4)
    assert message in only_line(studio.run("--start", start, "--end", end, FAKE_FRAMES=""))


# --- the disk --------------------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a file system of a few megabytes; skips where that is not allowed."""
    folder.mkdir(exist_ok=True)
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_no_room_is_said_before_the_work(studio: Studio) -> None:
    with small_disk(studio.output, "2m"):
        line = only_line(studio.run())
        assert "MB free" in line and "--output" in line
        assert studio.stages() == []


@pytest.mark.parametrize("stage", ["scene", "world"])
def test_a_disk_that_fills_up_loses_nothing_and_the_run_continues(studio: Studio, stage: str) -> None:
    with small_disk(studio.output, "170m"):
        line = only_line(studio.run(FAKE_FAIL=f"{stage}:fill"))
        assert "is full" in line and "continues" in line
        assert shutil.disk_usage(studio.output).free > 160_000_000
        assert studio.run().returncode == 0
        assert studio.stages() == list(STAGES[STAGES.index(stage) :])


# --- the environment -------------------------------------------------------------------------------------------------


def test_an_environment_without_torch_and_one_without_numpy(studio: Studio, tmp_path: Path) -> None:
    """Base Python without its site folder, given only numpy, then nothing."""
    base = Path(sys.executable).resolve()
    packages = tmp_path / "packages"
    packages.mkdir()
    for part in Path(np.__file__).resolve().parents[1].glob("numpy*"):
        (packages / part.name).symlink_to(part)
    root = engine_environment()["PYTHONPATH"].split(os.pathsep)[0]

    def josh4d(path: list[str], *words: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONUTF8": "1"}
        return subprocess.run(
            [str(base), "-S", "-m", "josh_blender.engine", *words],
            env=variables, capture_output=True, encoding="utf-8", timeout=120,
        )  # fmt: skip

    line = only_line(josh4d([root, str(packages)], *studio.words()))
    assert "torch" in line and "make env" in line
    doctor = josh4d([root, str(packages)], "doctor")
    assert doctor.returncode == 1 and "torch            not installed" in doctor.stdout
    assert "torch" in doctor.stderr and "Traceback" not in doctor.stderr
    bare = josh4d([root], *studio.words())
    assert bare.returncode == 1 and "josh4d: The engine's environment cannot load numpy." in bare.stderr


# --- who counts ------------------------------------------------------------------------------------------------------


def test_people_first_and_the_rest_later(studio: Studio) -> None:
    done = studio.run("--only-people")
    assert done.returncode == 0 and studio.stages() == ["frames", "people"]
    listed = Path(done.stdout.splitlines()[-1])
    assert json.loads(listed.read_text()) == {"people": []}
    assert not studio.scene.exists()
    assert studio.run().returncode == 0
    assert studio.stages() == list(STAGES[2:])


def test_somebody_who_is_not_seen_cannot_count(studio: Studio) -> None:
    assert "no person 2 in this range; seen: nobody" in only_line(studio.run("--keep", "2"))
