"""The colours of clouds in Solid view, which by itself shows points in grey; there only while the extension is."""

from __future__ import annotations

import bpy

from ..josh_blender.blend.identity import KIND_KEY
from ..josh_blender.blend.solid_colors import SolidColors

_POINT_SIZE = 3.0


class _Handler:
    """The draw handler, while it is registered."""

    colors: SolidColors | None = None
    handle: object | None = None


def _draw() -> None:
    context = bpy.context
    space = context.space_data
    shown = (
        context.window_manager.josh4d_solid_colors
        and space.type == "VIEW_3D"
        and space.shading.type == "SOLID"
        and _Handler.colors is not None
    )
    if not shown:
        return
    clouds = [
        item
        for item in context.view_layer.objects
        if item.get(KIND_KEY) == "cloud" and item.mode == "OBJECT" and item.visible_in_viewport_get(space)
    ]
    _Handler.colors.draw(clouds, _POINT_SIZE * context.preferences.system.ui_scale)


def register() -> None:
    """Let 3D views draw the colours."""
    bpy.types.WindowManager.josh4d_solid_colors = bpy.props.BoolProperty(
        name="Colors in Solid View", description="Draw the cloud in the plate's colors in Solid view", default=True
    )
    _Handler.colors = SolidColors()
    _Handler.handle = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_VIEW")


def unregister() -> None:
    """The reverse of `register`; what was uploaded to the graphics card is freed."""
    bpy.types.SpaceView3D.draw_handler_remove(_Handler.handle, "WINDOW")
    _Handler.colors = _Handler.handle = None
    del bpy.types.WindowManager.josh4d_solid_colors
