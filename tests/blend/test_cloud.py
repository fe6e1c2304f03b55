"""The point cloud: all points in the render, a share in the viewport, in the plate's colours."""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from blender_helpers import part  # noqa: E402
from synthetic_scene import synthetic_cloud, synthetic_scene  # noqa: E402

from josh_blender.blend.cloud import create_cloud, point_spacing, set_radius, set_viewport_share, update_cloud  # noqa: E402
from josh_blender.blend.importer import import_scene  # noqa: E402


def shown(item):
    """Positions, radii and colours of the points of a cloud in the viewport's evaluation."""
    geometry = item.evaluated_get(bpy.context.evaluated_depsgraph_get()).evaluated_geometry()
    cloud = geometry.pointcloud
    count = 0 if cloud is None else len(cloud.points)
    if not count:
        return np.empty((0, 3)), np.empty(0), np.empty((0, 4))
    positions, radii, colors = np.empty(3 * count, np.float32), np.empty(count, np.float32), np.empty(4 * count)
    cloud.attributes["position"].data.foreach_get("vector", positions)
    cloud.attributes["radius"].data.foreach_get("value", radii)
    cloud.attributes["displayColor"].data.foreach_get("color_srgb", colors)
    return positions.reshape(-1, 3), radii, colors.reshape(-1, 4)


def test_points_are_shown_in_their_colors(empty_file):
    points = synthetic_cloud(500)
    cloud = create_cloud("cloud", points)
    empty_file.scene.collection.objects.link(cloud)
    set_radius(cloud, 0.25)
    positions, radii, colors = shown(cloud)
    assert np.array_equal(positions, points.position)
    assert np.allclose(radii, 0.25)
    assert np.array_equal(np.rint(colors[:, :3] * 255.0).astype(np.uint8), points.color)


def test_the_viewport_shows_a_share(empty_file):
    cloud = create_cloud("cloud", synthetic_cloud(20000))
    empty_file.scene.collection.objects.link(cloud)
    set_viewport_share(cloud, 0.25)
    assert 0.23 < len(shown(cloud)[0]) / 20000 < 0.27
    set_viewport_share(cloud, 0.0)
    assert len(shown(cloud)[0]) == 0
    set_viewport_share(cloud, 1.0)
    assert len(shown(cloud)[0]) == 20000


def test_a_render_shows_all_points_in_the_plates_color(empty_file, tmp_path):
    """A wall of points fills the picture with one colour, though the viewport shows none of them."""
    scene4d = synthetic_scene(people=0, frame_count=2, points=0, width=48, height=32)
    grid = np.stack(np.meshgrid(np.arange(-4.0, 4.0, 0.05), [3.0], np.arange(-2.0, 5.0, 0.05)), -1).reshape(-1, 3)
    scene4d.cloud = synthetic_cloud(len(grid))
    scene4d.cloud.position = grid.astype(np.float32)
    scene4d.cloud.color[:] = (200, 90, 30)
    import_scene(empty_file, scene4d)
    set_radius(part("cloud"), 0.06)
    set_viewport_share(part("cloud"), 0.0)
    scene = empty_file.scene
    scene.render.engine, scene.cycles.samples, scene.cycles.device = "CYCLES", 1, "CPU"
    scene.view_settings.view_transform = "Standard"
    scene.render.dither_intensity = 0.0
    scene.render.filepath = str(tmp_path / "points.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    pixels = np.array(image.pixels[:]).reshape(-1, 4)[:, :3] * 255.0
    assert np.median(np.abs(pixels - (200, 90, 30))) < 1.5


def test_an_empty_cloud_is_valid(empty_file):
    import_scene(empty_file, synthetic_scene(people=0, frame_count=2, points=0))
    assert len(shown(part("cloud"))[0]) == 0


def test_an_update_keeps_what_the_artist_added(empty_file):
    cloud = create_cloud("cloud", synthetic_cloud(100))
    empty_file.scene.collection.objects.link(cloud)
    cloud.modifiers.new("mine", "WAVE")
    material = bpy.data.materials.new("mine")
    cloud.data.materials[0] = material
    fresh = synthetic_cloud(70, seed=3)
    update_cloud(cloud, fresh)
    assert [modifier.type for modifier in cloud.modifiers] == ["NODES", "WAVE"]
    assert cloud.data.materials[0] is material
    cloud.modifiers.remove(cloud.modifiers[1])
    assert np.array_equal(shown(cloud)[0], fresh.position)
    assert np.array_equal(np.rint(shown(cloud)[2][:, :3] * 255.0).astype(np.uint8), fresh.color)


@pytest.mark.parametrize("spacing", [0.01, 0.05])
def test_spacing_of_points_on_a_surface(spacing):
    steps = np.arange(0.0, 200 * spacing, spacing)
    ground = np.stack(np.meshgrid(steps, steps, [0.0]), axis=-1).reshape(-1, 3)
    outliers = np.random.default_rng(0).uniform(-50.0, 50.0, size=(100, 3))
    cloud = np.random.default_rng(1).permutation(np.concatenate([ground, outliers])).astype(np.float32)
    assert point_spacing(cloud) == pytest.approx(spacing, rel=0.25)
    assert point_spacing(cloud[:10]) == 0.0
