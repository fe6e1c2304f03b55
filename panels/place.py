"""The place of the active 4D scene."""

from __future__ import annotations

import bpy

from ..josh_blender.blend.cloud import RADIUS, VIEWPORT_SHARE, input_property
from ..josh_blender.blend.identity import active_root, find_part


class JOSH4D_PT_place(bpy.types.Panel):
    """The place of the active 4D scene"""

    bl_idname = "JOSH4D_PT_place"
    bl_label = "Place"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "JOSH 4D"
    bl_order = 7

    @classmethod
    def poll(cls, context):
        root = active_root(context)
        return root is not None and find_part(root, "cloud") is not None

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        cloud = find_part(active_root(context), "cloud")
        for name, text in ((VIEWPORT_SHARE, "Share in Viewport"), (RADIUS, "Point Radius")):
            found = input_property(cloud, name)
            if found is not None:
                layout.prop(*found, text=text)
        layout.prop(context.window_manager, "josh4d_solid_colors")
