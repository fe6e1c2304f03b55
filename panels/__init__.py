"""The sidebar tab JOSH 4D."""

from __future__ import annotations

import bpy

from . import reconstruct
from .scenes import JOSH4D_PT_people, JOSH4D_PT_place, JOSH4D_PT_scenes

CLASSES = (JOSH4D_PT_scenes, JOSH4D_PT_people, JOSH4D_PT_place)


def register() -> None:
    """Register the panels."""
    for one in CLASSES:
        bpy.utils.register_class(one)
    reconstruct.register()


def unregister() -> None:
    """The reverse of `register`."""
    reconstruct.unregister()
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
