"""Set Up Engine: makes, repairs or updates the engine's environment as a job."""

from __future__ import annotations

import bpy

from ..josh_blender.jobs.doctor import cost_text
from ..josh_blender.jobs.environment import engine_recipe, set_up_command, set_up_log
from ..josh_blender.jobs.job import engine_environment
from ..josh_blender.jobs.queue import JobRequest
from .doctor import may_go_online
from .job_queue import enqueue, jobs
from .preferences import engine_folder, preferences, set_up_python

_OFFLINE = "Blender may not go online. Allow Online Access in Preferences > System, or choose an existing Python."


def is_setting_up(context: bpy.types.Context) -> bool:
    """Whether a set-up runs or waits."""
    return any(entry.request.kind == "set_up" and not entry.ended for entry in jobs(context).queue.entries)


class JOSH4D_OT_set_up_engine(bpy.types.Operator):
    """Download the engine and install it in a folder of its own; Blender's own Python is not touched"""

    bl_idname = "josh4d.set_up_engine"
    bl_label = "Set Up Engine"
    bl_options = {"REGISTER"}  # noqa: RUF012

    @classmethod
    def poll(cls, context):
        if is_setting_up(context):
            cls.poll_message_set("The engine is being set up already")
            return False
        return True

    def invoke(self, context, event):
        return context.window_manager.invoke_props_dialog(self, width=480, confirm_text="Set Up")

    def draw(self, context):
        settings = preferences(context)
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "engine_folder")
        layout.prop(settings, "device")
        recipe = engine_recipe(settings.device)
        if recipe is None:
            layout.label(text="The engine's packages do not exist for this system", icon="ERROR")
        else:
            layout.label(text=cost_text(recipe), icon="INFO", translate=False)
        # Drawn in either state: a dialog does not grow or shrink well while it is open.
        online = may_go_online()
        layout.label(
            text="Blender may go online" if online else "Blender may not go online",
            icon="CHECKMARK" if online else "ERROR",
        )
        layout.prop(context.preferences.system, "use_online_access")

    def execute(self, context):
        folder = engine_folder(context)
        if folder is None:
            self.report({"ERROR"}, "Choose a folder for the engine in the preferences.")
            return {"CANCELLED"}
        if not may_go_online():
            self.report({"ERROR"}, _OFFLINE)
            return {"CANCELLED"}
        command = set_up_command(set_up_python(context), folder, preferences(context).device)
        enqueue(
            context,
            JobRequest(
                label="Set Up Engine",
                command=tuple(command),
                environment=engine_environment(),
                log=set_up_log(folder),
                kind="set_up",
                scene_name=context.scene.name,
            ),
        )
        return {"FINISHED"}
