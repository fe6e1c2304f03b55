"""File > Import > 4D Scene, and the drop of a scene's pointer file on the view."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..josh_blender.blend.importer import ImportOptions, import_scene
from ..josh_blender.scene4d.errors import UserError
from ..josh_blender.scene4d.files import read_scene

_SET_SCENE = {"AUTO": None, "ALWAYS": True, "NEVER": False}


class JOSH4D_OT_import_scene(bpy.types.Operator, ImportHelper):
    """Import the people, camera and place of a reconstructed video, or update them"""

    bl_idname = "josh4d.import_scene"
    bl_label = "Import 4D Scene"
    bl_options = {"REGISTER", "UNDO", "PRESET"}  # noqa: RUF012

    filename_ext = ".scene4d.json"
    filter_glob: StringProperty(default="*.scene4d.json;scene.json", options={"HIDDEN"})
    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    start_frame: IntProperty(name="Start Frame", description="Frame at which the reconstruction begins", default=1)
    set_scene: EnumProperty(
        name="Scene Settings",
        description="Take frame rate, frame range, resolution and active camera from the video",
        items=(
            ("AUTO", "In an Empty Scene", "Only where no camera and no animation of yours depends on them"),
            ("ALWAYS", "Always", "Change the settings of this scene"),
            ("NEVER", "Never", "Leave the settings of this scene as they are"),
        ),
    )
    people: BoolProperty(name="People", default=True)
    camera: BoolProperty(name="Camera", default=True)
    plate: BoolProperty(name="Plate Behind the Camera", default=True)
    cloud: BoolProperty(name="Point Cloud", default=True)

    def invoke(self, context, event):
        return self.invoke_popup(context)

    def execute(self, context):
        options = ImportOptions(
            start_frame=self.start_frame,
            set_scene=_SET_SCENE[self.set_scene],
            people=self.people,
            camera=self.camera,
            cloud=self.cloud,
            plate=self.plate,
        )
        try:
            report = import_scene(context, read_scene(Path(bpy.path.abspath(self.filepath))), options)
        except UserError as error:
            # Any JSON file may be dropped: one that is no scene is no fault.
            self.report({"WARNING"} if error.kind == "not_a_scene" else {"ERROR"}, str(error))
            return {"CANCELLED"}
        except OSError as error:
            self.report({"ERROR"}, f"The scene cannot be read: {error.strerror}.")
            return {"CANCELLED"}
        for warning in report.warnings:
            self.report({"WARNING"}, warning)
        for label in report.kept:
            self.report({"WARNING"}, f"{label} has keys of yours, so the new take was added beside them as an action.")
        self.report({"INFO"}, f"Imported {report.root.name}.")
        return {"FINISHED"}


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
