"""Remove a 4D scene from the file."""

from __future__ import annotations

import bpy

from ..josh_blender.blend.identity import active_root
from ..josh_blender.blend.remove import guests, remove_scene
from .scene_operator import ActiveScene, refusals


class JOSH4D_OT_remove_scene(ActiveScene, bpy.types.Operator):
    """Take this 4D scene out of the file; what you made and hung on it stays, and so do the files on disk"""

    bl_idname = "josh4d.remove_scene"
    bl_label = "Remove"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    def invoke(self, context, event):
        yours = len(guests(active_root(context)))
        if not yours:
            return self.execute(context)
        things = "1 object of yours hangs" if yours == 1 else f"{yours} objects of yours hang"
        return context.window_manager.invoke_confirm(
            self, event, title="Remove 4D Scene", message=f"{things} on it and will stay where it is now." if yours == 1
            else f"{things} on it and will stay where they are now.", confirm_text="Remove",
        )  # fmt: skip

    def execute(self, context):
        root = active_root(context)
        name = root.name
        with refusals(self):
            kept = remove_scene(root)
            self.report({"INFO"}, f"Removed {name}; kept {', '.join(kept)}." if kept else f"Removed {name}.")
            return {"FINISHED"}
        return {"CANCELLED"}
