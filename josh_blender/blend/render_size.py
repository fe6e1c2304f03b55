"""How large a picture is rendered."""

from __future__ import annotations

import bpy


def shrink_to(render: bpy.types.RenderSettings, longest: int, even: bool = False) -> None:
    """Lower the resolution percentage until the longer side has at most ``longest`` px; never raise it above 100.

    ``even``: both sides are even numbers, as H.264 wants them; without such a percentage the nearest one stays.
    """
    width, height = render.resolution_x, render.resolution_y
    wanted = max(1, min(100, 100 * longest // max(width, height)))
    choices = range(wanted, 0, -1) if even else (wanted,)
    # Blender cuts the fraction off.
    fits = (one for one in choices if not even or (width * one // 100) % 2 == (height * one // 100) % 2 == 0)
    render.resolution_percentage = next(fits, wanted)
