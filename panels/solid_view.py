"""The colours of clouds in Solid view, which by itself shows points in grey; there only while the extension is."""

from __future__ import annotations

import bpy

from ..josh_blender.blend.identity import KIND_KEY
from ..josh_blender.blend.solid_colors import SolidColors

_POINT_SIZE = 3.0


class _Drawing:
    """Draws while it is begun; what was uploaded to the graphics card is freed at its end."""

    def __init__(self) -> None:
        self.colors: SolidColors | None = None
        self.handle: object | None = None

    def begin(self) -> None:
        """Let 3D views draw."""
        self.colors = SolidColors()
        self.handle = bpy.types.SpaceView3D.draw_handler_add(self.draw, (), "WINDOW", "POST_VIEW")

    def end(self) -> None:
        """Let them draw no more."""
        bpy.types.SpaceView3D.draw_handler_remove(self.handle, "WINDOW")
        self.colors = self.handle = None

    def draw(self) -> None:
        """Called by each 3D view after its scene."""
        context = bpy.context
        space = context.space_data
        shown = context.window_manager.josh4d_solid_colors and space.shading.type == "SOLID"
        if not shown or self.colors is None:
            return
        clouds = [
            item
            for item in context.view_layer.objects
            if item.get(KIND_KEY) == "cloud" and item.mode == "OBJECT" and item.visible_in_viewport_get(space)
        ]
        self.colors.draw(clouds, _POINT_SIZE * context.preferences.system.ui_scale)


drawing = _Drawing()


def register() -> None:
    """Let 3D views draw the colours."""
    bpy.types.WindowManager.josh4d_solid_colors = bpy.props.BoolProperty(
        name="Colors in Solid View", description="Draw the cloud in the plate's colors in Solid view", default=True
    )
    drawing.begin()


def unregister() -> None:
    """The reverse of `register`."""
    drawing.end()
    del bpy.types.WindowManager.josh4d_solid_colors
