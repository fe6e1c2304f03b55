"""``josh4d reconstruct`` with all its real stages on small made-up videos: what has no people, and what was killed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from josh_blender.engine.cli import main
from josh_blender.jobs.job import Job, engine_command, engine_environment
from josh_blender.jobs.protocol import Message, Stage, Warn
from josh_blender.scene4d.files import read_scene

pytestmark = pytest.mark.slow


def write_video(path: Path, frames: int) -> Path:
    """A wall of coloured noise that moves sideways, and nobody in front of it."""
    wall = np.random.default_rng(0).integers(0, 255, (270, 480, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 480, 270, "yuv420p"
        for index in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(wall, index, axis=1), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def follow(
    video: Path, output: Path, until: Callable[[Message], bool] = lambda message: False
) -> tuple[Job, list[Message]]:
    """Run the engine as Blender does; kill it at the first message for which ``until`` holds."""
    words = ["reconstruct", str(video), "--output", str(output), "--device", "cpu"]
    job = Job.start(engine_command(Path(sys.executable), words), engine_environment())
    messages: list[Message] = []
    limit = time.monotonic() + 300
    while job.running:
        assert time.monotonic() < limit, "the engine did not end"
        new = job.poll()
        messages += new
        if any(until(message) for message in new):
            job.kill()
        time.sleep(0.01)
    return job, messages


def test_a_video_without_people_that_was_killed_on_the_way(tmp_path: Path) -> None:
    video, output = write_video(tmp_path / "Wand ü.mp4", 12), tmp_path / "Aus gabe"
    job, _ = follow(video, output, lambda message: isinstance(message, Stage) and message.name == "scene")
    assert job.error is not None and job.error.kind == "cancelled" and job.result is None
    job, messages = follow(video, output)
    assert job.error is None and job.result == output / "Wand ü.scene4d"
    reused = {message.name for message in messages if isinstance(message, Stage) and message.reused}
    assert {"frames", "people"} <= reused
    assert any("No people" in message.message for message in messages if isinstance(message, Warn))
    scene = read_scene(job.result)
    assert scene.people == [] and len(scene.camera.frame) == 12
    assert main(["inspect", str(job.result)]) == 0


def test_a_video_of_one_frame(tmp_path: Path) -> None:
    job, _ = follow(write_video(tmp_path / "one.mp4", 1), tmp_path)
    assert job.error is None and job.result is not None
    assert read_scene(job.result).camera.frame.tolist() == [0]


def test_a_video_cut_off_in_the_middle_is_solved_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = tmp_path / "whole.ts"
    write_video(whole, 30)
    video = tmp_path / "cut.ts"
    # The first picture alone is half of the file.
    video.write_bytes(whole.read_bytes()[: whole.stat().st_size * 4 // 5])
    job, _ = follow(video, tmp_path)
    assert job.error is None and job.result is not None
    assert 5 < len(read_scene(job.result).camera.frame) < 30


def test_the_command_ends_well_with_its_input_closed(tmp_path: Path) -> None:
    video = write_video(tmp_path / "wall.mp4", 2)
    command = [*engine_command(Path(sys.executable), ["reconstruct", str(video), "--device", "cpu"])[:-1]]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stdout.decode()
    assert done.stdout.decode().strip().endswith("wall.scene4d") and done.stderr == b""
