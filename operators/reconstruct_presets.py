"""Settings of Reconstruct from Video kept under a name, for the next shot with the same camera or the same people."""

from __future__ import annotations

from pathlib import Path

import bpy
from bl_operators.presets import AddPresetBase

#: What belongs to how a shot was filmed and is to be treated; source, range and output are of one shot only.
NAMES = (
    "mode",
    "preset",
    "fps",
    "color_space",
    "use_height",
    "height",
    "camera_mode",
    "movement",
    "lens",
    "sensor",
    "refine",
    "use_most",
    "most",
)


class JOSH4D_OT_add_reconstruct_preset(AddPresetBase, bpy.types.Operator):
    """Keep these settings under a name, or remove the chosen name"""

    bl_idname = "josh4d.add_reconstruct_preset"
    bl_label = "Add Reconstruct Preset"
    preset_menu = "JOSH4D_PT_reconstruct_presets"
    preset_subdir = "josh4d/reconstruct"
    preset_defines = ("settings = bpy.context.scene.josh4d_reconstruct",)
    preset_values = tuple(f"settings.{name}" for name in NAMES)


CLASSES = (JOSH4D_OT_add_reconstruct_preset,)


#: Its folder ``presets`` holds those that come with the extension.
_PLACE = str(Path(__file__).parent)


def register() -> None:
    """Let Blender find the presets that come with the extension."""
    bpy.utils.register_preset_path(_PLACE)


def unregister() -> None:
    """The reverse of `register`."""
    bpy.utils.unregister_preset_path(_PLACE)
