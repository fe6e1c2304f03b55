"""Jobs one after another, their records, and what a user reads about them. The engine is played by small programs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from josh_blender.jobs.progress import ProgressMeter
from josh_blender.jobs.queue import Entry, JobQueue, JobRequest
from josh_blender.jobs.reconstruct_command import (
    OPTIONS_IN_BLENDER,
    ReconstructOptions,
    free_bytes,
    in_blender,
    output_folder,
    reconstruct_arguments,
    size_text,
    time_text,
)
from josh_blender.jobs.records import JobRecord, lost_jobs
from josh_blender.jobs.sightings import Sighting, read_sightings

HEAD = "import json, os, signal, sys, time\ndef say(**m): print(json.dumps(m), flush=True)\n"


def request(program: str, label: str = "job") -> JobRequest:
    return JobRequest(label, (sys.executable, "-c", HEAD + program))


def run(queue: JobQueue, until: Callable[[], bool], budget: float = 1.0, seconds: float = 30.0) -> None:
    limit = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < limit, [entry.state for entry in queue.entries]
        queue.tick(budget)
        time.sleep(0.005)


def test_jobs_run_in_turn_whatever_becomes_of_the_one_before(tmp_path: Path) -> None:
    states: list[tuple[str, str]] = []
    queue = JobQueue(lambda entry: states.append((entry.request.label, entry.state)))
    good = queue.add(request("say(type='done', scene='a.scene4d')", "good"))
    bad = queue.add(
        request("say(type='error', kind='no_room', message='Full.', remedy='Free some.'); sys.exit(1)", "bad")
    )
    absent = queue.add(JobRequest("absent", (str(tmp_path / "nowhere"),)))
    last = queue.add(request("say(type='done', scene='b.scene4d')", "last"))
    run(queue, lambda: not queue.busy)
    assert (good.state, good.result) == ("finished", Path("a.scene4d"))
    assert bad.state == "failed" and bad.error is not None and bad.error.remedy == "Free some."
    assert absent.state == "failed" and absent.error is not None and absent.error.kind == "engine_not_started"
    assert last.state == "finished"
    running = [label for label, state in states if state == "running"]
    assert running == ["good", "bad", "last"]


def test_a_new_job_takes_the_place_of_a_failed_one_about_the_same(tmp_path: Path) -> None:
    queue = JobQueue()
    failing = "say(type='error', kind='no_room', message='Full.', remedy='Free some.'); sys.exit(1)"
    for label in ("one", "other"):
        queue.add(request(failing, label))
    good = queue.add(request("say(type='done', scene='a.scene4d')", "good"))
    run(queue, lambda: not queue.busy)
    again = queue.add(request(failing, "one"))
    twice = queue.add(request(failing, "good"))
    assert [entry.request.label for entry in queue.entries] == ["other", "good", "one", "good"]
    assert queue.entries[1:] == [good, again, twice]


def test_cancelled_job_is_continued_and_removed(tmp_path: Path) -> None:
    marker = tmp_path / "once"
    program = f"""
import pathlib
marker = pathlib.Path({str(marker)!r})
say(type='start', stages=['frames'], scene='', log='')
if not marker.exists():
    marker.touch()
    say(type='stage', name='frames', index=0)
    say(type='progress', done=1, total=4, detail='first')
    time.sleep(600)
say(type='done', scene='x.scene4d')
"""
    queue = JobQueue()
    entry = queue.add(request(program))
    run(queue, lambda: entry.detail == "first")
    assert entry.meter.stage_share == 0.25
    queue.remove(entry)
    assert queue.entries == [entry], "a job at work cannot be removed"
    queue.cancel(entry)
    assert queue.cancelling(entry)
    run(queue, lambda: entry.ended)
    assert entry.state == "cancelled" and entry.result is None
    queue.restart(entry)
    assert entry.error is None and entry.stage == -1
    run(queue, lambda: entry.ended)
    assert entry.state == "finished"
    queue.remove(entry)
    assert queue.entries == []


def test_a_flood_is_read_in_pieces_and_nothing_is_lost() -> None:
    program = """
say(type='start', stages=['frames'], scene='', log='')
for i in range(20_000):
    say(type='progress', done=i, total=20_000)
    if i % 1000 == 0: say(type='warning', message=str(i))
say(type='done', scene='x.scene4d')
"""
    queue = JobQueue()
    entry = queue.add(request(program))
    run(queue, lambda: entry.ended, budget=0.0005)
    assert entry.warnings == [str(i) for i in range(0, 20_000, 1000)]
    assert entry.state == "finished"


def test_no_budget_reads_no_line() -> None:
    queue = JobQueue()
    entry = queue.add(request("say(type='start', stages=['frames'], scene='', log=''); time.sleep(600)"))
    queue.tick(0.0)
    limit = time.monotonic() + 30
    while not queue.tick(0.0):
        assert time.monotonic() < limit
    assert entry.stages == []
    queue.tick(1.0)
    assert entry.stages == ["frames"]
    queue.close()


def test_request_survives_its_record(tmp_path: Path) -> None:
    asked = JobRequest(
        "Clip ü", ("python", "-m", "x"), {"A": "b"}, Path("x.log"), "detect", "Scene", "/a.blend", 7, 11, "s"
    )
    record = JobRecord(tmp_path, asked)
    assert lost_jobs(tmp_path) == [], "this process still holds it"
    record.close()
    (lost,) = lost_jobs(tmp_path)
    # The number of a scene means nothing in another session.
    assert lost.request == JobRequest(**{**asked.__dict__, "scene_uid": 0})
    lost.forget()
    assert lost_jobs(tmp_path) == [] and list(tmp_path.iterdir()) == []


def test_record_of_a_killed_process_is_found(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    program = f"""
import sys, time
sys.path.insert(0, {str(root)!r})
from pathlib import Path
from josh_blender.jobs.queue import JobRequest
from josh_blender.jobs.records import JobRecord
record = JobRecord(Path({str(tmp_path)!r}), JobRequest("clip", ("a",)))
print("ready", flush=True)
time.sleep(600)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    assert lost_jobs(tmp_path) == []
    process.kill()
    process.wait()
    process.stdout.close()
    assert [lost.request.label for lost in lost_jobs(tmp_path)] == ["clip"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"label": 1}', '{"kind": "format_disk"}', "[" * 100_000])
def test_damaged_record_is_removed(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.job.json").write_text(text)
    assert lost_jobs(tmp_path) == [] and list(tmp_path.iterdir()) == []


# --- progress --------------------------------------------------------------------------------------------------------


def test_time_left_is_that_of_a_run_with_the_measured_shares() -> None:
    meter = ProgressMeter(["people", "scene", "joint"])
    weights = meter._weights
    second = 100.0 / sum(weights)
    now = 50.0
    meter.stage(0, False, now)
    assert meter.seconds_left(now) is None, "nothing was seen yet"
    for index, weight in enumerate(weights):
        meter.stage(index, False, now)
        for step in range(1, 10):
            now += weight * second / 10
            meter.progress(step, 10)
            left = meter.seconds_left(now)
            assert left is None or left == pytest.approx(150.0 - now, abs=1e-6)
            assert meter.share_at(now) == pytest.approx((now - 50.0) / 100.0)
        now += weight * second / 10
        meter.progress(10, 10)
    assert meter.share == pytest.approx(1.0) and meter.share_at(now) < 1.0, "files may still have to be written"


def test_a_silent_stage_is_judged_by_its_time() -> None:
    meter = ProgressMeter(["people", "scene"])
    first, second = meter._weights
    meter.stage(0, False, 0.0)
    meter.stage(1, False, 10.0 * first)
    assert meter.seconds_left(10.0 * first + 5.0 * second) == pytest.approx(5.0 * second)
    slow = meter.seconds_left(10.0 * first + 100.0 * second)
    assert slow is not None and slow > 5.0, "time alone never ends a stage"


def test_stages_found_finished_cost_no_time() -> None:
    meter = ProgressMeter(["people", "scene"])
    meter.stage(0, True, 0.0)
    assert meter.share == pytest.approx(meter._weights[0] / sum(meter._weights))
    meter.stage(1, False, 100.0)
    meter.progress(1, 4)
    assert meter.seconds_left(110.0) == pytest.approx(30.0)


def test_odd_messages_do_not_disturb_the_meter() -> None:
    entry = Entry(1, JobRequest("x", ("x",)))
    entry.meter.stage(7, False, 0.0)
    entry.meter.progress(5, 0)
    assert entry.meter.share == 0.0 and entry.meter.seconds_left(1.0) is None
    meter = ProgressMeter(["people"])
    meter.stage(0, False, 0.0)
    meter.progress(9, 3)
    meter.progress(1, 3)
    assert meter.share == 1.0


@pytest.mark.parametrize(
    "seconds, text",
    [(3, "a few seconds"), (12, "about 10 s"), (44, "about 40 s"), (70, "about 1 min"), (3540, "about 59 min"),
     (3600, "about 1 h"),
     (5400, "about 1 h 30 min"), (7195, "about 2 h"), (7080, "about 2 h")],
)  # fmt: skip
def test_time_in_words(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


# --- the command -----------------------------------------------------------------------------------------------------


def test_least_command() -> None:
    options = ReconstructOptions(Path("/v/clip.mp4"), Path("/out"))
    assert options.scene_folder == Path("/out/clip.scene4d") and options.log == Path("/out/clip.scene4d.log")
    words = reconstruct_arguments(options)
    assert words == ["reconstruct", str(options.source), "--output", str(options.output), "--mode", "josh",
                     "--preset", "preview", "--device", "auto"]  # fmt: skip
    assert reconstruct_arguments(options, only_people=True) == [*words, "--only-people"]


def test_people_are_found_with_the_same_settings_as_they_are_solved() -> None:
    options = ReconstructOptions(
        Path("a.png"), Path("o"), start=3, end=9, fps=23.976, color_space="linear", people=4, keep=(1, 3),
        heights={0: 1.7, 3: 1.62}, lens_mm=35.0,
    )  # fmt: skip
    seen, solved = reconstruct_arguments(options, only_people=True), reconstruct_arguments(options)
    assert solved[: len(seen) - 1] == seen[:-1]
    assert solved[len(seen) - 1 :] == ["--keep", "1,3", "--height", "0=1.7,3=1.62", "--lens", "35:36"]


def test_place_of_the_result() -> None:
    chosen, blend, preferred, video = Path("c"), Path("p/a.blend"), Path("d"), Path("v/a.mp4")
    assert output_folder(chosen, blend, preferred, video) == chosen
    assert output_folder(None, blend, preferred, video) == Path("p")
    assert output_folder(None, None, preferred, video) == preferred
    assert output_folder(None, None, None, video) == Path("v")


def test_advice_names_settings_of_blender_instead_of_options() -> None:
    advice = "Free some room, or choose another folder with --output."
    assert in_blender(advice) == "Free some room, or choose another folder under Output."
    engine = Path(__file__).resolve().parents[2] / "josh_blender" / "engine"
    text = "".join(path.read_text(encoding="utf-8") for path in engine.rglob("*.py"))
    assert [option for option in OPTIONS_IN_BLENDER if option not in text] == [], "the engine says it differently now"


def test_room(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "made" / "yet") is not None
    assert size_text(1_440_000_000) == "1.4 GB" and size_text(3_000_000) == "3 MB" and size_text(10) == "1 MB"


# --- who is seen -----------------------------------------------------------------------------------------------------


def test_list_of_people_stays_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "outside.png").touch()
    folder = tmp_path / "seen"
    folder.mkdir()
    (folder / "01.png").touch()
    person = {"id": 1, "first_frame": 0, "last_frame": 9, "reliable": True, "reason": "", "picture": "01.png"}
    other = {**person, "id": 2, "picture": "../outside.png", "later": [1]}
    path = folder / "people.json"
    path.write_text(json.dumps({"people": [person, other]}))
    first, second = read_sightings(path)
    assert first == Sighting(1, 0, 9, True, "", folder / "01.png") and second.picture is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"people": 3}', '{"people": [{"id": 1}]}', '{"people": [3]}', "[" * 100_000]
)
def test_what_is_no_list_of_people(tmp_path: Path, text: str) -> None:
    path = tmp_path / "people.json"
    path.write_text(text)
    with pytest.raises(ValueError):
        read_sightings(path)
