"""Make one of several 4D scenes the active one."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from ..josh_blender.blend.identity import find_root, select_only


class JOSH4D_OT_select_scene(bpy.types.Operator):
    """Select the root of this 4D scene, which moves all of it"""

    bl_idname = "josh4d.select_scene"
    bl_label = "Select 4D Scene"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    identity: StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Leave the current mode first")
            return False
        return True

    def execute(self, context):
        root = find_root(context.scene, self.identity)
        if root is None or not select_only(context, root):
            self.report({"WARNING"}, "This 4D scene is not in the view layer any more.")
            return {"CANCELLED"}
        return {"FINISHED"}
