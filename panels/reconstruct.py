"""Reconstruct from Video: what is chosen before, and how it goes afterwards."""

from __future__ import annotations

import time
from pathlib import Path

import bpy
import bpy.utils.previews
from bl_ui.utils import PresetPanel

from ..josh_blender.jobs.known_weights import known, needed_weights
from ..josh_blender.jobs.queue import Entry
from ..josh_blender.jobs.reconstruct_command import free_bytes, in_blender, output_folder, size_text, time_text
from ..josh_blender.jobs.remedies import remedy_of
from ..josh_blender.scene4d.room import needed_bytes

#: What each stage does, in an artist's words.
_STAGE_LABELS = {
    "frames": "Read the Video",
    "people": "Find the People",
    "scene": "Camera and Place",
    "lens": "Find the Lens",
    "bodies": "Fit the Bodies",
    "motion": "Follow Camera and People",
    "contact": "Find Contacts",
    "joint": "Solve Together",
    "world": "Write the Scene",
    "prepare": "Prepare",
    "download": "Download",
    "install": "Install",
    "models": "Models",
    "check": "Check",
}
_PICTURE_SCALE = 4.0
#: Mean width of a letter, and of what a box leaves free at its sides, px at scale 1.
_LETTER, _MARGIN = 7.5, 40.0


def _jobs(context: bpy.types.Context):
    return context.window_manager.josh4d_jobs


def _paragraph(layout: bpy.types.UILayout, text: str, width: float, icon: str = "NONE") -> None:
    """Text in lines that fit a region of ``width`` px."""
    # Without a window there is no scale.
    scale = bpy.context.preferences.system.ui_scale or 1.0
    most = max(20, int((width / scale - _MARGIN) / _LETTER) - (4 if icon != "NONE" else 0))
    column = layout.column(align=True)
    column.scale_y = 0.8
    line = ""
    for word in text.split():
        if line and len(line) + len(word) + 1 > most:
            column.label(text=line, icon=icon, translate=False)
            line, icon = word, "BLANK1" if icon != "NONE" else "NONE"
        else:
            line = f"{line} {word}".strip()
    column.label(text=line, icon=icon, translate=False)


# --- jobs ------------------------------------------------------------------------------------------------------------


def draw_jobs(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Every job of the queue, and what an earlier Blender left unfinished."""
    here = _jobs(context)
    width = context.region.width if context.region is not None else 300
    for index, lost in enumerate(here.lost):
        box = layout.box()
        _paragraph(box, f"{lost.request.label} was not finished when Blender ended.", width, "RECOVER_LAST")
        row = box.row(align=True)
        row.operator("josh4d.continue_lost_job", icon="PLAY").index = index
        row.operator("josh4d.forget_lost_job", icon="X").index = index
    for entry in here.queue.entries:
        box = layout.box()
        if entry.state == "running":
            _draw_running(box, entry, here.queue.cancelling(entry))
        elif entry.state == "waiting":
            row = box.row()
            row.label(text=entry.request.label, icon="TIME", translate=False)
            row.operator("josh4d.cancel_job", text="", icon="X").job = entry.id
        else:
            _draw_ended(box, entry, width)


def _draw_running(box: bpy.types.UILayout, entry: Entry, cancelling: bool) -> None:
    box.label(text=entry.request.label, icon="RENDER_ANIMATION", translate=False)
    column = box.column(align=True)
    for index, stage in enumerate(entry.stages):
        done = index < entry.stage or index in entry.reused
        icon = "CHECKMARK" if done else "PLAY" if index == entry.stage else "BLANK1"
        row = column.row()
        row.active = index <= entry.stage
        split = row.split(factor=0.8)
        split.label(text=_STAGE_LABELS.get(stage, stage), icon=icon)
        if index == entry.stage and not done:
            split.label(text=_percent(entry.meter.stage_share), translate=False)
    now = time.monotonic()
    share = entry.meter.share_at(now)
    if cancelling:
        text = "Stopping"
    else:
        left = entry.meter.seconds_left(now)
        text = _percent(share) + (f", {time_text(left)} left" if left is not None else "")
    box.progress(factor=share, text=text, translate=False)
    if entry.detail:
        box.label(text=entry.detail, translate=False)
    if entry.warnings:
        box.label(text=entry.warnings[-1], icon="INFO", translate=False)
    row = box.row(align=True)
    part = row.row(align=True)
    part.enabled = not cancelling
    part.operator("josh4d.cancel_job", icon="X").job = entry.id
    row.operator("josh4d.open_log", icon="TEXT").job = entry.id


def _percent(share: float) -> str:
    """A share as text; what is not done is never called 100 %."""
    return f"{min(share, 0.99):.0%}"


def _draw_ended(box: bpy.types.UILayout, entry: Entry, width: float) -> None:
    icon = {"finished": "CHECKMARK", "failed": "ERROR", "cancelled": "CANCEL"}[entry.state]
    row = box.row()
    row.label(text=entry.request.label, icon=icon, translate=False)
    row.operator("josh4d.remove_job", text="", icon="X").job = entry.id
    if entry.state == "failed" and entry.error is not None:
        _paragraph(box, entry.error.message, width)
        if entry.error.remedy:
            _paragraph(box, in_blender(entry.error.remedy), width, "FORWARD")
    if entry.note:
        _paragraph(box, f"{entry.note}.".replace("..", "."), width)
    row = box.row(align=True)
    if entry.state == "finished":
        if entry.request.kind == "reconstruct":
            row.operator("josh4d.import_result", icon="IMPORT").job = entry.id
    else:
        row.operator("josh4d.continue_job", icon="PLAY").job = entry.id
    if entry.state == "failed":
        row.operator("josh4d.copy_error", text="Copy", icon="COPYDOWN").job = entry.id
        remedy = remedy_of(entry.error.kind if entry.error is not None else "", entry.request.kind == "set_up")
        if remedy is not None:
            box.operator(remedy.operator, text=remedy.label)
    row.operator("josh4d.open_log", icon="TEXT").job = entry.id


# --- settings --------------------------------------------------------------------------------------------------------


class _Panel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "JOSH 4D"


class JOSH4D_PT_reconstruct_presets(PresetPanel, bpy.types.Panel):
    """Settings kept under a name"""

    bl_label = "Reconstruct Presets"
    preset_subdir = "josh4d/reconstruct"
    preset_operator = "script.execute_preset"
    preset_add_operator = "josh4d.add_reconstruct_preset"


class JOSH4D_PT_reconstruct(_Panel, bpy.types.Panel):
    """A video becomes people, a camera and a place"""

    bl_idname = "JOSH4D_PT_reconstruct"
    bl_label = "Reconstruct from Video"
    bl_order = 1

    def draw_header_preset(self, context):
        self.layout.operator("josh4d.open_help", text="", icon="HELP", emboss=False)
        JOSH4D_PT_reconstruct_presets.draw_panel_header(self.layout)

    def draw(self, context):
        layout = self.layout
        settings = context.scene.josh4d_reconstruct
        width = context.region.width if context.region is not None else 300
        layout.row().prop(settings, "source_kind", expand=True)
        if settings.source_kind == "VIDEO":
            layout.prop(settings, "video", text="")
        elif settings.source_kind == "SEQUENCE":
            layout.prop(settings, "picture", text="")
        else:
            layout.template_ID(settings, "clip", open="clip.open")
        if settings.source is None:
            column = layout.column(align=True)
            column.operator("josh4d.try_sample", icon="FILE_MOVIE")
            column.operator("josh4d.open_help", icon="HELP")
        if settings.problem:
            _paragraph(layout, settings.problem, width, "ERROR")
        elif settings.count:
            size = f"{settings.width} x {settings.height_px} px, {settings.count} pictures"
            layout.label(text=size, translate=False)
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        if settings.is_sequence:
            column.prop(settings, "fps")
            column.prop(settings, "color_space")
        _optional(column, settings, "use_range", "Range", ("start", "end"))
        if settings.source_kind != "CLIP":
            column.prop(settings, "start_frame")
        draw_button(layout, context)
        draw_jobs(layout, context)


def _optional(
    layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup, switch: str, text: str, names: tuple[str, ...]
) -> None:
    """A switch, and what it switches on only where it is on."""
    row = layout.row(heading=text)
    row.prop(settings, switch, text="")
    part = row.row(align=True)
    part.active = getattr(settings, switch)
    part.use_property_split = False
    for name in names:
        part.prop(settings, name, text="")


def draw_button(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The one button: set up the engine, or reconstruct."""
    engine = _jobs(context).engine(context)
    state = engine.state
    column = layout.column()
    column.scale_y = 1.6
    open_jobs = [entry.request for entry in _jobs(context).queue.entries if not entry.ended]
    if state.kind == "ready":
        # While a job of this very source runs, its progress stands in the button's place.
        subject = context.scene.josh4d_reconstruct.detection_key()
        if not any(request.subject == subject for request in open_jobs):
            column.operator("josh4d.reconstruct", icon="PLAY")
        return
    if any(request.kind == "set_up" for request in open_jobs):
        return
    width = context.region.width if context.region is not None else 300
    _paragraph(layout, state.message, width, "INFO")
    column.operator("josh4d.set_up_engine", text=engine.set_up_label, icon="IMPORT", translate=False)


class JOSH4D_PT_known(_Panel, bpy.types.Panel):
    """What is known about the shot"""

    bl_idname = "JOSH4D_PT_known"
    bl_label = "Known"
    bl_parent_id = "JOSH4D_PT_reconstruct"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012

    def draw(self, context):
        layout = self.layout
        settings = context.scene.josh4d_reconstruct
        layout.use_property_split = True
        layout.use_property_decorate = False
        _optional(layout, settings, "use_height", "Height", ("height",))
        layout.prop(settings, "camera_mode")
        if settings.camera_mode == "GIVEN":
            layout.prop(settings, "camera")
        else:
            layout.prop(settings, "movement")
        if settings.camera_mode == "LENS":
            layout.prop(settings, "lens")
            layout.prop(settings, "sensor")
        if settings.camera_mode != "SOLVE":
            layout.prop(settings, "refine")


class JOSH4D_PT_method(_Panel, bpy.types.Panel):
    """How it is solved"""

    bl_idname = "JOSH4D_PT_method"
    bl_label = "Method"
    bl_parent_id = "JOSH4D_PT_reconstruct"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012

    def draw(self, context):
        layout = self.layout
        settings = context.scene.josh4d_reconstruct
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "mode")
        row = layout.row()
        # JOSH3R finds camera and place itself.
        row.active = settings.mode == "josh"
        row.prop(settings, "preset")
        wanted = needed_weights(settings.mode, settings.preset)
        if wanted:
            self._draw_weights(context, layout, known(wanted))

    def _draw_weights(self, context, layout, entry):
        chosen = context.window_manager.josh4d_jobs.engine(context).weights.get(entry.name)
        column = layout.column(align=True)
        if chosen is not None:
            column.label(text=chosen.name, icon="CHECKMARK", translate=False)
        column.operator("josh4d.choose_weights", icon="FILEBROWSER").network = entry.name
        width = context.region.width if context.region is not None else 300
        _paragraph(column, f"{entry.short} weights: {entry.licence}", width, "INFO")


class JOSH4D_PT_detect(_Panel, bpy.types.Panel):
    """Who counts"""

    bl_idname = "JOSH4D_PT_detect"
    bl_label = "Who Counts"
    bl_parent_id = "JOSH4D_PT_reconstruct"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012

    #: Pictures of people, by file; made and freed with the panel's registration.
    pictures = None

    def draw(self, context):
        layout = self.layout
        settings = context.scene.josh4d_reconstruct
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        _optional(column, settings, "use_most", "At Most", ("most",))
        layout.operator("josh4d.detect_people", icon="VIEWZOOM")
        if not settings.detected_for:
            return
        if not settings.detection_holds:
            layout.label(text="Found for another source or range", icon="INFO")
            return
        if not len(settings.detected):
            layout.label(text="Nobody was found")
        for item in settings.detected:
            self._draw_person(layout.box(), item, context.region.width if context.region is not None else 300)

    def _draw_person(self, box, item, width):
        row = box.row()
        icon = self._picture(item.picture)
        if icon:
            row.template_icon(icon_value=icon, scale=_PICTURE_SCALE)
        column = row.column(align=True)
        column.prop(item, "counts", text=item.name, translate=False)
        column.label(text=f"Frames {item.first_frame} to {item.last_frame}", translate=False)
        column.prop(item, "height")
        if not item.reliable:
            _paragraph(box, item.reason or "Uncertain", width, "ERROR")

    def _picture(self, name: str) -> int:
        """The icon of a picture file; 0 where there is none."""
        if not name or self.pictures is None:
            return 0
        path = Path(name)
        try:
            key = f"{name} {path.stat().st_mtime_ns}"
        except OSError:
            return 0
        if key not in self.pictures:
            self.pictures.load(key, name, "IMAGE")
        return self.pictures[key].icon_id


class JOSH4D_PT_output(_Panel, bpy.types.Panel):
    """Where the 4D scene is written"""

    bl_idname = "JOSH4D_PT_output"
    bl_label = "Output"
    bl_parent_id = "JOSH4D_PT_reconstruct"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012

    def draw(self, context):
        layout = self.layout
        settings = context.scene.josh4d_reconstruct
        row = layout.row(align=True)
        row.prop(settings, "use_output", text="")
        part = row.row(align=True)
        part.active = settings.use_output
        part.prop(settings, "output", text="")
        source = settings.source
        if source is None:
            return
        chosen = Path(bpy.path.abspath(settings.output)) if settings.use_output and settings.output else None
        blend_file = Path(bpy.data.filepath) if bpy.data.filepath else None
        folder = output_folder(chosen, blend_file, _jobs(context).engine(context).output, source)
        layout.label(text=str(folder), icon="FILE_FOLDER", translate=False)
        if not settings.count:
            return
        first, last = settings.range()
        needed, free = needed_bytes(settings.width, settings.height_px, max(0, last - first + 1)), free_bytes(folder)
        text = f"At most {size_text(needed)} needed" + (f", {size_text(free)} free" if free is not None else "")
        layout.label(text=text, icon="ERROR" if free is not None and free < needed else "DISK_DRIVE", translate=False)


class JOSH4D_PT_reconstruct_clip(bpy.types.Panel):
    """Reconstruct the clip that is shown"""

    bl_idname = "JOSH4D_PT_reconstruct_clip"
    bl_label = "Reconstruct This Clip"
    bl_space_type = "CLIP_EDITOR"
    bl_region_type = "UI"
    bl_category = "JOSH 4D"

    def draw(self, context):
        column = self.layout.column()
        column.scale_y = 1.6
        column.operator("josh4d.reconstruct_clip", icon="PLAY")
        draw_jobs(self.layout, context)


CLASSES = (
    JOSH4D_PT_reconstruct_presets,
    JOSH4D_PT_reconstruct,
    JOSH4D_PT_known,
    JOSH4D_PT_method,
    JOSH4D_PT_detect,
    JOSH4D_PT_output,
    JOSH4D_PT_reconstruct_clip,
)


def register() -> None:
    """Register the panels."""
    for one in CLASSES:
        bpy.utils.register_class(one)
    JOSH4D_PT_detect.pictures = bpy.utils.previews.new()


def unregister() -> None:
    """The reverse of `register`."""
    bpy.utils.previews.remove(JOSH4D_PT_detect.pictures)
    JOSH4D_PT_detect.pictures = None
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
