"""Doctor: what is missing, in words, each with the button that helps."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..josh_blender.jobs.doctor import Examination, Finding, first_findings, problem_of_python
from ..josh_blender.jobs.environment import engine_recipe
from ..josh_blender.jobs.reconstruct_command import free_bytes

#: The attribute of every window manager.
_ATTRIBUTE = "josh4d_doctor"
_INTERVAL = 0.2


class Doctor:
    """What was found so far, and the engine's own examination while it runs."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.examination: Examination | None = None

    def tick(self) -> float | None:
        """One look at the examination; returns the seconds until the next, None when it has ended."""
        if self.examination is None:
            return None
        if self.examination.poll():
            return _INTERVAL
        self.findings += self.examination.findings
        self.examination = None
        _redraw()
        return None

    def close(self) -> None:
        """End the examination."""
        if self.examination is not None:
            self.examination.close()
            self.examination = None


def doctor(context: bpy.types.Context) -> Doctor:
    """The doctor of this Blender."""
    return getattr(context.window_manager, _ATTRIBUTE)


def tick() -> float | None:
    """The timer's callback; called by hand where timers do not run."""
    return doctor(bpy.context).tick()


def may_go_online() -> bool:
    """Whether the user lets Blender use the network."""
    return bpy.app.online_access


class JOSH4D_OT_doctor(bpy.types.Operator):
    """Say what keeps reconstructions from running, and what helps"""

    bl_idname = "josh4d.doctor"
    bl_label = "Doctor"
    bl_options = {"REGISTER"}  # noqa: RUF012

    @classmethod
    def poll(cls, context):
        if doctor(context).examination is not None:
            cls.poll_message_set("The engine is being examined already")
            return False
        return True

    def execute(self, context):
        # The preferences draw the findings, so that module knows this one.
        from .preferences import JOSH4D_AP_preferences, engine_folder, preferences, state_of_engine

        here = doctor(context)
        state = state_of_engine(context)
        folder = engine_folder(context)
        free = free_bytes(folder) if folder is not None else None
        settings = preferences(context)
        problem = problem_of_python() if not settings.set_up_python.strip() else ""
        here.findings = first_findings(state, may_go_online(), engine_recipe(settings.device), free, problem)
        if state.python is not None:
            try:
                here.examination = Examination(state)
            except OSError as error:
                text = f"“{Path(state.python).name}” cannot be started: {error.strerror}."
                here.findings.append(Finding(text, False, "set_up"))
            else:
                bpy.app.timers.register(tick, first_interval=_INTERVAL, persistent=True)
        if not bpy.app.background and (context.area is None or context.area.type != "PREFERENCES"):
            bpy.ops.preferences.addon_show(module=JOSH4D_AP_preferences.bl_idname)
        return {"FINISHED"}


def draw_findings(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What was found, with the buttons."""
    here = doctor(context)
    for finding in here.findings:
        row = layout.row()
        row.label(text=finding.text, icon="CHECKMARK" if finding.good else "ERROR", translate=False)
        if finding.remedy == "set_up":
            row.operator("josh4d.set_up_engine")
        elif finding.remedy == "online_access":
            row.prop(context.preferences.system, "use_online_access")
        elif finding.remedy == "choose":
            row.label(text="Choose it above", icon="BLANK1")
    if here.examination is not None:
        layout.label(text="Starting the engine and trying its packages…", icon="SORTTIME")


def _redraw() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "PREFERENCES":
                area.tag_redraw()


def register() -> None:
    """Make the doctor."""
    setattr(bpy.types.WindowManager, _ATTRIBUTE, Doctor())


def unregister() -> None:
    """End what it does and take it out of Blender."""
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    getattr(bpy.types.WindowManager, _ATTRIBUTE).close()
    delattr(bpy.types.WindowManager, _ATTRIBUTE)
