"""The sidebar tab JOSH 4D."""

from __future__ import annotations

import bpy

from . import reconstruct, scenes, solid_view
from .place import JOSH4D_PT_place


def register() -> None:
    """Register the panels and the colours of clouds in Solid view."""
    scenes.register()
    solid_view.register()
    bpy.utils.register_class(JOSH4D_PT_place)
    reconstruct.register()


def unregister() -> None:
    """The reverse of `register`."""
    reconstruct.unregister()
    bpy.utils.unregister_class(JOSH4D_PT_place)
    solid_view.unregister()
    scenes.unregister()
