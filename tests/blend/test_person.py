"""Armature, mesh and motion of people against SMPL's own forward kinematics and skinning."""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from blender_helpers import angle_between, blender_frame, bone_matrices, evaluated_vertices, part  # noqa: E402
from synthetic_scene import synthetic_body, synthetic_scene  # noqa: E402

from josh_blender.blend.fit_skeleton import fit_skeleton  # noqa: E402
from josh_blender.blend.importer import import_scene  # noqa: E402
from josh_blender.blend.motion import headings  # noqa: E402
from josh_blender.scene4d.body import forward_kinematics, load_default_body  # noqa: E402
from josh_blender.scene4d.conventions import JOINT_NAMES, JOINT_PARENTS  # noqa: E402
from josh_blender.scene4d.errors import UserError  # noqa: E402
from josh_blender.scene4d.rotations import matrix_from_axis_angle  # noqa: E402

C = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


def curves_of(item):
    data = item.animation_data
    bag = data.action.layers[0].strips[0].channelbag(data.action_slot)
    return {(curve.data_path, curve.array_index): curve for curve in bag.fcurves}


def rest_matrices(armature):
    return np.array([np.array(armature.data.bones[name].matrix_local) for name in JOINT_NAMES])


def smpl_rotations(person, row):
    joints = person.body.joints(person.betas)
    local = matrix_from_axis_angle(person.poses[row].reshape(24, 3))
    return forward_kinematics(local, joints, person.body.parents)


def tumble(person):
    """Give a person a pose that is thrown over: large rotations everywhere, lying and upside down."""
    rng = np.random.default_rng(5)
    person.poses = rng.normal(scale=1.2, size=person.poses.shape).astype(np.float32)
    person.trans = rng.normal(scale=2.0, size=person.trans.shape).astype(np.float32)


@pytest.mark.parametrize("body", ["synthetic", "cc0"])
@pytest.mark.parametrize("motion", ["walk", "tumble"])
def test_pose_is_smpl(empty_file, body, motion):
    model = synthetic_body() if body == "synthetic" else load_default_body()
    scene4d = synthetic_scene(frame_count=20, points=0, body=model)
    if motion == "tumble":
        for person in scene4d.people:
            tumble(person)
    import_scene(empty_file, scene4d)
    for person in scene4d.people:
        armature = part("armature", person.id)
        bind = rest_matrices(armature)[:, :3, :3]
        for row in (0, len(person.frame) // 2, len(person.frame) - 1):
            empty_file.scene.frame_set(blender_frame(scene4d, person, row))
            posed = bone_matrices(armature)
            rotation, _ = smpl_rotations(person, row)
            vertices, joints = model.skin(person.betas, person.poses[row], person.trans[row])
            assert angle_between(posed[:, :3, :3], rotation @ C.T @ bind).max() < 0.01
            assert np.abs(posed[:, :3, 3] - joints).max() < 1e-4
            assert np.abs(evaluated_vertices(part("body", person.id)) - vertices).max() < 5e-4


def test_rest_is_an_upright_t_pose_of_own_proportions(empty_file):
    scene4d = synthetic_scene(frame_count=3, points=0)
    import_scene(empty_file, scene4d)
    heights = []
    for person in scene4d.people:
        armature = part("armature", person.id)
        bones = armature.data.bones
        head = {name: np.array(bones[name].head_local) for name in JOINT_NAMES}
        tail = {name: np.array(bones[name].tail_local) for name in JOINT_NAMES}
        joints = person.body.joints(person.betas)
        heads = np.array([head[name] for name in JOINT_NAMES])
        parents = list(JOINT_PARENTS[1:])
        lengths = np.linalg.norm(joints[1:] - joints[parents], axis=1)
        assert np.allclose(np.linalg.norm(heads[1:] - heads[parents], axis=1), lengths, atol=1e-5)
        assert np.allclose(head["pelvis"][:2], 0.0, atol=1e-6)
        assert head["head"][2] > head["pelvis"][2] > head["left_knee"][2] > 0.0
        assert head["left_wrist"][0] > 0.4 and head["right_wrist"][0] < -0.4
        assert head["left_foot"][1] < head["left_ankle"][1], "the toes point to -Y"
        for name, child in (
            ("pelvis", "spine1"), ("left_hip", "left_knee"), ("spine3", "neck"), ("neck", "head"),
            ("right_shoulder", "right_elbow"), ("left_ankle", "left_foot"), ("left_wrist", "left_hand"),
        ):  # fmt: skip
            assert np.allclose(tail[name], head[child], atol=1e-5), f"{name} points to {child}"
        basis = part("body", person.id).data.shape_keys.key_blocks[0]
        vertices = np.array([point.co for point in basis.data])
        assert abs(vertices[:, 2].min()) < 1e-5
        assert np.ptp(vertices[:, 2]) == pytest.approx(person.height, abs=1e-5)
        heights.append(person.height)
        assert bones["pelvis"].parent == bones["root"]
        assert np.allclose(np.array(bones["root"].matrix_local), np.eye(4), atol=1e-6)
        for side in ("left", "right"):
            assert bones[f"{side}_index1"].parent.name == f"{side}_hand"
    assert abs(heights[0] - heights[1]) > 0.01, "the test needs two different people"


def test_left_and_right_mirror_each_other(empty_file):
    scene4d = synthetic_scene(people=1, frame_count=2, points=0)
    scene4d.people[0].betas[:] = 0.0
    import_scene(empty_file, scene4d)
    bones = part("armature", 1).data.bones
    mirror = np.diag([-1.0, 1.0, 1.0])
    for name in JOINT_NAMES:
        if name.startswith("left_"):
            left = np.array(bones[name].matrix_local)[:3, :3]
            right = np.array(bones[name.replace("left_", "right_")].matrix_local)[:3, :3]
            assert np.allclose(mirror @ left @ np.diag([-1.0, 1.0, 1.0]), right, atol=1e-4), name


def test_bones_are_organised(empty_file):
    import_scene(empty_file, synthetic_scene(people=1, frame_count=2, points=0))
    armature = part("armature", 1)
    members = {one.name: {bone.name for bone in one.bones} for one in armature.data.collections}
    assert members["Left"] == {name for name in JOINT_NAMES if name.startswith("left_")}
    assert members["Right"] == {name for name in JOINT_NAMES if name.startswith("right_")}
    assert members["Centre"] == {name for name in JOINT_NAMES if "_" not in name}
    assert members["Root"] == {"root"}
    palettes = {kind: {armature.data.bones[name].color.palette for name in names} for kind, names in members.items()}
    assert all(len(one) == 1 for one in palettes.values())
    assert len({one for kind in ("Left", "Right", "Centre") for one in palettes[kind]}) == 3
    assert {bone.rotation_mode for bone in armature.pose.bones} == {"QUATERNION"}


def test_root_stays_on_the_ground_under_the_pelvis_with_the_heading(empty_file):
    scene4d = synthetic_scene(people=1, frame_count=30, points=0)
    import_scene(empty_file, scene4d)
    person, armature = scene4d.people[0], part("armature", 1)
    for row in (0, 13, 29):
        empty_file.scene.frame_set(blender_frame(scene4d, person, row))
        root, pelvis = bone_matrices(armature, ("root", "pelvis"))
        assert np.allclose(root[:3, 3], [*pelvis[:2, 3], 0.0], atol=1e-5)
        assert np.allclose(root[:3, 2], (0.0, 0.0, 1.0), atol=1e-5), "the root only turns about the vertical"
        facing = matrix_from_axis_angle(person.poses[row, :3]) @ (0.0, 0.0, 1.0)
        ahead = -root[:3, 1]
        assert ahead[:2] @ facing[:2] / np.linalg.norm(facing[:2]) > np.cos(np.radians(15.0))


def test_heading_survives_an_upside_down_moment():
    flip = np.linspace(0.0, 2.0 * np.pi, 41)
    vectors = np.stack([flip, np.zeros(41), np.zeros(41)], axis=-1)
    turned = matrix_from_axis_angle([0.0, 0.0, 0.5]) @ matrix_from_axis_angle(vectors)
    angles = headings(turned)
    assert np.all(np.isfinite(angles))
    assert np.abs(np.diff(angles)).max() < 0.5


def test_curves_are_linear_continuous_and_only_where_something_moves(empty_file):
    scene4d = synthetic_scene(people=1, frame_count=40, points=0)
    person = scene4d.people[0]
    person.poses[:, 3 * JOINT_NAMES.index("head") : 3 * JOINT_NAMES.index("head") + 3] = (0.1, 0.2, 0.3)
    # A turn through 180 degrees, where w, x, y, z of a fixed sign would jump.
    person.poses[:, 3 * JOINT_NAMES.index("left_knee")] = np.linspace(2.0, 4.5, 40)
    import_scene(empty_file, scene4d)
    curves = curves_of(part("armature", 1))
    for joint in JOINT_NAMES:
        path = f'pose.bones["{joint}"].rotation_quaternion'
        keys = [[point.co[:] for point in curves[path, index].keyframe_points] for index in range(4)]
        assert {point.interpolation for index in range(4) for point in curves[path, index].keyframe_points} == {
            "LINEAR"
        }
        assert all(len(one) == (1 if joint == "head" else 40) for one in keys), joint
        if joint != "head":
            values = np.array(keys)[:, :, 1].T
            assert np.abs(np.diff(values, axis=0)).max() < 0.3, joint
            assert np.allclose(np.linalg.norm(values, axis=1), 1.0, atol=1e-5)
            assert np.array_equal(np.array(keys)[0, :, 0], np.arange(1, 41))
    assert len(curves['pose.bones["root"].location', 2].keyframe_points) == 1
    assert {curve.group.name for curve in curves.values()} == {"root", *JOINT_NAMES}


def test_mesh_is_ready_to_export(empty_file):
    scene4d = synthetic_scene(people=2, frame_count=2, points=0)
    import_scene(empty_file, scene4d)
    for person in scene4d.people:
        item = part("body", person.id)
        assert [modifier.type for modifier in item.modifiers] == ["ARMATURE"]
        assert item.modifiers[0].object is item.parent is part("armature", person.id)
        assert {group.name for group in item.vertex_groups} == {*JOINT_NAMES, *person.body.finger_names}
        weights = np.zeros((len(item.data.vertices), len(item.vertex_groups)))
        for vertex in item.data.vertices:
            for element in vertex.groups:
                weights[vertex.index, element.group] = element.weight
        assert np.allclose(weights.sum(axis=1), 1.0, atol=1e-4)
        index = item.vertex_groups["left_index1"].index
        assert np.allclose(weights[:, index], person.body.finger_weights[:, 0], atol=1e-5)
        assert all(polygon.use_smooth for polygon in item.data.polygons)
        assert len(item.data.materials) == 1
    first, second = (part("body", number) for number in (1, 2))
    assert first.data.materials[0] is not second.data.materials[0]
    assert first.data is not second.data


def test_beta_keys_are_offsets_on_the_persons_shape(empty_file):
    scene4d = synthetic_scene(people=1, frame_count=2, points=0)
    import_scene(empty_file, scene4d)
    person, keys = scene4d.people[0], part("body", 1).data.shape_keys.key_blocks
    assert [key.name for key in keys] == ["Basis", *(f"beta{index}" for index in range(10))]
    basis = np.array([point.co for point in keys[0].data])
    for index in range(10):
        assert keys[f"beta{index}"].value == 0.0
        offset = np.array([point.co for point in keys[f"beta{index}"].data]) - basis
        expected = person.body.shapedirs[:, :, index] @ C.T
        # The same up to one translation: the person grows from the ground up.
        residual = offset - expected
        assert np.abs(residual - residual.mean(axis=0)).max() < 1e-5
    assert np.abs(basis[:, 2].min()) < 1e-5


def test_fit_skeleton_follows_the_shape(empty_file):
    scene4d = synthetic_scene(people=1, frame_count=10, points=0)
    import_scene(empty_file, scene4d)
    person, item = scene4d.people[0], part("body", 1)
    before = {bone.name: (bone.matrix_local.copy(), bone.length) for bone in item.parent.data.bones}
    change = np.zeros(10)
    change[:3] = (1.5, -0.8, 2.0)
    for index in range(3):
        item.data.shape_keys.key_blocks[f"beta{index}"].value = change[index]
    fit_skeleton(empty_file, item)
    fit_skeleton(empty_file, item.parent)
    bones = item.parent.data.bones
    for name, (matrix, _) in before.items():
        assert np.allclose(np.array(bones[name].matrix_local)[:3, :3], np.array(matrix)[:3, :3], atol=1e-4), name
    assert bones["left_hip"].length > 1.03 * before["left_hip"][1]
    betas = person.betas + change
    for row in (0, 7):
        empty_file.scene.frame_set(blender_frame(scene4d, person, row))
        vertices = evaluated_vertices(item)
        expected, joints = person.body.skin(betas, person.poses[row], np.zeros(3))
        placed = expected - joints[0] + bone_matrices(item.parent)[0, :3, 3]
        assert np.abs(vertices - placed).max() < 5e-4
        assert abs(vertices[:, 2].min()) < 0.03, "the soles stay on the ground"


def test_fit_skeleton_refuses_what_is_no_person(empty_file):
    with pytest.raises(UserError, match="not an imported person"):
        fit_skeleton(empty_file, bpy.data.objects.new("thing", None))
