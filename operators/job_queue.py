"""The queue of jobs in Blender: on the window manager, driven by a timer that only reads, draws and delivers.

Nothing here waits, and no other thread touches bpy. A window manager is not saved, not undone, and stays when another
file is loaded, and so does the queue.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable
from pathlib import Path

import bpy

from ..josh_blender.jobs.queue import Entry, JobQueue, JobRequest
from ..josh_blender.jobs.records import JobRecord, LostJob, lost_jobs
from .engine import EngineChoice, engine_choice

#: Seconds of reading per timer tick, and between two ticks: while a job runs, while it floods us, and while none does.
_BUDGET = 0.002
_INTERVAL = 0.1
_INTERVAL_BEHIND = 0.01
_INTERVAL_IDLE = 0.5
#: The regions that show jobs, by the type of their area.
_SHOWN_IN = {"VIEW_3D": "UI", "CLIP_EDITOR": "UI", "PREFERENCES": "WINDOW"}
#: The attribute of every window manager.
_ATTRIBUTE = "josh4d_jobs"


class BlenderJobs:
    """The queue, its records on disk, and what becomes of results.

    Attributes:
        queue: the jobs.
        lost: jobs that an earlier Blender left behind; the artist is asked about them.
        deliver: per kind of job, what brings a finished one into Blender; returns False to be asked again later.
        show: brings the newest preview of a running job into Blender; returns False to be asked again later.
        sweep: takes previews out of the file whose job does not run any more.
        engine: the engine that jobs run with.
    """

    def __init__(self, records: Path) -> None:
        self.queue = JobQueue(self._changed)
        self.deliver: dict[str, Callable[[Entry], bool]] = {}
        self.show: Callable[[Entry], bool] = lambda entry: True
        self.sweep: Callable[[], None] = lambda: None
        self.engine: Callable[[bpy.types.Context], EngineChoice] = engine_choice
        self._folder = records
        self._drawn = -_INTERVAL
        self._records: dict[int, JobRecord] = {}
        self.lost: list[LostJob] = lost_jobs(records)

    def tick(self) -> float:
        """One step of everything; returns the seconds until the next."""
        if not self.queue.busy and not any(_unsettled(entry) for entry in self.queue.entries):
            self.sweep()
            return _INTERVAL_IDLE
        behind = self.queue.tick(_BUDGET)
        for entry in list(self.queue.entries):
            if _unsettled(entry):
                self._settle(entry)
        # A flood of messages shortens the interval between ticks, not that between drawings.
        if time.monotonic() - self._drawn >= _INTERVAL or not self.queue.busy:
            self._drawn = time.monotonic()
            self.sweep()
            redraw()
        return _INTERVAL_BEHIND if behind else _INTERVAL

    def forget(self, lost: LostJob) -> None:
        """Do not offer a lost job again."""
        self.lost.remove(lost)
        lost.forget()

    def close(self) -> None:
        """Blender ends, or the extension goes: no job outlives it. What was under way is offered at the next start."""
        self.queue.close()
        for record in self._records.values():
            record.close()
        self._records.clear()

    def _settle(self, entry: Entry) -> None:
        if entry.state == "running":
            count = len(entry.previews)
            if self.show(entry):
                entry.shown = count
            return
        deliver = self.deliver.get(entry.request.kind)
        entry.delivered = deliver is None or deliver(entry)

    def _changed(self, entry: Entry) -> None:
        if entry.ended:
            record = self._records.pop(entry.id, None)
            if record is not None:
                record.remove()
        elif entry.id not in self._records:
            try:
                self._records[entry.id] = JobRecord(self._folder, entry.request)
            except OSError as error:
                # Without a record the job runs as well; only a crash would forget it.
                print(f"JOSH 4D: the job cannot be recorded: {error}")


def _unsettled(entry: Entry) -> bool:
    """Whether something of this job is still to be shown or brought in."""
    if entry.state == "running":
        return len(entry.previews) > entry.shown
    return entry.state == "finished" and not entry.delivered


def jobs(context: bpy.types.Context) -> BlenderJobs:
    """The jobs of this Blender."""
    return getattr(context.window_manager, _ATTRIBUTE)


def enqueue(context: bpy.types.Context, request: JobRequest) -> Entry:
    """Queue a job; it starts when its turn has come."""
    entry = jobs(context).queue.add(request)
    redraw()
    return entry


def tick() -> float:
    """The timer's callback; called by hand where timers do not run."""
    return jobs(bpy.context).tick()


def redraw() -> None:
    """Draw the places that show jobs again: sidebars and the preferences."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            shown = _SHOWN_IN.get(area.type)
            for region in area.regions if shown is not None else ():
                if region.type == shown:
                    region.tag_redraw()


def records_folder(package: str) -> Path:
    """Where the records of jobs lie: the extension's own folder of the user."""
    try:
        return Path(bpy.utils.extension_path_user(package, path="jobs", create=False))
    except ValueError:
        # Installed the old way, or run from the sources: not an extension of a repository.
        return Path(bpy.utils.user_resource("DATAFILES", path="josh4d")) / "jobs"


def register(package: str) -> BlenderJobs:
    """Make the queue and start its timer. ``package`` is the extension's root package."""
    here = BlenderJobs(records_folder(package))
    setattr(bpy.types.WindowManager, _ATTRIBUTE, here)
    atexit.register(here.close)
    bpy.app.timers.register(tick, first_interval=_INTERVAL_IDLE, persistent=True)
    return here


def unregister() -> None:
    """End every job and take the queue out of Blender."""
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    here = getattr(bpy.types.WindowManager, _ATTRIBUTE)
    here.close()
    atexit.unregister(here.close)
    delattr(bpy.types.WindowManager, _ATTRIBUTE)
