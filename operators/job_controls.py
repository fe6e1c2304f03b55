"""Cancel, continue, remove a job; read its log; what an earlier Blender left unfinished."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import IntProperty

from ..josh_blender.jobs.queue import Entry
from .job_queue import jobs, redraw

#: Of a longer log only the end is read.
_MOST_LOG = 1 << 20
_LOG_KEY = "josh4d_log"


class _JobOperator:
    """About one job of the queue; what it does is not undone by undo, for the job is not in the file."""

    bl_options = {"REGISTER"}  # noqa: RUF012
    job: IntProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context):
        entry = jobs(context).queue.find(self.job)
        if entry is None:
            self.report({"WARNING"}, "This job is not in the list any more.")
            return {"CANCELLED"}
        self.act(context, entry)
        redraw()
        return {"FINISHED"}


class JOSH4D_OT_cancel_job(_JobOperator, bpy.types.Operator):
    """End this job; finished stages are kept, so that it can be continued"""

    bl_idname = "josh4d.cancel_job"
    bl_label = "Cancel"

    def act(self, context: bpy.types.Context, entry: Entry) -> None:
        """See the class."""
        jobs(context).queue.cancel(entry)


class JOSH4D_OT_continue_job(_JobOperator, bpy.types.Operator):
    """Go on with this job after its last finished stage"""

    bl_idname = "josh4d.continue_job"
    bl_label = "Continue"

    def act(self, context: bpy.types.Context, entry: Entry) -> None:
        """See the class."""
        jobs(context).queue.restart(entry)


class JOSH4D_OT_remove_job(_JobOperator, bpy.types.Operator):
    """Take this job off the list; its files stay"""

    bl_idname = "josh4d.remove_job"
    bl_label = "Remove"

    def act(self, context: bpy.types.Context, entry: Entry) -> None:
        """See the class."""
        jobs(context).queue.remove(entry)


class JOSH4D_OT_copy_error(_JobOperator, bpy.types.Operator):
    """Copy what went wrong and what to do about it"""

    bl_idname = "josh4d.copy_error"
    bl_label = "Copy Message"

    def act(self, context: bpy.types.Context, entry: Entry) -> None:
        """See the class."""
        if entry.error is not None:
            lines = [entry.error.message, entry.error.remedy, f"({entry.error.kind})"]
            lines += [f"Log: {entry.log}"] if entry.log else []
            context.window_manager.clipboard = "\n".join(line for line in lines if line)


class JOSH4D_OT_open_log(_JobOperator, bpy.types.Operator):
    """Read the log of this job, in an open text editor of Blender or in the system's"""

    bl_idname = "josh4d.open_log"
    bl_label = "Log"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    def execute(self, context):
        entry = jobs(context).queue.find(self.job)
        path = _log_of(entry) if entry is not None else None
        if path is None:
            self.report({"WARNING"}, "There is no log yet.")
            return {"CANCELLED"}
        editor = _text_editor(context)
        if editor is None:
            return bpy.ops.wm.path_open(filepath=str(path))
        try:
            editor.text = _show_log(path)
        except OSError as error:
            self.report({"ERROR"}, f"The log cannot be read: {error.strerror}.")
            return {"CANCELLED"}
        return {"FINISHED"}


def _log_of(entry: Entry) -> Path | None:
    """The log while the engine works, or in the finished scene."""
    candidates = [entry.log] if entry.log is not None else []
    if entry.result is not None:
        candidates.append(entry.result / "run.log")
    return next((path for path in candidates if path.is_file()), None)


def _text_editor(context: bpy.types.Context) -> bpy.types.SpaceTextEditor | None:
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "TEXT_EDITOR":
                return area.spaces.active
    return None


def _show_log(path: Path) -> bpy.types.Text:
    """A text of the log, the same one for the same log."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _MOST_LOG))
        content = file.read(_MOST_LOG).decode("utf-8", "replace")
    text = next((text for text in bpy.data.texts if text.get(_LOG_KEY) == str(path)), None)
    if text is None:
        text = bpy.data.texts.new(path.name)
        text[_LOG_KEY] = str(path)
    text.from_string(content)
    return text


class _LostJobOperator:
    """About one job that an earlier Blender left behind."""

    bl_options = {"REGISTER"}  # noqa: RUF012
    index: IntProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context):
        here = jobs(context)
        if not 0 <= self.index < len(here.lost):
            return {"CANCELLED"}
        lost = here.lost[self.index]
        self.act(context, lost.request)
        here.forget(lost)
        redraw()
        return {"FINISHED"}


class JOSH4D_OT_continue_lost_job(_LostJobOperator, bpy.types.Operator):
    """Go on with the work that ended with an earlier Blender"""

    bl_idname = "josh4d.continue_lost_job"
    bl_label = "Continue"

    def act(self, context, request):
        """See the class."""
        jobs(context).queue.add(request)


class JOSH4D_OT_forget_lost_job(_LostJobOperator, bpy.types.Operator):
    """Do not offer this work again; its files stay"""

    bl_idname = "josh4d.forget_lost_job"
    bl_label = "Forget"

    def act(self, context, request):
        """See the class."""


CLASSES = (
    JOSH4D_OT_cancel_job,
    JOSH4D_OT_continue_job,
    JOSH4D_OT_remove_job,
    JOSH4D_OT_copy_error,
    JOSH4D_OT_open_log,
    JOSH4D_OT_continue_lost_job,
    JOSH4D_OT_forget_lost_job,
)
