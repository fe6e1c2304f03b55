"""File > Import > 4D Scene, and the drop of a scene's pointer file on the view."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..josh_blender.blend.blend_size import estimate_bytes
from ..josh_blender.blend.identity import find_root, identity_of
from ..josh_blender.blend.import_options import MOST_POINTS, VIEWPORT_POINTS, ImportOptions
from ..josh_blender.blend.importer import import_scene
from ..josh_blender.blend.scene_settings import is_empty, rate_text, runs_at
from ..josh_blender.scene4d.errors import UserError
from ..josh_blender.scene4d.files import POINTER_SUFFIX, read_scene
from ..josh_blender.scene4d.summary import SceneSummary, read_summary
from .scene_operator import refusals, tell

#: Settings of the Blender scene that an import may take from the video.
_SETTINGS = ("frame_rate", "frame_range", "resolution", "active_camera")


def _setting(name: str, description: str) -> BoolProperty:
    # Not saved: every import begins with what suits the scene.
    return BoolProperty(name=name, description=f"{description}. On in an empty scene", options={"SKIP_SAVE"})


class JOSH4D_OT_import_scene(bpy.types.Operator, ImportHelper):
    """Import the people, camera and place of a reconstructed video, or update them"""

    bl_idname = "josh4d.import_scene"
    bl_label = "Import 4D Scene"
    bl_options = {"REGISTER", "UNDO", "PRESET"}  # noqa: RUF012

    filename_ext = ".scene4d.json"
    filter_glob: StringProperty(default="*.scene4d.json;scene.json", options={"HIDDEN"})
    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    start_frame: IntProperty(name="Start Frame", description="Frame at which the reconstruction begins", default=1)
    frame_rate: _setting("Frame Rate", "Take the frame rate of the video")
    frame_range: _setting("Frame Range", "Make room for all frames; the range is never shortened in a scene at work")
    resolution: _setting("Resolution", "Take the size of the picture, which the camera matches")
    active_camera: _setting("Active Camera", "Make the imported camera the one that renders")
    retime: BoolProperty(
        name="Retime",
        description="Place keys by time where this scene runs at another rate than the video, so that speeds stay "
        "right. There is no plate behind the camera then",
        options={"SKIP_SAVE"},
    )
    scale: FloatProperty(
        name="Scale",
        description="Size of the whole 4D scene; 1 is life size in the units of this scene",
        default=1.0, min=0.0001, max=10000.0, soft_min=0.01, soft_max=100.0,
    )  # fmt: skip
    people: BoolProperty(name="People", default=True)
    camera: BoolProperty(name="Camera", default=True)
    plate: BoolProperty(name="Plate Behind the Camera", default=True)
    cloud: EnumProperty(
        name="Point Cloud",
        description="What of the cloud is kept in the .blend file",
        items=(
            ("THIN", "Thinned", "At most so many points, evenly taken from all"),
            ("ALL", "All Points", "Every point; the file may become large"),
            ("NONE", "None", "No cloud"),
        ),
    )
    most_points: IntProperty(name="At Most", description="Points kept in the file", default=MOST_POINTS, min=1000)
    viewport_points: IntProperty(
        name="In Viewport",
        description="Points that the viewport shows; a render shows all",
        default=VIEWPORT_POINTS, min=0,
    )  # fmt: skip

    def invoke(self, context, event):
        empty = is_empty(context.scene)
        for name in _SETTINGS:
            setattr(self, name, empty)
        if not self.filepath:
            context.window_manager.fileselect_add(self)
            return {"RUNNING_MODAL"}
        # Not invoke_popup: it asks for a list of files, which an operator for one file does not have.
        title = Path(self.filepath).name
        return context.window_manager.invoke_props_dialog(self, width=380, title=title, confirm_text="Import")

    def _kept_points(self) -> int | None:
        return {"ALL": None, "THIN": self.most_points, "NONE": 0}[self.cloud]

    def _options(self) -> ImportOptions:
        return ImportOptions(
            start_frame=self.start_frame,
            retime=self.retime,
            scale=self.scale,
            people=self.people,
            camera=self.camera,
            plate=self.plate,
            most_points=self._kept_points(),
            viewport_points=self.viewport_points,
            **{name: getattr(self, name) if self.properties.is_property_set(name) else None for name in _SETTINGS},
        )

    def execute(self, context):
        options = self._options()
        with refusals(self):
            report = import_scene(context, read_scene(Path(bpy.path.abspath(self.filepath))), options)
            tell(self, report, "Imported")
            return {"FINISHED"}
        return {"CANCELLED"}

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        summary = self._summary()
        _draw_scene(layout, summary)
        column = layout.column(align=True)
        for name in ("people", "camera", "plate"):
            column.prop(self, name)
        layout.prop(self, "start_frame")
        if summary is not None and find_root(context.scene, identity_of(summary.name, summary.source.identity)):
            layout.label(text="Already here: it is updated in place", icon="FILE_REFRESH")
        else:
            layout.prop(self, "scale")
        column = layout.column(align=True, heading="Take from Video")
        for name in _SETTINGS:
            column.prop(self, name)
        if summary is not None and not self.frame_rate and not runs_at(context.scene, summary.source):
            layout.label(text=f"The video runs at {rate_text(summary.source)} fps, this scene does not", icon="ERROR")
            layout.prop(self, "retime")
        layout.prop(self, "cloud")
        if self.cloud == "THIN":
            layout.prop(self, "most_points")
        if self.cloud != "NONE":
            layout.prop(self, "viewport_points")
        if summary is not None:
            size = estimate_bytes(summary, self._kept_points(), self.people, self.camera)
            text = f"Adds about {max(1, round(size / 1e6))} MB to a compressed .blend"
            layout.label(text=text, icon="DISK_DRIVE", translate=False)

    def _summary(self) -> SceneSummary | None:
        path = Path(bpy.path.abspath(self.filepath))
        if not (path.name == "scene.json" or path.name.endswith(POINTER_SUFFIX)) or not path.is_file():
            return None
        try:
            return read_summary(path)
        except (UserError, OSError):
            return None


def _draw_scene(layout: bpy.types.UILayout, summary: SceneSummary | None) -> None:
    if summary is None:
        return
    source = summary.source
    people = f"{len(summary.frames)} people" if len(summary.frames) != 1 else "1 person"
    layout.label(text=summary.name, icon="SCENE_DATA", translate=False)
    text = f"{people}, {source.width} x {source.height} px, {rate_text(source)} fps, {summary.points:,} points"
    layout.label(text=text, icon="BLANK1", translate=False)


class JOSH4D_FH_scene(bpy.types.FileHandler):
    """A scene's pointer file dropped on the view"""

    bl_idname = "JOSH4D_FH_scene"
    bl_label = "4D Scene"
    bl_import_operator = JOSH4D_OT_import_scene.bl_idname
    # Handlers match by the last ending only; what is no scene is told so by the operator.
    bl_file_extensions = ".json"

    @classmethod
    def poll_drop(cls, context):
        return context.area is not None and context.area.type in {"VIEW_3D", "OUTLINER"}


def draw_import_menu(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
    """The entry of File > Import."""
    menu.layout.operator(JOSH4D_OT_import_scene.bl_idname, text="4D Scene (.scene4d.json)")
