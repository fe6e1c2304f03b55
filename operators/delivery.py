"""What jobs made, into the scene that asked: by operators with undo, and never while Blender is busy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import bpy
from bpy.props import IntProperty

from ..josh_blender.blend.preview import preview_keys, read_preview, remove_preview, show_preview
from ..josh_blender.jobs.queue import Entry, JobRequest
from ..josh_blender.jobs.sightings import read_sightings
from ..josh_blender.scene4d.errors import SceneFormatError
from .job_queue import BlenderJobs, jobs
from .reconstruct_settings import settings_of

_BUSY_JOBS = ("RENDER", "OBJECT_BAKE", "COMPOSITE")


def is_busy(context: bpy.types.Context) -> bool:
    """Whether Blender renders or bakes, or a tool is at work: nothing may change under it."""
    if any(bpy.app.is_job_running(kind) for kind in _BUSY_JOBS):
        return True
    return any(len(window.modal_operators) for window in context.window_manager.windows)


def scene_that_asked(request: JobRequest) -> bpy.types.Scene | None:
    """The scene of a request, None where its file is not open: names alone do not tell one file from another."""
    for scene in bpy.data.scenes:
        if scene.session_uid == request.scene_uid:
            return scene
    if request.blend_file and request.blend_file == bpy.data.filepath:
        return bpy.data.scenes.get(request.scene_name)
    return None


@contextlib.contextmanager
def in_scene(context: bpy.types.Context, scene: bpy.types.Scene) -> Iterator[None]:
    """Operators inside work on ``scene``, in a window that shows it; where none does, one shows it for that time.

    Edit mode, which armatures are made in, is entered only in the scene of a window.
    """
    windows = list(context.window_manager.windows)
    window = next((one for one in windows if one.scene == scene), windows[0])
    before = window.scene
    window.scene = scene
    try:
        with context.temp_override(window=window, scene=scene, view_layer=window.view_layer):
            yield
    finally:
        window.scene = before


def preview_key(entry: Entry) -> str:
    """What a job's previews are known by in the file: the same for a job that is continued."""
    return " ".join(entry.request.command)


def _enter(entry: Entry, run: Callable[[], object]) -> bool:
    """Run an operator for the scene that asked; False where Blender is busy now."""
    context = bpy.context
    if is_busy(context):
        return False
    scene = scene_that_asked(entry.request)
    if scene is None:
        entry.note = "The file that asked for it is not open"
        return True
    with in_scene(context, scene):
        try:
            run()
        except RuntimeError as error:
            # What an operator reports as an error; the panel shows it.
            entry.note = str(error).removeprefix("Error: ").strip()
    return True


def deliver_scene(entry: Entry) -> bool:
    """Import a finished scene."""
    return _enter(entry, lambda: bpy.ops.josh4d.import_result("EXEC_DEFAULT", True, job=entry.id))


def deliver_people(entry: Entry) -> bool:
    """List the people found by Detect First."""
    return _enter(entry, lambda: bpy.ops.josh4d.list_people("EXEC_DEFAULT", True, job=entry.id))


def show(entry: Entry) -> bool:
    """Show the newest preview of a running job. It is no step to be undone: undo belongs to the artist's own work."""
    context = bpy.context
    if is_busy(context):
        return False
    scene = scene_that_asked(entry.request)
    if scene is not None:
        try:
            arrays = read_preview(entry.previews[-1][1])
        except SceneFormatError as error:
            # The result comes anyway.
            print(f"JOSH 4D: no preview: {error}")
            return True
        show_preview(scene, arrays, preview_key(entry), entry.request.start_frame)
    return True


def sweep() -> None:
    """Remove previews whose job does not run: cancelled, or brought back by undo or by an old file."""
    found = preview_keys()
    if not found or is_busy(bpy.context):
        return
    entries = jobs(bpy.context).queue.entries
    for key in found - {preview_key(entry) for entry in entries if entry.state == "running"}:
        remove_preview(key)


def connect(here: BlenderJobs) -> None:
    """Let the queue deliver."""
    here.deliver["reconstruct"] = deliver_scene
    here.deliver["detect"] = deliver_people
    here.show, here.sweep = show, sweep


class _ForJob:
    """An operator about one job of the queue."""

    job: IntProperty(options={"HIDDEN", "SKIP_SAVE"})

    def entry(self, context: bpy.types.Context) -> Entry | None:
        """The job, None where it was removed."""
        return jobs(context).queue.find(self.job)


class JOSH4D_OT_import_result(_ForJob, bpy.types.Operator):
    """Bring the finished reconstruction into this scene"""

    bl_idname = "josh4d.import_result"
    bl_label = "Import Result"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    def execute(self, context):
        entry = self.entry(context)
        if entry is None or entry.result is None:
            self.report({"WARNING"}, "This job has no result.")
            return {"CANCELLED"}
        # Before the import: its camera and boxes would make an empty scene one at work.
        remove_preview(preview_key(entry))
        try:
            outcome = bpy.ops.josh4d.import_scene(
                "EXEC_DEFAULT", filepath=str(entry.result / "scene.json"), start_frame=entry.request.start_frame
            )
        except RuntimeError as error:
            self.report({"ERROR"}, str(error).removeprefix("Error: ").strip())
            return {"CANCELLED"}
        if "FINISHED" in outcome:
            jobs(context).queue.remove(entry)
        return outcome


class JOSH4D_OT_list_people(_ForJob, bpy.types.Operator):
    """List the people who were found, to choose who counts"""

    bl_idname = "josh4d.list_people"
    bl_label = "List People"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}  # noqa: RUF012

    def execute(self, context):
        entry = self.entry(context)
        if entry is None or entry.result is None:
            return {"CANCELLED"}
        try:
            sightings = read_sightings(entry.result)
        except (OSError, ValueError) as error:
            self.report({"ERROR"}, f"The list of people cannot be read: {error}.")
            return {"CANCELLED"}
        settings = settings_of(context.scene)
        settings.detected.clear()
        for sighting in sightings:
            item = settings.detected.add()
            item.name = f"Person {sighting.id}"
            item.person, item.counts = sighting.id, sighting.reliable
            item.first_frame, item.last_frame = sighting.first_frame, sighting.last_frame
            item.reliable, item.reason = sighting.reliable, sighting.reason
            item.picture = str(sighting.picture or "")
        if sightings and not any(item.counts for item in settings.detected):
            for item in settings.detected:
                item.counts = True
        settings.detected_for = entry.request.subject
        jobs(context).queue.remove(entry)
        return {"FINISHED"}


CLASSES = (JOSH4D_OT_import_result, JOSH4D_OT_list_people)
