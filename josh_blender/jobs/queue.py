"""Jobs one after another, and what is known about each. Whoever owns the queue calls `tick` now and then."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .job import Job
from .progress import ProgressMeter
from .protocol import Error, Message, Preview, Progress, Stage, Start, Warn

Kind = Literal["reconstruct", "detect", "set_up"]
State = Literal["waiting", "running", "finished", "failed", "cancelled"]

#: Warnings kept per job; an engine says each once, so more of them come from something that went wrong.
_MOST_WARNINGS = 50


@dataclass(frozen=True)
class JobRequest:
    """A job as asked for.

    Attributes:
        label: what the user sees, such as the name of the video.
        command: program and arguments; it speaks the job protocol on its standard output.
        environment: variables added to those of this process.
        log: the job's log, until the job itself names one.
        kind: what happens with the result: a scene to import, people to tick, an engine to use.
        scene_name, blend_file: the Blender scene that asked and the path of its file, empty where not saved.
        scene_uid: the session's number of that scene, which tells it from its namesake in another unsaved file; 0
            where it is not known, as for a job of an earlier session.
        start_frame: Blender's frame at which the result begins.
        subject: what the job is about, for whoever compares it with something else.
    """

    label: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None
    kind: Kind = "reconstruct"
    scene_name: str = ""
    blend_file: str = ""
    scene_uid: int = 0
    start_frame: int = 1
    subject: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values for a record on disk, which outlives the session."""
        return {
            "label": self.label,
            "command": list(self.command),
            "environment": dict(self.environment),
            "log": None if self.log is None else str(self.log),
            "kind": self.kind,
            "scene_name": self.scene_name,
            "blend_file": self.blend_file,
            "start_frame": self.start_frame,
            "subject": self.subject,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> JobRequest:
        """The reverse of `as_json`.

        Raises:
            ValueError: the data are not a request.
        """
        try:
            request = cls(
                label=str(data["label"]),
                command=tuple(str(word) for word in data["command"]),
                environment={str(name): str(value) for name, value in dict(data["environment"]).items()},
                log=None if data["log"] is None else Path(data["log"]),
                kind=data["kind"],
                scene_name=str(data["scene_name"]),
                blend_file=str(data["blend_file"]),
                start_frame=int(data["start_frame"]),
                subject=str(data["subject"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a job request: {error}") from error
        if request.kind not in ("reconstruct", "detect", "set_up") or not request.command:
            raise ValueError("not a job request")
        return request


class Entry:
    """A request in the queue and how it goes.

    Attributes:
        id: unique within the queue.
        state: waiting, running, or how it ended.
        stages: names in order, empty until the job said them. stage: index of the current one, -1 before the first.
        reused: indices of stages that an earlier run had finished.
        warnings, previews: what the job told so far; previews are (stage, file).
        log: the job's log, None where there is none.
        result: what the finished job made. error: why it failed.
        detail: what is being worked on, in words.
        delivered: whether the owner of the queue has used the result, or has put that off to the user; `note` says why.
        shown: how many of the previews are shown.
    """

    def __init__(self, number: int, request: JobRequest) -> None:
        self.id = number
        self.request = request
        self.shown = 0
        self.reset()

    def reset(self) -> None:
        """Wait (again) for its turn."""
        self.state: State = "waiting"
        self.stages: list[str] = []
        self.stage = -1
        self.reused: set[int] = set()
        self.detail = ""
        self.delivered = False
        self.note = ""
        self.warnings: list[str] = []
        self.previews: list[tuple[str, Path]] = []
        self.meter = ProgressMeter([])
        self.log = self.request.log
        self.result: Path | None = None
        self.error: Error | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ("finished", "failed", "cancelled")

    def take(self, message: Message, now: float) -> None:
        """Note a message of the job, read at ``now`` seconds."""
        match message:
            case Start():
                self.stages = message.stages
                self.meter = ProgressMeter(message.stages)
                self.log = Path(message.log) if message.log else self.log
            case Stage():
                self.stage = message.index
                if message.reused:
                    self.reused.add(message.index)
                self.detail = ""
                self.meter.stage(message.index, message.reused, now)
            case Progress():
                self.detail = message.detail
                self.meter.progress(message.done, message.total)
            case Warn():
                if len(self.warnings) < _MOST_WARNINGS and message.message not in self.warnings:
                    self.warnings.append(message.message)
            case Preview():
                self.previews.append((message.stage, Path(message.path)))
            case _:
                pass


class JobQueue:
    """Runs requests one after another; ended ones stay listed until they are removed."""

    def __init__(
        self, on_change: Callable[[Entry], None] = lambda entry: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``on_change`` is called whenever an entry's state changes."""
        self.entries: list[Entry] = []
        self._numbers = itertools.count(1)
        self._job: Job | None = None
        self._on_change = on_change
        self._clock = clock

    @property
    def running(self) -> Entry | None:
        """The entry whose job runs now."""
        return next((entry for entry in self.entries if entry.state == "running"), None)

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits."""
        return any(not entry.ended for entry in self.entries)

    def find(self, number: int) -> Entry | None:
        """The entry with this id."""
        return next((entry for entry in self.entries if entry.id == number), None)

    def add(self, request: JobRequest) -> Entry:
        """Queue a request; the next `tick` starts it when its turn has come.

        It takes the place of a failed or cancelled one about the same thing: what that said is out of date.
        """
        self.entries = [old for old in self.entries if not _replaces(request, old)]
        entry = Entry(next(self._numbers), request)
        self.entries.append(entry)
        self._on_change(entry)
        return entry

    def tick(self, budget: float) -> bool:
        """Read what the job said, for at most ``budget`` seconds, and start the next one; never waits.

        Returns whether more is there to be read at once.
        """
        entry = self.running
        if entry is None or self._job is None:
            self._start_next()
            return False
        now = self._clock()
        for message in self._job.poll(budget):
            entry.take(message, now)
        if not self._job.running:
            self._finish(entry, self._job)
            self._start_next()
            return False
        return self._job.behind

    def cancel(self, entry: Entry) -> None:
        """End a running job, or let a waiting one go."""
        if entry.state == "running" and self._job is not None:
            self._job.cancel()
        elif entry.state == "waiting":
            self._set(entry, "cancelled")

    def cancelling(self, entry: Entry) -> bool:
        """Whether this job was asked to end and has not yet."""
        return entry.state == "running" and self._job is not None and self._job.cancelled

    def restart(self, entry: Entry) -> None:
        """Queue an ended job again; an engine continues where it stopped."""
        if entry.ended:
            entry.reset()
            self._set(entry, "waiting")

    def remove(self, entry: Entry) -> None:
        """Forget an ended job."""
        if entry.ended:
            self.entries.remove(entry)

    def close(self) -> None:
        """End the running job with everything it started, at once."""
        if self._job is not None:
            self._job.kill()
        self._job = None

    def _start_next(self) -> None:
        entry = next((entry for entry in self.entries if entry.state == "waiting"), None)
        if entry is None:
            return
        try:
            self._job = Job.start(entry.request.command, entry.request.environment, entry.log)
        except OSError as error:
            entry.error = Error(
                "engine_not_started",
                f"The engine cannot be started: {error.strerror or error}.",
                "Set up the engine again.",
            )
            self._set(entry, "failed")
            return
        self._set(entry, "running")

    def _finish(self, entry: Entry, job: Job) -> None:
        self._job = None
        entry.result, entry.error = job.result, job.error
        if job.cancelled and job.result is None:
            self._set(entry, "cancelled")
        else:
            self._set(entry, "failed" if job.result is None else "finished")

    def _set(self, entry: Entry, state: State) -> None:
        entry.state = state
        self._on_change(entry)


def _replaces(request: JobRequest, old: Entry) -> bool:
    same = (old.request.kind, old.request.label) == (request.kind, request.label)
    # One whose previews are still shown stays until they are taken away.
    return same and old.state in ("failed", "cancelled") and not old.shown
