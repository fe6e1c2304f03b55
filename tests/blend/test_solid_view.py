"""The cloud's colours in Solid view: the right pixels, uploaded once, gone with the extension."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

import gpu  # noqa: E402
from blender_helpers import part  # noqa: E402
from conftest import ROOT  # noqa: E402
from synthetic_scene import synthetic_cloud, synthetic_scene  # noqa: E402

from josh_blender.blend.cloud import set_viewport_share  # noqa: E402
from josh_blender.blend.importer import import_scene  # noqa: E402
from josh_blender.blend.solid_colors import SolidColors  # noqa: E402
from josh_blender.scene4d.camera import invert_rigid, project, transform  # noqa: E402

PACKAGE = "josh4d_solid_under_test"
WIDTH, HEIGHT = 160, 120


@pytest.fixture
def graphics():
    if not hasattr(gpu, "init"):
        pytest.skip("this Blender draws only in a window")
    try:
        gpu.init()
    except (RuntimeError, SystemError) as error:
        pytest.skip(f"no graphics: {error}")


def picture(colors: SolidColors, camera, clouds) -> np.ndarray:
    """What the clouds look like from a camera, (H,W,3) from the top, on black."""
    screen = gpu.types.GPUOffScreen(WIDTH, HEIGHT)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    with screen.bind():
        frame = gpu.state.active_framebuffer_get()
        frame.clear(color=(0.0, 0.0, 0.0, 1.0), depth=1.0)
        with gpu.matrix.push_pop():
            gpu.matrix.load_matrix(camera.matrix_world.inverted())
            gpu.matrix.load_projection_matrix(camera.calc_matrix_camera(depsgraph, x=WIDTH, y=HEIGHT))
            colors.draw(clouds, 3.0)
        buffer = frame.read_color(0, 0, WIDTH, HEIGHT, 4, 0, "UBYTE")
    screen.free()
    return np.array(buffer.to_list(), dtype=np.uint8).reshape(HEIGHT, WIDTH, 4)[::-1, :, :3]


def test_colors_are_where_the_plate_has_them(empty_file, graphics):
    scene4d = synthetic_scene(people=0, frame_count=3, points=0, width=WIDTH, height=HEIGHT)
    places = np.array([(-1.0, 6.0, 1.0), (0.5, 5.0, 1.5), (1.5, 8.0, 0.5)])
    scene4d.cloud = synthetic_cloud(3)
    scene4d.cloud.position[:] = places
    scene4d.cloud.color[:] = [(250, 20, 30), (40, 230, 10), (10, 60, 240)]
    report = import_scene(empty_file, scene4d)
    report.root.scale = (2.0, 2.0, 2.0)
    empty_file.view_layer.update()
    colors, cloud = SolidColors(), part("cloud")
    seen = picture(colors, part("camera"), [cloud])
    pixels = project(transform(invert_rigid(scene4d.camera.world_from_camera[0]), places), scene4d.camera.intrinsics[0])
    for (column, row), color in zip(pixels, scene4d.cloud.color, strict=True):
        assert np.abs(seen[int(row), int(column)].astype(int) - color).max() <= 2
    assert np.count_nonzero(seen.any(axis=-1)) <= 3 * 16, "three points are no more than three points"


def test_points_are_uploaded_once_and_again_when_they_change(empty_file, graphics):
    scene4d = synthetic_scene(people=0, frame_count=3, points=500, width=WIDTH, height=HEIGHT)
    import_scene(empty_file, scene4d)
    colors, cloud, camera = SolidColors(), part("cloud"), part("camera")
    uploads = []
    make = gpu.types.GPUBatch

    def counted(**arguments):
        uploads.append(arguments)
        return make(**arguments)

    gpu.types.GPUBatch = counted
    try:
        first = picture(colors, camera, [cloud])
        assert np.array_equal(picture(colors, camera, [cloud]), first)
        assert len(uploads) == 1
        set_viewport_share(cloud, 0.1)
        fewer = picture(colors, camera, [cloud])
        assert len(uploads) == 2
        assert np.count_nonzero(fewer.any(axis=-1)) < 0.5 * np.count_nonzero(first.any(axis=-1))
        scene4d.cloud = synthetic_cloud(500, seed=4)
        import_scene(empty_file, scene4d)
        picture(colors, camera, [cloud])
        assert len(uploads) == 3
        assert not picture(colors, camera, []).any()
    finally:
        gpu.types.GPUBatch = make


def test_an_empty_cloud_draws_nothing(empty_file, graphics):
    import_scene(empty_file, synthetic_scene(people=0, frame_count=2, points=0))
    assert not picture(SolidColors(), part("camera"), [part("cloud")]).any()


def test_the_handler_goes_with_the_extension(empty_file):
    spec = importlib.util.spec_from_file_location(PACKAGE, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)
    module.register()
    try:
        handle = sys.modules[f"{PACKAGE}.panels.solid_view"].drawing.handle
        assert handle is not None
        assert bpy.context.window_manager.josh4d_solid_colors
    finally:
        # A class still registered at exit makes Blender 4.5 hang.
        module.unregister()
    assert sys.modules[f"{PACKAGE}.panels.solid_view"].drawing.handle is None
    assert not hasattr(bpy.context.window_manager, "josh4d_solid_colors")
    with pytest.raises((ValueError, RuntimeError)):
        bpy.types.SpaceView3D.draw_handler_remove(handle, "WINDOW")
    for name in [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]
