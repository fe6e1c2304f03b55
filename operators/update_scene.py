"""Update: the take that lies in the scene's folder now."""

from __future__ import annotations

import bpy
from bpy.props import EnumProperty, StringProperty

from ..josh_blender.blend.identity import active_root
from ..josh_blender.blend.importer import update_scene
from ..josh_blender.blend.takes import dismiss_new_take, new_take, use_new_take
from .scene_operator import ActiveScene, refusals, tell


class JOSH4D_OT_update_scene(ActiveScene, bpy.types.Operator):
    """Bring the newest take of this 4D scene; names, materials, modifiers and keys of yours stay"""

    bl_idname = "josh4d.update_scene"
    bl_label = "Update"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    def execute(self, context):
        with refusals(self):
            tell(self, update_scene(context, active_root(context)), "Updated")
            return {"FINISHED"}
        return {"CANCELLED"}


class JOSH4D_OT_choose_take(bpy.types.Operator):
    """Choose between your keys and the new take beside them"""

    bl_idname = "josh4d.choose_take"
    bl_label = "Choose Take"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    owner: StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    choice: EnumProperty(
        name="Choice",
        items=(
            ("MINE", "Keep Mine", "Stay with your keys; the new take is removed"),
            ("NEW", "Use New Take", "Use the new take; your keys stay in the file as an action"),
        ),
    )

    @classmethod
    def description(cls, context, properties):
        return cls.bl_rna.properties["choice"].enum_items[properties.choice].description if properties else ""

    def execute(self, context):
        item = context.scene.objects.get(self.owner)
        blocks = [block for block in (item, item.data if item else None) if block is not None]
        waiting = [block for block in blocks if new_take(block) is not None]
        for block in waiting:
            if self.choice == "NEW":
                use_new_take(block)
            else:
                dismiss_new_take(block)
        return {"FINISHED"} if waiting else {"CANCELLED"}
