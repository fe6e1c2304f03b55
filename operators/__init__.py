"""Operators: properties, poll, report and undo around the functions of ``josh_blender.blend``."""

from __future__ import annotations

import bpy

from . import (
    delivery,
    doctor,
    first_run,
    job_controls,
    job_queue,
    preferences,
    reconstruct,
    reconstruct_presets,
    reconstruct_settings,
)
from .doctor import JOSH4D_OT_doctor
from .find_files import JOSH4D_OT_find_plate, JOSH4D_OT_find_scene
from .fit_skeleton import JOSH4D_OT_fit_skeleton
from .import_scene import JOSH4D_FH_scene, JOSH4D_OT_import_scene, draw_import_menu
from .remove_scene import JOSH4D_OT_remove_scene
from .select_scene import JOSH4D_OT_select_scene
from .set_up import JOSH4D_OT_set_up_engine
from .update_scene import JOSH4D_OT_choose_take, JOSH4D_OT_update_scene
from .weights import JOSH4D_OT_choose_weights

CLASSES = (
    JOSH4D_OT_import_scene,
    JOSH4D_FH_scene,
    JOSH4D_OT_fit_skeleton,
    JOSH4D_OT_select_scene,
    JOSH4D_OT_update_scene,
    JOSH4D_OT_choose_take,
    JOSH4D_OT_find_plate,
    JOSH4D_OT_find_scene,
    JOSH4D_OT_remove_scene,
    *delivery.CLASSES,
    *job_controls.CLASSES,
    *reconstruct.CLASSES,
    *reconstruct_presets.CLASSES,
    *first_run.CLASSES,
    JOSH4D_OT_set_up_engine,
    JOSH4D_OT_doctor,
    JOSH4D_OT_choose_weights,
)


def register() -> None:
    """Register the operators, the preferences, the file handlers and the menu entries."""
    package = __package__.rpartition(".")[0]
    for one in CLASSES:
        bpy.utils.register_class(one)
    reconstruct_settings.register()
    reconstruct_presets.register()
    delivery.connect(job_queue.register(package))
    doctor.register()
    preferences.register(package)
    bpy.types.TOPBAR_MT_file_import.append(draw_import_menu)
    bpy.types.TOPBAR_MT_file_import.append(reconstruct.draw_import_menu)


def unregister() -> None:
    """The reverse of `register`."""
    bpy.types.TOPBAR_MT_file_import.remove(reconstruct.draw_import_menu)
    bpy.types.TOPBAR_MT_file_import.remove(draw_import_menu)
    preferences.unregister()
    doctor.unregister()
    job_queue.unregister()
    reconstruct_presets.unregister()
    reconstruct_settings.unregister()
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
