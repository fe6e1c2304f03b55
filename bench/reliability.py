"""How the engine ends and goes on: ``.venv/bin/python bench/reliability.py [--kills 30] [--frames 12] [--width 480]``.

The real pipeline on the first frames of the sample clip is killed at random moments, with everything it started, and
run again: the second run must end well, and every file of every stage must be that of an undisturbed run, bit for bit.
Then the time until nothing of a job is left: after Cancel, with children that ignore the polite signal, and after the
process that started it was killed. Linux only: processes are looked up in ``/proc``.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from josh_blender.jobs.job import Job, engine_command, engine_environment  # noqa: E402
from josh_blender.jobs.protocol import Message, Stage, Warn  # noqa: E402

SAMPLE = ROOT / "bench" / "sample" / "data" / "sample.mp4"
SEED = 20
_POLL = 0.002

#: A child and a grandchild that ignore SIGTERM, the child as engine: it ends when its input closes.
STUBBORN = """
import json, signal, subprocess, sys, time
from josh_blender.jobs.lifeline import end_with_stdin
end_with_stdin()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
child.stdout.readline()
print(json.dumps({"type": "warning", "message": "ready"}), flush=True)
time.sleep(600)
"""
#: A stand-in for Blender: starts a job, says its process id, waits to be killed.
PARENT = """
import sys, time
from josh_blender.jobs.job import Job, engine_environment
job = Job.start(sys.argv[1:], engine_environment())
while not job.poll():
    time.sleep(0.01)
print(job.process_id, flush=True)
time.sleep(600)
"""


def small_clip(path: Path, frames: int, width: int) -> Path:
    """The first frames of the sample, smaller, without further loss."""
    with av.open(str(SAMPLE)) as source, av.open(str(path), "w") as target:
        video = source.streams.video[0]
        height = round(video.height * width / video.width / 2) * 2
        stream = target.add_stream("ffv1", rate=video.average_rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index, frame in enumerate(source.decode(video)):
            if index == frames:
                break
            small = frame.reformat(width, height, "yuv420p")
            small.pts = None
            target.mux(stream.encode(small))
        target.mux(stream.encode(None))
    return path


def start(video: Path, output: Path) -> Job:
    """The engine as Blender starts it."""
    words = ["reconstruct", str(video), "--output", str(output), "--device", "cpu"]
    return Job.start(engine_command(Path(sys.executable), words), engine_environment())


def follow(job: Job, end: Callable[[Job], None] = Job.kill, seconds: float = float("inf")) -> list[Message]:
    """What a job says until it ends, or until ``end`` is called on it after some seconds."""
    messages: list[Message] = []
    limit = time.monotonic() + seconds
    while job.running:
        messages += job.poll()
        if time.monotonic() >= limit:
            end(job)
            limit = float("inf")
        time.sleep(_POLL)
    return messages


def contents(scene: Path) -> dict[str, str]:
    """Hash of every file of a scene but the log, by its path."""
    return {
        str(path.relative_to(scene)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(scene.rglob("*"))
        if path.is_file() and path.name != "run.log"
    }


def group_members(group: int) -> list[int]:
    """Processes of a group that still run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, process_group = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:3]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(process_group) == group and state != "Z":
                found.append(int(entry.name))
    return found


def seconds_until_gone(group: int, poll: Callable[[], object], limit: float = 30.0) -> float:
    """Seconds until no process of a group runs any more."""
    begun = time.monotonic()
    while group_members(group):
        if time.monotonic() - begun > limit:
            os.killpg(group, signal.SIGKILL)
            return float("inf")
        poll()
        time.sleep(_POLL)
    return time.monotonic() - begun


def kills(video: Path, home: Path, count: int) -> int:
    """Kill the engine at random moments; returns how often the result differed from the undisturbed one."""
    begun = time.monotonic()
    job = start(video, home / "undisturbed")
    follow(job)
    whole = time.monotonic() - begun
    if job.result is None:
        raise SystemExit(f"the undisturbed run failed: {job.error}")
    wanted = contents(job.result)
    print(f"undisturbed run       {whole:.1f} s, {len(wanted)} files")
    moments = random.Random(SEED)
    failed, number, finished, where = 0, 0, 0, dict[str, int]()
    while number < count:
        output = home / f"run{number}"
        begun = time.monotonic()
        job = start(video, output)
        seen = follow(job, seconds=moments.uniform(0.0, whole))
        if job.result is not None:
            # Not a kill; the next moments are drawn from a run as short as this one.
            whole = min(whole, time.monotonic() - begun)
            finished += 1
            shutil.rmtree(output)
            continue
        number += 1
        stages = [message.name for message in seen if isinstance(message, Stage)]
        stage = stages[-1] if stages else "before the first stage"
        where[stage] = where.get(stage, 0) + 1
        left = group_members(job.process_id)
        job = start(video, output)
        again = follow(job)
        reused = [message.name for message in again if isinstance(message, Stage) and message.reused]
        found = contents(job.result) if job.result is not None else {}
        different = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        others = sorted(path.name for path in output.iterdir()) if output.is_dir() else []
        if different or left or len(others) != 2 or not set(stages[:-1]) <= set(reused):
            failed += 1
            print(f"  kill {number} in {stage}: {job.error or different[:5]} left {left} {others} reused {reused}")
        shutil.rmtree(output, ignore_errors=True)
    print(f"killed in             {', '.join(f'{name} {times}' for name, times in sorted(where.items()))}")
    print(f"finished before       {finished} more, not counted")
    print(f"same result           {count - failed} of {count}, bit-equal stages and scene")
    return failed


def cancels(video: Path, home: Path, count: int) -> float:
    """Cancel jobs; prints and returns the longest time until nothing is left of one."""
    moments = random.Random(SEED)
    times = []
    while len(times) < count:
        output = home / "cancelled"
        job = start(video, output)
        limit = time.monotonic() + moments.uniform(0.0, 8.0)
        while time.monotonic() < limit and job.running:
            job.poll()
            time.sleep(_POLL)
        if not job.running:
            # It had finished: nothing to cancel.
            shutil.rmtree(output)
            continue
        job.cancel()
        times.append(seconds_until_gone(job.process_id, job.poll))
        follow(job)
        shutil.rmtree(output, ignore_errors=True)
    stubborn = []
    for _ in range(count):
        job = Job.start([sys.executable, "-c", STUBBORN], engine_environment())
        while not any(isinstance(message, Warn) for message in job.poll()):
            time.sleep(_POLL)
        job.cancel()
        stubborn.append(seconds_until_gone(job.process_id, job.poll))
        follow(job)
    print(f"cancel, engine        median {statistics.median(times):.2f} s, longest {max(times):.2f} s")
    print(f"cancel, ignores it    median {statistics.median(stubborn):.2f} s, longest {max(stubborn):.2f} s")
    return max(times + stubborn)


def orphans(video: Path, home: Path, count: int) -> float:
    """Kill the process that started a job; prints and returns the longest time until nothing is left of the job."""
    engine = engine_command(
        Path(sys.executable), ["reconstruct", str(video), "--output", str(home / "orphan"), "--device", "cpu"]
    )
    times = []
    environment = {**os.environ, **engine_environment()}
    for number in range(count):
        command = engine if number % 2 else [sys.executable, "-c", STUBBORN]
        with subprocess.Popen(
            [sys.executable, "-c", PARENT, *command], stdout=subprocess.PIPE, env=environment
        ) as parent:
            assert parent.stdout is not None
            group = int(parent.stdout.readline())
            time.sleep(0.5 * number)
            parent.kill()
            times.append(seconds_until_gone(group, lambda: None))
    print(f"parent killed         median {statistics.median(times):.2f} s, longest {max(times):.2f} s")
    return max(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--width", type=int, default=480)
    parser.add_argument("--ends", type=int, default=6, help="how often to cancel, and to kill the parent")
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        video = small_clip(home / "clip.mkv", settings.frames, settings.width)
        failed = kills(video, home, settings.kills) if settings.kills else 0
        if settings.ends:
            failed += cancels(video, home, settings.ends) > 2.0
            failed += orphans(video, home, settings.ends) > 5.0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
