"""Remove takes out what is ours and nothing of the artist's."""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from blender_helpers import make_plate, part  # noqa: E402
from synthetic_scene import synthetic_scene  # noqa: E402

from josh_blender.blend.importer import import_scene  # noqa: E402
from josh_blender.blend.remove import guests, remove_scene  # noqa: E402

KINDS = (
    "objects", "meshes", "armatures", "cameras", "actions", "materials", "node_groups", "collections", "movieclips",
    "shape_keys",
)  # fmt: skip


def counts():
    return {kind: len(getattr(bpy.data, kind)) for kind in KINDS}


def test_the_file_is_as_before(empty_file, tmp_path):
    before = counts()
    scene4d = synthetic_scene(frame_count=4, first_frame=0, points=20, zoom=True, width=96, height=54)
    scene4d.source.kind, scene4d.source.absolute_path = "images", str(make_plate(tmp_path, 96, 54, count=4))
    report = import_scene(empty_file, scene4d)
    assert counts()["movieclips"] == 1
    assert remove_scene(report.root) == []
    for image in list(bpy.data.images):
        bpy.data.images.remove(image)
    assert counts() == before


def test_another_scene_stays_whole(empty_file):
    keep = import_scene(empty_file, synthetic_scene(name="Keep", frame_count=4, points=20))
    before = counts()
    go = import_scene(empty_file, synthetic_scene(name="Go", frame_count=4, points=20, seed=5))
    remove_scene(go.root)
    assert counts() == before
    assert len(keep.root.children_recursive) == 6


def test_what_hangs_on_it_stays_where_it_is(empty_file):
    report = import_scene(empty_file, synthetic_scene(frame_count=4, points=20))
    scene = empty_file.scene
    scene.frame_set(3)
    hat = bpy.data.objects.new("hat", None)
    scene.collection.children["Synthetic"].objects.link(hat)
    hat.parent, hat.parent_type, hat.parent_bone = part("armature", 1), "BONE", "head"
    feather = bpy.data.objects.new("feather", None)
    scene.collection.objects.link(feather)
    feather.parent = hat
    twin = part("armature", 2).copy()
    twin.name = "Person 2 twin of mine"
    scene.collection.objects.link(twin)
    empty_file.view_layer.update()
    places = {item.name: np.array(item.matrix_world) for item in (hat, feather, twin)}
    assert {item.name for item in guests(report.root)} == {"hat", twin.name}
    assert sorted(remove_scene(report.root)) == sorted(["hat", twin.name])
    empty_file.view_layer.update()
    assert {item.name for item in bpy.data.objects} == set(places)
    for name in ("hat", "feather"):
        assert np.allclose(np.array(bpy.data.objects[name].matrix_world), places[name], atol=1e-5)
    assert feather.parent is hat
    # The collection holds something of the artist's: it is theirs now.
    assert [one.name for one in bpy.data.collections] == ["Synthetic"]
    assert "josh4d_kind" not in bpy.data.collections["Synthetic"]


def test_keys_and_materials_of_the_artists_stay(empty_file):
    report = import_scene(empty_file, synthetic_scene(frame_count=4, points=20))
    armature = part("armature", 1)
    edited = armature.animation_data.action
    edited.layers[0].strips[0].channelbags[0].fcurves[0].keyframe_points[0].co.y += 1.0
    own = bpy.data.actions.new("own")
    part("armature", 2).animation_data.action = own
    material = bpy.data.materials.new("mine")
    part("body", 1).data.materials[0] = material
    remove_scene(report.root)
    assert set(bpy.data.actions) >= {edited, own}
    assert edited.use_fake_user and own.use_fake_user
    assert material.use_fake_user
    assert [one for one in bpy.data.materials if one.users] == [material]
