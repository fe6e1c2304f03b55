"""Skinning: numpy against torch, against smplx where it is installed, closed forms and gradients."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from synthetic_scene import synthetic_body

from josh_blender.engine.body.skinning import TorchBody
from josh_blender.scene4d.body import BodyModel, load_default_body
from josh_blender.scene4d.conventions import JOINT_NAMES
from josh_blender.scene4d.rotations import matrix_from_axis_angle


def _random_state(frames: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.normal(size=10), generator.normal(0, 0.6, (frames, 72)), generator.normal(size=(frames, 3))


def _with_posedirs(model: BodyModel) -> BodyModel:
    posedirs = np.random.default_rng(9).normal(0, 0.01, (len(model.v_template), 3, 207)).astype(np.float32)
    return dataclasses.replace(model, posedirs=posedirs)


@pytest.mark.parametrize("posed_shapes", [False, True])
def test_torch_agrees_with_numpy(posed_shapes: bool) -> None:
    model = _with_posedirs(synthetic_body()) if posed_shapes else load_default_body()
    betas, poses, trans = _random_state(3)
    vertices, joints = model.skin(betas, poses, trans)
    tensors = [torch.as_tensor(array) for array in (betas, poses, trans)]
    body = TorchBody.from_model(model)
    torch_vertices, torch_joints = body.forward(*tensors)
    np.testing.assert_allclose(torch_vertices, vertices, atol=1e-9)
    np.testing.assert_allclose(torch_joints, joints, atol=1e-9)
    chosen = torch.tensor([7, 3, 50])
    np.testing.assert_allclose(body.forward(*tensors, chosen)[0], vertices[:, chosen], atol=1e-9)


@pytest.mark.parametrize("posed_shapes", [False, True])
def test_agrees_with_smplx(posed_shapes: bool) -> None:
    smplx = pytest.importorskip("smplx", reason="smplx (non-commercial licence) is not installed")
    model = load_default_body()
    model = _with_posedirs(model) if posed_shapes else model
    posedirs = model.posedirs if posed_shapes else np.zeros((len(model.v_template), 3, 207), np.float32)
    kintree = model.kintree_table.copy()
    kintree[0, 0] = -1
    data = SimpleNamespace(
        v_template=model.v_template,
        shapedirs=model.shapedirs,
        posedirs=posedirs,
        J_regressor=model.J_regressor,
        weights=model.weights,
        kintree_table=kintree,
        f=model.f,
    )
    betas, poses, trans = _random_state(2)
    theirs = smplx.SMPL("", data_struct=data, batch_size=2, dtype=torch.float64, num_betas=10)
    output = theirs(
        betas=torch.as_tensor(np.tile(betas, (2, 1))),
        global_orient=torch.as_tensor(poses[:, :3]),
        body_pose=torch.as_tensor(poses[:, 3:]),
        transl=torch.as_tensor(trans),
    )
    vertices, joints = model.skin(betas, poses, trans)
    np.testing.assert_allclose(output.vertices.detach(), vertices, atol=2e-6)
    np.testing.assert_allclose(output.joints.detach()[:, :24], joints, atol=2e-6)


def test_zero_pose_is_the_rest_shape() -> None:
    model = load_default_body()
    betas = np.linspace(-1, 1, 10)
    vertices, joints = model.skin(betas, np.zeros(72), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(vertices, model.rest_vertices(betas) + np.array([1, 2, 3]), atol=1e-6)
    np.testing.assert_allclose(joints, model.joints(betas) + np.array([1, 2, 3]), atol=1e-9)


def test_root_rotation_turns_everything_about_the_pelvis() -> None:
    model = load_default_body()
    betas, poses, _ = _random_state(1)
    turn = np.array([0.3, -1.1, 0.4])
    straight = poses[0].copy()
    straight[:3] = 0.0
    turned = straight.copy()
    turned[:3] = turn
    pelvis = model.joints(betas)[0]
    before, _ = model.skin(betas, straight, np.zeros(3))
    after, _ = model.skin(betas, turned, np.zeros(3))
    np.testing.assert_allclose(after, (before - pelvis) @ matrix_from_axis_angle(turn).T + pelvis, atol=1e-6)


def test_gradients_are_those_of_the_function_also_at_zero() -> None:
    body = TorchBody.from_model(_with_posedirs(synthetic_body()))
    chosen = torch.tensor([0, 40, 90])
    for poses in (torch.zeros(72, dtype=torch.float64), torch.as_tensor(_random_state(1)[1][0])):
        arguments = [torch.zeros(10, dtype=torch.float64), poses, torch.zeros(3, dtype=torch.float64)]
        for argument in arguments:
            argument.requires_grad_(True)
        assert torch.autograd.gradcheck(lambda b, p, t: body.forward(b, p, t, chosen)[0], arguments, atol=1e-6)


def test_the_shipped_body_is_a_person() -> None:
    model = load_default_body()
    joints = dict(zip(JOINT_NAMES, model.joints(np.zeros(10)), strict=True))
    assert model.height(np.zeros(10)) == pytest.approx(1.71, abs=0.005)
    assert joints["left_hip"][0] > 0 > joints["right_hip"][0]
    assert joints["left_foot"][2] > joints["left_ankle"][2]
    assert joints["left_shoulder"][1] == pytest.approx(joints["left_wrist"][1], abs=0.01)
    soles = model.v_template[model.foot_vertices]
    np.testing.assert_allclose(soles[:, 1], model.v_template[:, 1].min(), atol=0.006)
    np.testing.assert_allclose(soles[0] * [-1, 1, 1], soles[2], atol=0.003)
    np.testing.assert_allclose(model.weights.sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(model.J_regressor.sum(axis=1), 1.0, atol=1e-5)
    assert model.height(np.eye(10)[0]) > 1.76
