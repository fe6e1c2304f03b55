"""Few frames of people, and back to all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from josh_blender.engine.solver import so3
from josh_blender.engine.solver.coarse import coarse_frames, on_all_frames
from josh_blender.engine.solver.state import Body


@pytest.mark.parametrize(("rate", "step"), [(30.0, 5), (24.0, 4), (60.0, 10), (5.0, 1)])
def test_frames_are_a_sixth_of_a_second_apart_with_both_ends(rate, step):
    rows = coarse_frames(7.0 + np.arange(33) / rate, 1.0 / 6.0)
    assert rows[0] == 0 and rows[-1] == 32
    assert set(np.diff(rows)[:-1]) == {step}


@pytest.mark.parametrize("count", [1, 2])
def test_somebody_who_is_seen_hardly_at_all_keeps_every_frame(count):
    assert list(coarse_frames(np.arange(count) / 30.0, 1.0 / 6.0)) == list(range(count))


def test_a_gap_is_no_reason_for_more_frames():
    time = np.concatenate([np.arange(5), np.arange(60, 65)]) / 30.0
    assert list(coarse_frames(time, 1.0 / 6.0)) == [0, 5, 9]


def test_a_correction_that_grows_evenly_is_found_on_all_frames():
    """Turns about one axis and shifts that are linear in time come back exactly; the betas are those of the solve."""
    torch.manual_seed(0)
    rate = torch.linspace(0.0, 1.0, 11, dtype=torch.float64)
    start = so3.exp(torch.randn(11, 24, 3, dtype=torch.float64))
    body = Body(start, torch.randn(11, 3, dtype=torch.float64), torch.zeros(10, dtype=torch.float64))
    turn = so3.exp(rate[:, None, None] * torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64).expand(11, 24, 3))
    right = Body(start @ turn, body.trans + rate[:, None] * torch.tensor([0.1, 0.0, -0.4]), body.betas + 1.0)
    rows = np.array([0, 4, 10])
    found = on_all_frames(body, rows, Body(right.rotation[rows], right.trans[rows], right.betas))
    torch.testing.assert_close(found.rotation, right.rotation, rtol=0, atol=1e-9)
    torch.testing.assert_close(found.trans, right.trans, rtol=0, atol=1e-9)
    torch.testing.assert_close(found.betas, right.betas)
