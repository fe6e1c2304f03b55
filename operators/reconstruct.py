"""Reconstruct from Video: the button, Detect First, and the ways in from the clip editor, the menu and a drop."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..josh_blender.blend.given_camera import write_given_camera
from ..josh_blender.jobs.job import engine_command
from ..josh_blender.jobs.known_weights import known, needed_weights
from ..josh_blender.jobs.queue import JobRequest, Kind
from ..josh_blender.jobs.reconstruct_command import ReconstructOptions, output_folder, reconstruct_arguments
from ..josh_blender.scene4d.errors import UserError
from .job_queue import enqueue, jobs
from .reconstruct_settings import JOSH4D_ReconstructSettings, settings_of

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv")
_TAB = "JOSH 4D"


def problem_of(context: bpy.types.Context) -> str:
    """Why the scene's settings cannot be reconstructed now, empty where they can."""
    settings = settings_of(context.scene)
    if settings.source is None:
        return "Choose a video first"
    if settings.problem:
        return settings.problem
    first, last = settings.range()
    if first > last:
        return "The range is empty"
    if settings.camera_mode == "GIVEN" and settings.camera is None:
        return "Choose the camera that is given"
    if settings.use_output and not settings.output:
        return "Choose the output folder"
    engine = jobs(context).engine(context)
    if engine.state.kind != "ready":
        return "Set up the engine first"
    wanted = needed_weights(settings.mode, settings.preset)
    return f"Choose the {known(wanted).short} weights first" if wanted and wanted not in engine.weights else ""


def options_of(context: bpy.types.Context) -> ReconstructOptions:
    """The scene's settings as options of the engine.

    Raises:
        UserError: there is no source.
    """
    settings = settings_of(context.scene)
    source = settings.source
    if source is None:
        raise UserError("missing_video", "No video is chosen.", "Choose a video.")
    engine = jobs(context).engine(context)
    blend_file = Path(bpy.data.filepath) if bpy.data.filepath else None
    chosen = Path(bpy.path.abspath(settings.output)).absolute() if settings.use_output else None
    first, last = settings.range()
    heights: dict[int, float] = {0: settings.height} if settings.use_height else {}
    keep: tuple[int, ...] = ()
    if settings.detection_holds:
        counting = [item for item in settings.detected if item.counts]
        heights |= {item.person: item.height for item in counting if item.height > 0.0}
        if len(counting) < len(settings.detected):
            keep = tuple(item.person for item in counting)
    options = ReconstructOptions(
        source=source,
        output=output_folder(chosen, blend_file, engine.output, source),
        mode=settings.mode,
        preset=settings.preset,
        device=engine.device,
        start=first if settings.use_range else None,
        end=last if settings.use_range else None,
        fps=settings.fps if settings.is_sequence else None,
        color_space=settings.color_space if settings.is_sequence else None,
        people=settings.most if settings.use_most else None,
        keep=keep,
        heights=heights,
        camera=settings.movement if settings.camera_mode != "GIVEN" else "auto",
        lens_mm=settings.lens if settings.camera_mode == "LENS" else None,
        sensor_mm=settings.sensor,
        refine=settings.refine and settings.camera_mode != "SOLVE",
        weights=engine.weights,
    )
    return options


def _request(context: bpy.types.Context, options: ReconstructOptions, words: list[str], kind: Kind) -> JobRequest:
    settings = settings_of(context.scene)
    engine = jobs(context).engine(context).state
    return JobRequest(
        label=options.source.name,
        command=tuple(engine_command(engine.python, words)),
        environment=engine.variables,
        log=options.log,
        kind=kind,
        scene_name=context.scene.name,
        blend_file=bpy.data.filepath,
        scene_uid=context.scene.session_uid,
        start_frame=settings.blender_start(),
        subject=settings.detection_key(),
    )


def _is_queued(context: bpy.types.Context, options: ReconstructOptions) -> bool:
    """Whether a job that has not ended works in the same folder."""
    return any(entry.request.log == options.log and not entry.ended for entry in jobs(context).queue.entries)


def _may_start(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """The poll of what starts a job, with the reason where it may not."""
    problem = problem_of(context)
    if not problem and _is_queued(context, options_of(context)):
        problem = "This video is being worked on already"
    if problem:
        operator.poll_message_set(problem)
    return not problem


class JOSH4D_OT_reconstruct(bpy.types.Operator):
    """Reconstruct the people, the camera and the place of the chosen video as a 4D scene"""

    bl_idname = "josh4d.reconstruct"
    bl_label = "Reconstruct"
    bl_options = {"REGISTER"}  # noqa: RUF012

    @classmethod
    def poll(cls, context):
        return _may_start(cls, context)

    def execute(self, context):
        settings = settings_of(context.scene)
        try:
            options = options_of(context)
            words = reconstruct_arguments(options)
            if settings.camera_mode == "GIVEN":
                words += ["--camera", str(_write_camera(context, settings, options))]
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if settings.detection_holds and settings.detected and not any(item.counts for item in settings.detected):
            self.report({"ERROR"}, "Nobody is ticked: tick who counts, or detect the people again.")
            return {"CANCELLED"}
        enqueue(context, _request(context, options, words, "reconstruct"))
        return {"FINISHED"}


def _write_camera(
    context: bpy.types.Context, settings: JOSH4D_ReconstructSettings, options: ReconstructOptions
) -> Path:
    first, last = settings.range()
    path = options.scene_folder.with_suffix(".camera.npz")
    return write_given_camera(
        context, settings.camera, path, first, last, settings.blender_start(), settings.width, settings.height_px
    )


class JOSH4D_OT_detect_people(bpy.types.Operator):
    """Find out who is seen in the video, to choose who counts before the long work begins"""

    bl_idname = "josh4d.detect_people"
    bl_label = "Detect First"
    bl_options = {"REGISTER"}  # noqa: RUF012

    @classmethod
    def poll(cls, context):
        return _may_start(cls, context)

    def execute(self, context):
        options = options_of(context)
        enqueue(context, _request(context, options, reconstruct_arguments(options, only_people=True), "detect"))
        return {"FINISHED"}


class JOSH4D_OT_choose_output(bpy.types.Operator):
    """Choose the folder that gets the 4D scene"""

    bl_idname = "josh4d.choose_output"
    bl_label = "Choose Output Folder"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN"})

    def invoke(self, context, event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        settings = settings_of(context.scene)
        settings.output = self.directory
        settings.use_output = True
        return {"FINISHED"}


class JOSH4D_OT_video_as_scene(bpy.types.Operator, ImportHelper):
    """Choose a video to reconstruct as a 4D scene"""

    bl_idname = "josh4d.video_as_scene"
    bl_label = "Video as 4D Scene"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    filename_ext = ""
    filter_glob: StringProperty(default=";".join(f"*{suffix}" for suffix in VIDEO_SUFFIXES), options={"HIDDEN"})
    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    start: BoolProperty(
        name="Reconstruct at Once", description="Begin with the settings of this scene, without a look at them first"
    )

    def invoke(self, context, event):
        if not self.filepath:
            context.window_manager.fileselect_add(self)
            return {"RUNNING_MODAL"}
        # Not invoke_popup: it asks for a list of files, which an operator for one file does not have.
        title = Path(self.filepath).name
        return context.window_manager.invoke_props_dialog(self, title=title, confirm_text="Choose")

    def execute(self, context):
        settings = settings_of(context.scene)
        settings.source_kind = "VIDEO"
        settings.video = self.filepath
        if settings.problem:
            self.report({"ERROR"}, settings.problem)
            return {"CANCELLED"}
        if self.start:
            return bpy.ops.josh4d.reconstruct("EXEC_DEFAULT") if self._can_start(context) else {"FINISHED"}
        show_tab(context)
        self.report({"INFO"}, "Press Reconstruct in the sidebar (N), tab JOSH 4D.")
        return {"FINISHED"}

    def _can_start(self, context: bpy.types.Context) -> bool:
        problem = problem_of(context)
        if problem:
            self.report({"WARNING"}, f"{problem}.")
            show_tab(context)
        return not problem


class JOSH4D_OT_reconstruct_clip(bpy.types.Operator):
    """Reconstruct the people, the camera and the place of this movie clip as a 4D scene"""

    bl_idname = "josh4d.reconstruct_clip"
    bl_label = "Reconstruct This Clip"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    @classmethod
    def poll(cls, context):
        if getattr(context.space_data, "clip", None) is None:
            cls.poll_message_set("Open a clip in the clip editor")
            return False
        if jobs(context).engine(context).state.kind != "ready":
            cls.poll_message_set("Set up the engine first")
            return False
        return True

    def execute(self, context):
        settings = settings_of(context.scene)
        settings.source_kind = "CLIP"
        settings.clip = context.space_data.clip
        if settings.clip.source == "SEQUENCE":
            settings.fps = context.scene.render.fps / context.scene.render.fps_base
            linear = "linear" in settings.clip.colorspace_settings.name.lower()
            settings.color_space = "linear" if linear else "srgb"
        try:
            return bpy.ops.josh4d.reconstruct("EXEC_DEFAULT")
        except RuntimeError as error:
            self.report({"ERROR"}, str(error).removeprefix("Error: ").strip())
            return {"CANCELLED"}


class JOSH4D_FH_video(bpy.types.FileHandler):
    """A video dropped on the view"""

    bl_idname = "JOSH4D_FH_video"
    bl_label = "Video as 4D Scene"
    bl_import_operator = JOSH4D_OT_video_as_scene.bl_idname
    bl_file_extensions = ";".join(VIDEO_SUFFIXES)

    @classmethod
    def poll_drop(cls, context):
        return context.area is not None and context.area.type == "VIEW_3D"


def show_tab(context: bpy.types.Context) -> None:
    """Open the sidebar of the 3D views; its tab is chosen where it was open before."""
    for area in context.screen.areas if context.screen is not None else ():
        if area.type == "VIEW_3D":
            area.spaces.active.show_region_ui = True
            for region in area.regions:
                if region.type == "UI" and region.active_panel_category not in ("", "UNSUPPORTED"):
                    region.active_panel_category = _TAB


def draw_import_menu(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
    """The entry of File > Import."""
    menu.layout.operator(JOSH4D_OT_video_as_scene.bl_idname, text="Video as 4D Scene")


CLASSES = (
    JOSH4D_OT_reconstruct,
    JOSH4D_OT_detect_people,
    JOSH4D_OT_choose_output,
    JOSH4D_OT_video_as_scene,
    JOSH4D_OT_reconstruct_clip,
    JOSH4D_FH_video,
)
