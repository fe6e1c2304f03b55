"""Find Plate and Find Scene: files that were moved, linked again after their identity was checked."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty

from ..josh_blender.blend.identity import active_root
from ..josh_blender.blend.relink import find_plate, find_scene
from .scene_operator import ActiveScene, refusals


class _Find(ActiveScene):
    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    use_anyway: BoolProperty(
        name="Use Anyway", description="Take a file that is not the one this scene was made from", options={"SKIP_SAVE"}
    )

    def invoke(self, context, event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}


class JOSH4D_OT_find_plate(_Find, bpy.types.Operator):
    """Show where the video is now: the file, or a folder to search in and below"""

    bl_idname = "josh4d.find_plate"
    bl_label = "Find Plate"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    def execute(self, context):
        with refusals(self):
            found = find_plate(active_root(context), Path(bpy.path.abspath(self.filepath)), self.use_anyway)
            self.report({"INFO"}, f"The plate is {found}.")
            return {"FINISHED"}
        return {"CANCELLED"}


class JOSH4D_OT_find_scene(_Find, bpy.types.Operator):
    """Show where the folder of this 4D scene is now: its pointer file, or a folder to search in and below"""

    bl_idname = "josh4d.find_scene"
    bl_label = "Find Scene"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    filter_glob: StringProperty(default="*.scene4d.json;scene.json", options={"HIDDEN"})

    def execute(self, context):
        with refusals(self):
            found = find_scene(active_root(context), Path(bpy.path.abspath(self.filepath)), self.use_anyway)
            self.report({"INFO"}, f"The 4D scene is {found}.")
            return {"FINISHED"}
        return {"CANCELLED"}
