"""A job is started, followed and ended with its whole tree. The engine is played by small Python programs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from josh_blender.jobs.job import Job, engine_environment
from josh_blender.jobs.protocol import Done, Message, Progress, Warn

posix = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")

HEAD = "import json, os, signal, subprocess, sys, time\ndef say(**m): print(json.dumps(m), flush=True)\n"


def start(program: str) -> Job:
    return Job.start([sys.executable, "-c", HEAD + program], engine_environment(), Path("engine.log"))


def follow(job: Job, until: Callable[[], bool] = lambda: False, seconds: float = 30.0) -> list[Message]:
    """Poll until the job ended or the condition holds; a job that does neither is a failure."""
    messages: list[Message] = []
    limit = time.monotonic() + seconds
    while job.running and not until():
        assert time.monotonic() < limit, "the job did not end"
        messages += job.poll()
        time.sleep(0.005)
    return messages


def alive(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(process_id: int) -> None:
    limit = time.monotonic() + 10
    while alive(process_id):
        assert time.monotonic() < limit, f"process {process_id} still runs"
        time.sleep(0.01)


def test_result_of_a_run_that_ends_well() -> None:
    job = start("say(type='progress', done=1, total=2); say(type='done', scene='a é.scene4d')")
    assert follow(job) == [Progress(1, 2), Done("a é.scene4d")]
    assert job.result == Path("a é.scene4d")
    assert job.error is None and not job.running and job.poll() == []


def test_garbage_and_ten_thousand_lines() -> None:
    program = """
for i in range(10_000):
    os.write(1, b'W0101 glog \\xff line %d\\n' % i)
    say(type='warning', message=str(i))
say(type='done', scene='x.scene4d')
"""
    job = start(program)
    messages = follow(job)
    assert [message.message for message in messages if isinstance(message, Warn)] == [str(i) for i in range(10_000)]
    assert job.result == Path("x.scene4d")


def test_error_message_of_the_engine_is_kept() -> None:
    job = start("say(type='error', kind='no_people', message='Nobody is seen.', remedy='Choose.'); sys.exit(1)")
    follow(job)
    assert job.result is None
    assert job.error is not None and job.error.kind == "no_people"


@pytest.mark.parametrize(
    "program",
    [
        "sys.exit(3)",
        "pass",
        "say(type='done', scene='x'); sys.exit(1)",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "import nothing_of_that_name",
    ],
)
def test_end_without_done_and_exit_code_0_is_an_error(program: str) -> None:
    job = start(program)
    follow(job)
    assert job.result is None
    assert job.error is not None and job.error.kind == "engine_stopped"
    assert "engine.log" in job.error.message and job.error.remedy


def test_program_that_does_not_exist() -> None:
    with pytest.raises(OSError):
        Job.start([str(Path("nowhere") / "python")])


@posix
def test_poll_never_waits_for_a_silent_child() -> None:
    job = start("time.sleep(60)")
    assert job.poll() == [] and job.running
    job.kill()
    assert not alive(job.process_id)
    assert job.error is not None and job.error.kind == "cancelled"


STUBBORN_TREE = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, '-c', stubborn], stdout=subprocess.PIPE)
child.stdout.readline()
say(type='warning', message=str(child.pid))
"""


@posix
def test_cancel_ends_a_child_and_grandchild_that_ignore_the_polite_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("josh_blender.jobs.job._PATIENCE", 0.2)
    job = start(STUBBORN_TREE + "time.sleep(600)")
    grandchild: list[int] = []
    while not grandchild:
        grandchild = [int(message.message) for message in job.poll() if isinstance(message, Warn)]
        time.sleep(0.005)
    job.cancel()
    follow(job)
    wait_until_gone(job.process_id)
    wait_until_gone(grandchild[0])
    assert job.error is not None and job.error.kind == "cancelled" and job.result is None


@posix
@pytest.mark.parametrize("ends", ["at the polite signal", "by itself"])
def test_what_the_engine_leaves_behind_writing_for_ever_ends_with_it(
    ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("josh_blender.jobs.job._PATIENCE", 0.2)
    flood = """
flood = HEAD + "signal.signal(signal.SIGTERM, signal.SIG_IGN); say(type='warning', message=str(os.getpid())); "
flood += "os.close(2)\\nwhile True: os.write(1, b'x\\\\n' * 30000)"
child = subprocess.Popen([sys.executable, '-c', flood], stderr=subprocess.PIPE)
child.stderr.read()
"""
    flood = f"HEAD = {HEAD!r}" + flood
    job = start(flood + ("sys.exit(3)" if ends == "by itself" else "time.sleep(600)"))
    grandchild: list[int] = []
    while not grandchild:
        grandchild = [int(message.message) for message in job.poll(0.0002) if isinstance(message, Warn)]
        time.sleep(0.005)
    if ends != "by itself":
        job.cancel()
    limit = time.monotonic() + 30
    while job.running:
        assert time.monotonic() < limit, "the job did not end"
        job.poll(0.0002)
        time.sleep(0.005)
    wait_until_gone(grandchild[0])
    assert job.error is not None and job.error.kind == ("engine_stopped" if ends == "by itself" else "cancelled")


PARENT = """
import sys, time
from josh_blender.jobs.job import Job, engine_environment
from josh_blender.jobs.protocol import Warn
job = Job.start([sys.executable, "-c", sys.argv[1]], engine_environment())
said = []
while not said:
    said = [message.message for message in job.poll() if isinstance(message, Warn)]
    time.sleep(0.005)
print(job.process_id, said[0], flush=True)
time.sleep(600)
"""


@posix
def test_engine_and_its_children_end_when_blender_is_killed() -> None:
    engine = HEAD + "from josh_blender.jobs.lifeline import end_with_stdin; end_with_stdin()" + STUBBORN_TREE
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, engine + "time.sleep(600)"],
        env={**os.environ, **engine_environment()}, stdout=subprocess.PIPE,
    )  # fmt: skip
    with parent:
        assert parent.stdout is not None
        tree = [int(word) for word in parent.stdout.readline().split()]
        assert len(tree) == 2 and all(alive(process_id) for process_id in tree)
        parent.kill()
        for process_id in tree:
            wait_until_gone(process_id)


@posix
def test_grandchild_that_keeps_the_pipe_open_does_not_outlive_the_engine() -> None:
    program = """
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
say(type='warning', message=str(child.pid))
say(type='done', scene='x.scene4d')
"""
    job = start(program)
    messages = follow(job)
    (grandchild,) = [int(message.message) for message in messages if isinstance(message, Warn)]
    wait_until_gone(grandchild)
    assert job.result == Path("x.scene4d")


@posix
def test_engine_and_its_children_end_when_their_input_closes() -> None:
    job = start("from josh_blender.jobs.lifeline import end_with_stdin; end_with_stdin()" + STUBBORN_TREE
                + "time.sleep(600)")  # fmt: skip
    grandchild: list[int] = []
    while not grandchild:
        grandchild = [int(message.message) for message in job.poll() if isinstance(message, Warn)]
        time.sleep(0.005)
    job._tree.close_input()
    follow(job)
    wait_until_gone(grandchild[0])
    assert job.error is not None and job.error.kind == "engine_stopped"


@posix
def test_cancelled_engine_gets_the_polite_signal_first() -> None:
    program = """
def bye(*_):
    say(type='warning', message='bye')
    sys.exit(1)
signal.signal(signal.SIGTERM, bye)
say(type='progress', done=0, total=1)
time.sleep(600)
"""
    job = start(program)
    seen: list[Message] = []
    while not seen:
        seen += job.poll()
    job.cancel()
    seen += follow(job)
    assert Warn("bye") in seen
