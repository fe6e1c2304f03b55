"""The scenes of the file, the people and the place of the active one."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..josh_blender.blend.cloud import RADIUS, VIEWPORT_SHARE, input_property
from ..josh_blender.blend.identity import SCENE_KEY, find_part, find_parts, root_of, roots


def active_root(context: bpy.types.Context) -> bpy.types.Object | None:
    """The 4D scene of the active object, or the only one there is."""
    root = root_of(context.active_object)
    if root is not None:
        return root
    found = roots(context.scene)
    return found[0] if len(found) == 1 else None


class _Panel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "JOSH 4D"


class JOSH4D_PT_scenes(_Panel, bpy.types.Panel):
    """The 4D scenes of this file"""

    bl_idname = "JOSH4D_PT_scenes"
    bl_label = "4D Scenes"

    def draw(self, context):
        layout = self.layout
        active = active_root(context)
        found = roots(context.scene)
        if found:
            column = layout.column(align=True)
            for root in found:
                select = column.operator(
                    "josh4d.select_scene", text=root.name, icon="SCENE_DATA", translate=False, depress=root == active
                )
                select.identity = root[SCENE_KEY]
        layout.operator("josh4d.import_scene", text="Import", icon="IMPORT")
        folder = active.get("josh4d_folder") if active is not None else None
        if folder:
            row = layout.row()
            row.operator_context = "EXEC_DEFAULT"
            update = row.operator("josh4d.import_scene", text="Update", icon="FILE_REFRESH")
            update.filepath = str(Path(folder) / "scene.json")
            update.start_frame = active.get("josh4d_start_frame", 1)
            update.set_scene = "NEVER"


class JOSH4D_PT_people(_Panel, bpy.types.Panel):
    """The people of the active 4D scene"""

    bl_idname = "JOSH4D_PT_people"
    bl_label = "People"

    @classmethod
    def poll(cls, context):
        return active_root(context) is not None

    def draw(self, context):
        layout = self.layout
        column = layout.column(align=True)
        for armature in find_parts(active_root(context), ("armature",)):
            row = column.row()
            row.label(text=armature.name, icon="ARMATURE_DATA", translate=False)
            row.label(text=f"{armature.get('josh4d_height', 0.0):.2f} m", translate=False)
            if not armature.get("josh4d_reliable", True):
                column.label(text=armature.get("josh4d_reason") or "Uncertain", icon="ERROR")
        layout.operator("josh4d.fit_skeleton")


class JOSH4D_PT_place(_Panel, bpy.types.Panel):
    """The place of the active 4D scene"""

    bl_idname = "JOSH4D_PT_place"
    bl_label = "Place"

    @classmethod
    def poll(cls, context):
        root = active_root(context)
        return root is not None and find_part(root, "cloud") is not None

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        cloud = find_part(active_root(context), "cloud")
        for name, text in ((VIEWPORT_SHARE, "Share in Viewport"), (RADIUS, "Point Radius")):
            found = input_property(cloud, name)
            if found is not None:
                layout.prop(*found, text=text)
