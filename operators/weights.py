"""The files of network weights that the artist brought."""

from __future__ import annotations

import bpy
from bpy.props import EnumProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..josh_blender.jobs.known_weights import KNOWN, known, needed_weights
from .preferences import preferences


class JOSH4D_OT_choose_weights(bpy.types.Operator, ImportHelper):
    """Choose the file of a network's weights, which you download yourself and whose licence you accept"""

    bl_idname = "josh4d.choose_weights"
    bl_label = "Choose Weights"
    bl_options = {"REGISTER"}  # noqa: RUF012

    filename_ext = ""
    filter_glob: StringProperty(default="*.safetensors;*.pth;*.pt;*.ckpt", options={"HIDDEN"})
    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    network: EnumProperty(
        name="Network",
        description="Whose weights these are",
        items=tuple((entry.name, entry.short, entry.licence) for entry in KNOWN),
    )

    def invoke(self, context, event):
        settings = context.scene.josh4d_reconstruct
        if not self.properties.is_property_set("network"):
            self.network = needed_weights(settings.mode, settings.preset) or KNOWN[0].name
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def draw(self, context):
        layout = self.layout
        layout.prop(self, "network")
        entry = known(self.network)
        for text in (entry.title, f"Licence: {entry.licence}", f"From: {entry.page}"):
            layout.label(text=text, translate=False)

    def execute(self, context):
        setattr(preferences(context), f"{self.network}_weights", self.filepath)
        return {"FINISHED"}
