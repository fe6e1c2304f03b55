"""What helps somebody who is here for the first time: pages to read, and a clip to try."""

from __future__ import annotations

import shutil
from pathlib import Path

import bpy
from bpy.props import StringProperty

from .job_queue import jobs
from .reconstruct_settings import settings_of

_ROOT = Path(__file__).resolve().parents[1]
#: In the zip, and where the extension runs from its sources.
_PAGES = (_ROOT / "help" / "first_steps.html", _ROOT / "docs" / "first_steps.md")
_CLIPS = (_ROOT / "help" / "sample.mp4", _ROOT / "bench" / "sample" / "data" / "sample.mp4")
_FOLDER = "JOSH 4D Sample"


def _first_there(paths: tuple[Path, ...]) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


class JOSH4D_OT_open_help(bpy.types.Operator):
    """Open the first steps and the page about every setting; they are on this computer"""

    bl_idname = "josh4d.open_help"
    bl_label = "Help"
    bl_options = {"REGISTER"}  # noqa: RUF012

    def execute(self, context):
        page = _first_there(_PAGES)
        if page is None:
            self.report({"ERROR"}, "The pages of help are missing: install the extension again.")
            return {"CANCELLED"}
        try:
            return bpy.ops.wm.path_open(filepath=str(page))
        except RuntimeError:
            self.report({"ERROR"}, f"Nothing here opens web pages. The help is in {page}")
            return {"CANCELLED"}


class JOSH4D_OT_try_sample(bpy.types.Operator):
    """Choose a short clip that comes with the extension: two people, steps, a hand-held camera"""

    bl_idname = "josh4d.try_sample"
    bl_label = "Try the Sample Clip"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    directory: StringProperty(
        name="Folder", description="The folder that gets the clip and its reconstruction", subtype="DIR_PATH",
        options={"SKIP_SAVE"},
    )  # fmt: skip

    def invoke(self, context, event):
        if not self.directory:
            preferred = jobs(context).engine(context).output
            self.directory = str((preferred if preferred is not None else Path.home()) / _FOLDER)
        return context.window_manager.invoke_props_dialog(self, width=420, confirm_text="Choose")

    def execute(self, context):
        clip = _first_there(_CLIPS)
        if clip is None:
            self.report({"ERROR"}, "The sample clip is missing: install the extension again.")
            return {"CANCELLED"}
        if not self.directory:
            self.report({"ERROR"}, "Choose a folder for the sample clip.")
            return {"CANCELLED"}
        folder = Path(bpy.path.abspath(self.directory)).absolute()
        copy = folder / clip.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not copy.is_file() or copy.stat().st_size != clip.stat().st_size:
                shutil.copyfile(clip, copy)
        except OSError as error:
            text = f"The sample clip cannot be put into “{folder}”: {error.strerror}. Choose another folder."
            self.report({"ERROR"}, text)
            return {"CANCELLED"}
        settings = settings_of(context.scene)
        settings.source_kind, settings.video, settings.use_range = "VIDEO", str(copy), False
        return {"FINISHED"}


CLASSES = (JOSH4D_OT_open_help, JOSH4D_OT_try_sample)
