"""Fit Skeleton to Shape."""

from __future__ import annotations

import bpy

from ..josh_blender.blend.fit_skeleton import body_of, fit_skeleton
from ..josh_blender.scene4d.errors import UserError


class JOSH4D_OT_fit_skeleton(bpy.types.Operator):
    """Move the bones to where the body's beta shape keys put the joints"""

    bl_idname = "josh4d.fit_skeleton"
    bl_label = "Fit Skeleton to Shape"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    @classmethod
    def poll(cls, context):
        if body_of(context.active_object) is None:
            cls.poll_message_set("Select the body or armature of an imported person")
            return False
        return True

    def execute(self, context):
        try:
            fit_skeleton(context, context.active_object)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}
