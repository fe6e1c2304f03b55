"""Body files: exact round trips, clear errors for anything else, and a shipped body that is whole and symmetric."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from synthetic_scene import synthetic_body

from josh_blender.scene4d.arrays import read_npz, write_npz
from josh_blender.scene4d.body import BodyModel, load_body, load_default_body, save_body
from josh_blender.scene4d.conventions import CONTACT_REGIONS, JOINT_NAMES
from josh_blender.scene4d.errors import SceneFormatError


@pytest.fixture(scope="module")
def shipped() -> BodyModel:
    return load_default_body()


def _arrays(path: Path) -> dict[str, np.ndarray]:
    save_body(synthetic_body(), path)
    return read_npz(path)


def test_a_body_comes_back_as_it_was(tmp_path: Path) -> None:
    model = synthetic_body()
    save_body(model, tmp_path / "body.npz")
    again = load_body(tmp_path / "body.npz")
    for field in dataclasses.fields(model):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(model, field.name), err_msg=field.name)


def test_a_body_without_pose_shapes_regions_and_fingers_is_a_body(tmp_path: Path) -> None:
    arrays = _arrays(tmp_path / "body.npz")
    optional = ("posedirs", "region_names", "region_of_vertex", "foot_vertices", "body_id")
    kept = {name: array for name, array in arrays.items() if name not in optional and not name.startswith("finger")}
    write_npz(tmp_path / "bare.npz", kept)
    model = load_body(tmp_path / "bare.npz")
    assert model.finger_names is None
    assert model.region_names == CONTACT_REGIONS
    assert (model.region_of_vertex == -1).all()
    vertices, _ = model.skin(np.zeros(10), np.zeros(72), np.zeros(3))
    np.testing.assert_allclose(vertices, model.v_template, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("weights", lambda a: a[:, :23], "wrong shapes"),
        ("shapedirs", lambda a: a[:-1], "wrong shapes"),
        ("posedirs", lambda a: np.zeros((*a.shape[:2], 5), np.float32), "wrong shapes"),
        ("f", lambda a: a[:0], "wrong shapes"),
        ("kintree_table", lambda a: a.astype(np.float64), "wrong shapes"),
        ("v_template", lambda a: np.where(a == a.max(), np.nan, a), "not numbers"),
        ("f", lambda a: a + len(a) * 3, "vertices that do not exist"),
        ("foot_vertices", lambda a: a - 100_000, "vertices that do not exist"),
        ("kintree_table", lambda a: np.roll(a, 1, axis=1), "another way"),
        ("region_of_vertex", lambda a: a + 60, "regions that do not exist"),
        ("finger_parents", lambda a: a + 30, "finger bones"),
        ("finger_weights", lambda a: a[:, :-1], "finger bones"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, name: str, change: object, words: str) -> None:
    arrays = _arrays(tmp_path / "body.npz")
    assert callable(change)
    arrays[name] = change(arrays[name])
    write_npz(tmp_path / "changed.npz", arrays)
    with pytest.raises(SceneFormatError, match=words):
        load_body(tmp_path / "changed.npz")


@pytest.mark.parametrize("name", ["v_template", "shapedirs", "J_regressor", "weights", "kintree_table", "f"])
def test_a_missing_array_is_named(tmp_path: Path, name: str) -> None:
    arrays = _arrays(tmp_path / "body.npz")
    del arrays[name]
    write_npz(tmp_path / "less.npz", arrays)
    with pytest.raises(SceneFormatError, match=f"no {name}"):
        load_body(tmp_path / "less.npz")


def test_a_cut_file_an_absent_file_and_another_file_are_refused(tmp_path: Path) -> None:
    save_body(synthetic_body(), tmp_path / "body.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "body.npz").read_bytes()[:3000])
    (tmp_path / "text.npz").write_text("hello")
    for name in ("cut.npz", "text.npz", "absent.npz"):
        with pytest.raises(SceneFormatError):
            load_body(tmp_path / name)


def test_the_shipped_body_is_closed_to_the_outside_and_symmetric(shipped: BodyModel) -> None:
    corners = shipped.v_template.astype(np.float64)[shipped.f]
    volume = np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6.0
    # Faces turned inside out would make it negative; an adult has 50 to 90 litres.
    assert 0.05 < volume < 0.09
    joints = shipped.joints(np.zeros(10))
    for joint, name in enumerate(JOINT_NAMES):
        if name.startswith("left"):
            mirrored = joints[JOINT_NAMES.index(name.replace("left", "right"))] * [-1, 1, 1]
            np.testing.assert_allclose(joints[joint], mirrored, atol=1e-3, err_msg=name)


def test_regions_of_the_shipped_body_lie_where_their_names_say(shipped: BodyModel) -> None:
    joints = dict(zip(JOINT_NAMES, shipped.joints(np.zeros(10)), strict=True))
    for region, name in enumerate(CONTACT_REGIONS):
        points = shipped.v_template[shipped.region_of_vertex == region]
        assert len(points) >= 20, name
        if name.startswith(("left", "right")):
            assert (points[:, 0] > 0).all() == name.startswith("left"), name
        if name.endswith(("heel", "ball")):
            assert points[:, 1].max() < shipped.v_template[:, 1].min() + 0.02, name
        near = name.replace("heel", "ankle").replace("ball", "foot")
        if near in joints:
            assert np.linalg.norm(points.mean(axis=0) - joints[near], axis=-1) < 0.13, name
    middle = {
        name: shipped.v_template[shipped.region_of_vertex == CONTACT_REGIONS.index(name)].mean(axis=0)
        for name in ("seat", "back", "head")
    }
    assert middle["seat"][2] < joints["pelvis"][2] - 0.05
    assert middle["back"][2] < joints["spine2"][2] - 0.03
    assert middle["seat"][1] < middle["back"][1] < middle["head"][1]


def test_fingers_share_the_weight_of_their_hand(shipped: BodyModel) -> None:
    assert shipped.finger_names is not None
    assert shipped.finger_weights is not None
    assert shipped.finger_regressor is not None
    heads = shipped.finger_regressor @ shipped.v_template
    for side, sign in (("left", 1.0), ("right", -1.0)):
        mine = [i for i, name in enumerate(shipped.finger_names) if name.startswith(side)]
        hand = JOINT_NAMES.index(f"{side}_hand")
        assert len(mine) == 15
        assert (shipped.finger_weights[:, mine].sum(axis=1) <= shipped.weights[:, hand] + 1e-5).all()
        assert (sign * heads[mine, 0] > 0.6).all()


def test_betas_are_standard_normal_and_the_first_is_the_height(shipped: BodyModel) -> None:
    heights = shipped.height(np.eye(10)) - shipped.height(np.zeros(10))
    assert heights[0] == pytest.approx(0.10, abs=0.01)
    assert np.abs(heights[1:]).max() < 0.02
    strength = np.sqrt((shipped.shapedirs**2).sum(axis=(0, 1)))
    assert (np.diff(strength) <= 0).all()


def test_nothing_is_swapped_when_limbs_turn(shipped: BodyModel) -> None:
    """Each joint's rotation moves its own side only, and in the direction of SMPL's axes."""
    for joint, axis, mover, direction in (
        ("left_hip", (-1.0, 0, 0), "left_ankle", (0, 0, 1.0)),
        ("right_hip", (-1.0, 0, 0), "right_ankle", (0, 0, 1.0)),
        ("left_knee", (1.0, 0, 0), "left_ankle", (0, 0, -1.0)),
        ("left_shoulder", (0, 0, -1.0), "left_wrist", (0, -1.0, 0)),
        ("right_shoulder", (0, 0, 1.0), "right_wrist", (0, -1.0, 0)),
        ("left_elbow", (0, -1.0, 0), "left_wrist", (0, 0, 1.0)),
    ):
        poses = np.zeros((24, 3))
        poses[JOINT_NAMES.index(joint)] = axis
        vertices, joints = shipped.skin(np.zeros(10), poses.ravel(), np.zeros(3))
        moved = joints - shipped.joints(np.zeros(10))
        assert moved[JOINT_NAMES.index(mover)] @ direction > 0.1, joint
        side = 1.0 if joint.startswith("left") else -1.0
        other = side * shipped.v_template[:, 0] < -0.12
        # MakeHuman gives four vertices half a per cent of the other leg.
        np.testing.assert_allclose(vertices[other], shipped.v_template[other], atol=4e-3, err_msg=joint)
