"""The extension's preferences: the engine, where results go, and the doctor."""

from __future__ import annotations

import sys
from pathlib import Path

import bpy
from bpy.props import EnumProperty, StringProperty

from ..josh_blender.jobs.doctor import cost_text
from ..josh_blender.jobs.environment import EngineState, default_engine_folder, engine_recipe, engine_state
from ..josh_blender.jobs.known_weights import KNOWN
from .doctor import draw_findings

_STATE_ICONS = {"ready": "CHECKMARK", "missing": "INFO", "partial": "INFO", "broken": "ERROR", "outdated": "ERROR"}
#: What the button says in each state of the engine.
SET_UP_LABELS = {
    "ready": "Set Up Again",
    "missing": "Set Up Engine",
    "partial": "Continue Set-Up",
    "broken": "Repair Engine",
    "outdated": "Update Engine",
}


class JOSH4D_AP_preferences(bpy.types.AddonPreferences):
    """Where the engine is, on what it computes, and where results go"""

    # The root package, set by `register`: its name depends on the repository the extension was installed from.
    bl_idname = ""

    engine_folder: StringProperty(
        name="Engine Folder", description="Where Set Up makes the engine: an empty or new folder on this computer",
        default=str(default_engine_folder()), subtype="DIR_PATH",
    )  # fmt: skip
    engine_python: StringProperty(
        name="Existing Python",
        description="A Python or environment that has the engine's packages already; used instead of Set Up",
        subtype="FILE_PATH",
    )
    set_up_python: StringProperty(
        name="Python for Set Up",
        description="Makes the engine where Blender's own Python cannot; empty for Blender's own",
        subtype="FILE_PATH",
    )
    device: EnumProperty(
        name="Device",
        description="What Set Up downloads and what reconstructions compute on",
        items=(
            ("AUTO", "Automatic", "CUDA where a recent NVIDIA driver is installed, else the processor"),
            ("CPU", "CPU", "The processor; the smallest download"),
            ("CUDA", "CUDA", "An NVIDIA card; a download of several GB"),
        ),
    )
    output_folder: StringProperty(
        name="Output Folder",
        description="Where reconstructions go; empty for beside the saved .blend file, else beside the video",
        subtype="DIR_PATH",
    )
    josh3r_weights: StringProperty(
        name="JOSH3R Weights", description="For the fast mode: a file you download yourself, not for commercial use",
        subtype="FILE_PATH",
    )  # fmt: skip
    mast3r_weights: StringProperty(
        name="MASt3R Weights", description="For the scene backend of that name: a file you download yourself, not for "
        "commercial use", subtype="FILE_PATH",
    )  # fmt: skip

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        state = state_of_engine(context)
        column = layout.column()
        draw_state(column, state)
        column.prop(self, "engine_folder")
        column.prop(self, "device")
        draw_set_up(context, column, state)
        column.separator()
        column.prop(self, "engine_python")
        column.prop(self, "set_up_python")
        column.prop(self, "output_folder")
        column.separator()
        for entry in KNOWN:
            column.prop(self, f"{entry.name}_weights")
            column.label(text=f"Licence: {entry.licence}", icon="BLANK1", translate=False)
        column.separator()
        column.operator("josh4d.doctor", icon="VIEWZOOM")
        draw_findings(column, context)


def preferences(context: bpy.types.Context) -> JOSH4D_AP_preferences:
    """The preferences of this extension.

    Raises:
        KeyError: it was registered without being enabled as an add-on.
    """
    return context.preferences.addons[JOSH4D_AP_preferences.bl_idname].preferences


def set_up_python(context: bpy.types.Context) -> Path:
    """The Python that makes the engine."""
    text = preferences(context).set_up_python.strip()
    return Path(bpy.path.abspath(text)).expanduser() if text else Path(sys.executable)


def engine_folder(context: bpy.types.Context) -> Path | None:
    """The folder of the engine; None where the field was cleared."""
    text = preferences(context).engine_folder.strip()
    return Path(bpy.path.abspath(text)).expanduser() if text else None


def state_of_engine(context: bpy.types.Context) -> EngineState:
    """Whether the engine can run and how; cheap enough for drawing."""
    text = preferences(context).engine_python.strip()
    python = Path(bpy.path.abspath(text)).expanduser() if text else None
    return engine_state(engine_folder(context), python)


def draw_state(layout: bpy.types.UILayout, state: EngineState) -> None:
    """What the state is and what to do."""
    layout.label(text=state.message, icon=_STATE_ICONS[state.kind], translate=False)
    if state.remedy:
        layout.label(text=state.remedy, icon="BLANK1", translate=False)


def draw_set_up(context: bpy.types.Context, layout: bpy.types.UILayout, state: EngineState) -> None:
    """The button that sets the engine up, with what it costs; while it does, how far it is."""
    running = next(
        (entry for entry in context.window_manager.josh4d_jobs.queue.entries
         if entry.request.kind == "set_up" and entry.state in ("waiting", "running")), None,
    )  # fmt: skip
    if running is not None:
        layout.progress(factor=running.meter.share, text="Setting up; Cancel and Log are in the sidebar")
        return
    recipe = engine_recipe(preferences(context).device)
    if recipe is not None:
        layout.label(text=cost_text(recipe), icon="BLANK1", translate=False)
    layout.operator("josh4d.set_up_engine", text=SET_UP_LABELS[state.kind], icon="IMPORT")


def register(package: str) -> None:
    """Register the preferences under the extension's root package."""
    JOSH4D_AP_preferences.bl_idname = package
    bpy.utils.register_class(JOSH4D_AP_preferences)


def unregister() -> None:
    """The reverse of `register`."""
    bpy.utils.unregister_class(JOSH4D_AP_preferences)
