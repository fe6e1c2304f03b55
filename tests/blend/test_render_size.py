"""The size of pictures and movies."""

from __future__ import annotations

import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from josh_blender.blend.render_size import shrink_to  # noqa: E402


@pytest.mark.parametrize(
    "size", [(960, 540), (1920, 1080), (1080, 1920), (812, 720), (720, 405), (853, 480), (640, 361), (96, 54)]
)
@pytest.mark.parametrize("even", [False, True])
def test_sides_fit_and_movies_are_even(empty_file, size, even):
    render = bpy.context.scene.render
    render.resolution_x, render.resolution_y = size
    shrink_to(render, 640, even)
    sides = [side * render.resolution_percentage // 100 for side in size]
    assert max(sides) <= 640
    assert max(sides) > 0.8 * min(640, max(size))
    if even:
        assert all(side % 2 == 0 for side in sides)
