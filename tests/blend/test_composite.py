"""A CG object in the plate: seen where it stands, clear of people, hidden by who is before it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from synthetic_scene import synthetic_scene  # noqa: E402

from josh_blender.blend import composite, placement  # noqa: E402
from josh_blender.blend.importer import import_scene  # noqa: E402
from josh_blender.scene4d import files  # noqa: E402
from josh_blender.scene4d.camera import invert_rigid, project, transform  # noqa: E402
from josh_blender.scene4d.scene import PointCloud, Scene4D  # noqa: E402


def _scene() -> Scene4D:
    return synthetic_scene(width=160, height=90, frame_count=6, points=50, distortion=False)


def test_the_place_is_in_the_picture_and_clear_of_people() -> None:
    scene = synthetic_scene()
    place = placement.suggest_place(scene)
    assert place[2] == 0.0
    middle = transform(
        invert_rigid(scene.camera.world_from_camera), np.tile(place + np.array([0.0, 0.0, 0.5]), (48, 1, 1))
    )
    pixel = project(middle[:, 0], scene.camera.intrinsics)
    inside = (middle[:, 0, 2] > 0) & (pixel > 0).all(axis=1) & (pixel < [960, 540]).all(axis=1)
    assert inside.mean() > 0.8
    for person in scene.people:
        assert np.linalg.norm(person.trans[:, :2] - place[:2], axis=1).min() > 0.3


def test_who_is_before_the_object_is_nearer_to_the_camera() -> None:
    scene = synthetic_scene()
    centre, forward = scene.camera.world_from_camera[0, :3, 3], scene.camera.world_from_camera[0, :3, 2]
    behind_all = placement.people_in_front(scene, centre + 500.0 * forward)
    before_all = placement.people_in_front(scene, centre + 0.01 * forward)
    for person in scene.people:
        present = np.isin(scene.camera.frame, person.frame)
        np.testing.assert_array_equal(behind_all[person.id], present)
        assert not before_all[person.id].any()


@pytest.mark.slow
def test_masks_hide_the_object_and_leave_the_rest(empty_file, tmp_path: Path) -> None:
    """The same object twice: with a mask over all of the rendered frame it is gone, without it is there."""
    scene = _scene()
    picture = {}
    for covered in (False, True):
        value = scene.people[0].mask_value if covered else 0

        def fill(partial: Path, value: int = value) -> None:
            for row, frame in enumerate(scene.camera.frame):
                # Only the rendered frame is covered: another frame's mask or picture would show the object.
                files.write_mask(partial, int(frame), np.full((90, 160), value if row == 2 else 0, np.uint8))

        loaded = files.read_scene(files.write_scene(scene, tmp_path / f"{covered}.scene4d", fill))
        bpy.ops.wm.read_factory_settings(use_empty=True)
        import_scene(bpy.context, loaded)
        root = scene.people[0].trans[2]
        centre = scene.camera.world_from_camera[2, :3, 3]
        place = centre + 2.0 * (root - centre)
        place[2] = 0.0
        result = composite.build_composite(bpy.context.scene, loaded, place, samples=2)
        path = tmp_path / f"{covered}.png"
        composite.render_still(result, result.frame_start + 2, path)
        image = bpy.data.images.load(str(path))
        pixels = np.empty(160 * 90 * 4, np.float32)
        image.pixels.foreach_get(pixels)
        picture[covered] = pixels.reshape(90, 160, 4)[..., :3]
    assert picture[False][..., 0].max() > 0.3
    # Only the rim that the softened matte leaves may remain.
    assert picture[True][..., 0].max() < 0.2 * picture[False][..., 0].max()


def test_nothing_is_put_where_something_stands() -> None:
    scene = synthetic_scene()
    free = placement.suggest_place(scene)
    around = np.random.default_rng(0).uniform(-8.0, 8.0, (40_000, 2)) + free[:2]
    height = np.where(np.linalg.norm(around - free[:2], axis=1) < 1.0, 0.3, 0.0)
    positions = np.concatenate([around, height[:, None]], axis=1).astype(np.float32)
    count = len(positions)
    scene.cloud = PointCloud(
        positions, np.zeros((count, 3), np.uint8), np.ones(count, np.float32), np.zeros(count, np.uint16)
    )
    assert np.linalg.norm(placement.suggest_place(scene) - free) > 1.0
