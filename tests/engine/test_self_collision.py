"""Limbs that would pass through the body: closed forms of the overlap, its derivatives, and arms that come out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from josh_blender.engine.solver import so3
from josh_blender.engine.solver.body_points import pose
from josh_blender.engine.solver.self_collision import Volume, body_volume, collision_rows, overlap, overlap_of
from josh_blender.scene4d.body import BodyModel, load_default_body
from josh_blender.scene4d.conventions import JOINT_COUNT, JOINT_NAMES

BETAS = torch.zeros(10, dtype=torch.float64)


@pytest.fixture(scope="module")
def model() -> BodyModel:
    return load_default_body()


@pytest.fixture(scope="module")
def volume(model: BodyModel) -> Volume:
    return body_volume(model, BETAS.numpy())


def turned(**degrees: tuple[float, float, float]) -> Tensor:
    """Rotations (1,24,3,3) of a body that only turns these joints."""
    angle = torch.zeros(1, JOINT_COUNT, 3, dtype=torch.float64)
    for name, value in degrees.items():
        angle[0, JOINT_NAMES.index(name)] = torch.tensor(value, dtype=torch.float64).deg2rad()
    return so3.exp(angle)


HANGING = turned(left_shoulder=(0.0, 0.0, -75.0), right_shoulder=(0.0, 0.0, 75.0))
INSIDE = turned(left_shoulder=(0.0, 0.0, -97.0), right_shoulder=(0.0, 0.0, 75.0))
NOWHERE = torch.zeros(1, 3, dtype=torch.float64)


def test_overlap_of_a_ball_and_a_capsule_is_radii_less_distance(volume: Volume) -> None:
    one = replace(
        volume, ball=torch.tensor([0]), start=torch.tensor([1]), end=torch.tensor([2]), reach=torch.tensor([0.3])
    )
    ends = [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    beside, beyond, outside = [0.1, 0.5, 0.0], [0.0, 1.2, 0.0], [0.3, 0.5, 0.1]
    points = torch.tensor([[ball, *ends] for ball in (beside, beyond, outside)])
    assert torch.allclose(overlap(one, points)[:, 0], torch.tensor([0.2, 0.1, 0.0]))


def test_usual_poses_do_not_collide(volume: Volume) -> None:
    for rotation in (turned(), HANGING, turned(left_hip=(-30.0, 0.0, -5.0), right_hip=(25.0, 0.0, 5.0))):
        assert float(overlap_of(volume, rotation, NOWHERE, BETAS).max()) == 0.0


def test_radii_grow_with_the_body(model: BodyModel, volume: Volume) -> None:
    betas = np.zeros(10)
    betas[0] = 2.0
    ratio = np.ptp(model.rest_vertices(betas)[:, 1]) / np.ptp(model.rest_vertices(np.zeros(10))[:, 1])
    other = body_volume(model, betas)
    assert abs(ratio - 1.0) > 0.02
    assert (float(other.reach.mean() / volume.reach.mean()) - 1.0) * (ratio - 1.0) > 0.0


def test_derivatives_agree_with_differences(volume: Volume) -> None:
    rotation, sigma = INSIDE, 0.02
    rows = collision_rows(volume, rotation, NOWHERE, BETAS, sigma, 0)
    assert len(rows.residual) >= 2
    frame, by_body = rows.body[0]
    torch.manual_seed(1)
    turn, shift, shape = torch.randn(1, 24, 3), torch.randn(1, 3), torch.randn(10)
    expected = (by_body[:, 0, 0] @ torch.cat([shift.flatten(), turn.flatten()]).double()) + (
        rows.border[:, 0, 0] @ shape.double()  # type: ignore[index]
    )
    values = []
    for step in (1e-6, -1e-6):
        deep = overlap_of(
            volume, rotation @ so3.exp(step * turn.double()), NOWHERE + step * shift.double(), BETAS + step * shape
        )
        values.append(deep[deep > 0.0] / sigma)
    assert torch.allclose((values[0] - values[1]) / 2e-6, expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(frame, torch.zeros(len(frame), dtype=frame.dtype))


def test_an_arm_inside_the_body_comes_out_on_its_own_side(volume: Volume) -> None:
    """Gauss-Newton on the overlap and a weak pull to the start, as in both solves."""
    rotation = INSIDE
    before = float(overlap_of(volume, rotation, NOWHERE, BETAS).max())
    for _ in range(10):
        rows = collision_rows(volume, rotation, NOWHERE, BETAS, 0.02, 0)
        jacobian = rows.body[0][1][:, 0, 0, 3:]
        normal = jacobian.T @ jacobian + torch.eye(72, dtype=torch.float64)
        rotation = rotation @ so3.exp(
            -torch.linalg.solve(normal, jacobian.T @ rows.residual[:, 0, 0]).reshape(1, 24, 3)
        )
    assert before > 0.03
    assert float(overlap_of(volume, rotation, NOWHERE, BETAS).max()) < 0.005
    wrist = JOINT_NAMES.index("left_wrist")
    outwards = pose(volume.points, rotation, NOWHERE, BETAS).joints - pose(volume.points, INSIDE, NOWHERE, BETAS).joints
    assert outwards[0, wrist, 0] > 0.02


def test_nothing_collides_gives_no_rows(volume: Volume) -> None:
    rows = collision_rows(volume, HANGING, NOWHERE, BETAS, 0.02, 0)
    assert len(rows.residual) == 0
