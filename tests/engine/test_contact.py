"""Contact labels of walks whose standing feet are known, at every frame rate, and the chain behind them."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from synthetic_walk import Errors, Walk, make_walk

from josh_blender.engine.contact.chain import smooth
from josh_blender.engine.contact.labels import foot_contact, seat_contact
from josh_blender.engine.contact.motion import velocities
from josh_blender.engine.contact.settings import LabelSettings
from josh_blender.engine.results import BodiesResult
from josh_blender.engine.stages.contact import ContactSettings, run_contact
from josh_blender.scene4d.body import load_default_body
from josh_blender.scene4d.conventions import CONTACT_REGIONS
from josh_blender.scene4d.errors import UserError

FEET = [CONTACT_REGIONS.index(name) for name in ("left_heel", "left_ball", "right_heel", "right_ball")]


def label(walk: Walk) -> np.ndarray:
    result = run_contact(
        walk.frames, walk.people, walk.scene, walk.bodies, ContactSettings(), Path(), lambda done, total: None
    )
    return result.people[0].contact


def f1(predicted: np.ndarray, truth: np.ndarray) -> float:
    hits = (predicted & truth).sum()
    return 2.0 * hits / max(predicted.sum() + truth.sum(), 1)


@pytest.mark.parametrize("fps", [24.0, 30.0, 60.0])
@pytest.mark.parametrize("ground", [True, False])
def test_standing_feet_are_found_at_every_rate(fps: float, ground: bool) -> None:
    walk = make_walk(seconds=2.5, fps=fps)
    if not ground:
        walk.scene.ground = np.zeros(0)
    contact = label(walk)[:, FEET]
    assert f1(contact > 0.5, walk.standing[0]) > 0.9


def test_rates_agree_on_the_same_moments() -> None:
    slow, fast = label(make_walk(seconds=2.5, fps=30.0)), label(make_walk(seconds=2.5, fps=60.0))
    assert ((slow > 0.5) == (fast[::2] > 0.5))[:, FEET].mean() > 0.95


def test_noise_of_the_fit_is_survived() -> None:
    walk = make_walk(seconds=2.5, errors=Errors(depth=0.002, pose_degrees=1.0, depth_bias=0.03))
    assert f1(label(walk)[:, FEET] > 0.5, walk.standing[0]) > 0.8


def test_somebody_who_stands_still_touches_with_both_feet_and_nothing_else() -> None:
    walk = make_walk(seconds=1.0, moving=False)
    person = walk.bodies.people[0]
    person.poses[:], person.trans[:] = person.poses[0], person.trans[0]
    contact = label(walk)
    assert contact[:, FEET].min() > 0.8
    others = [column for column in range(len(CONTACT_REGIONS)) if column not in FEET]
    assert contact[:, others].max() < 0.1


def test_a_jump_has_no_contact_in_the_air() -> None:
    walk = make_walk(seconds=1.5, moving=False)
    person, time = walk.bodies.people[0], walk.frames.time
    air = np.clip((time - 0.5) * (1.0 - time) / 0.0625, 0.0, 1.0)
    up = -walk.scene.world_from_camera[0, :3, :3].T @ -walk.scene.ground[:3]
    person.poses[:], person.trans[:] = person.poses[0], person.trans[0] + 0.30 * air[:, None] * up
    contact = label(walk)[:, FEET]
    inside, outside = (time > 0.58) & (time < 0.92), (time < 0.42) | (time > 1.08)
    assert contact[inside].max() < 0.5
    assert contact[outside].min() > 0.5


def test_without_evidence_nothing_is_claimed() -> None:
    walk = make_walk(seconds=1.0)
    walk.bodies.people[0].confidence[:] = 0.0
    contact = label(walk)[:, FEET]
    assert contact.max() < 0.7
    assert contact.min() > 0.3


def test_one_frame_and_nobody() -> None:
    walk = make_walk(seconds=1.0)
    person = walk.bodies.people[0]
    for name in ("index", "poses", "trans", "confidence", "landmark_error"):
        setattr(person, name, getattr(person, name)[:1])
    assert label(walk).shape == (1, len(CONTACT_REGIONS))
    walk.bodies.people.clear()
    assert (
        run_contact(
            walk.frames, walk.people, walk.scene, walk.bodies, ContactSettings(), Path(), lambda done, total: None
        ).people
        == []
    )


def test_another_body_is_refused() -> None:
    walk = make_walk(seconds=0.2)
    walk.bodies = BodiesResult("smpl-neutral-0", walk.bodies.people)
    with pytest.raises(UserError) as caught:
        label(walk)
    assert caught.value.kind == "other_body"


def test_sitting_for_long_is_a_seat_contact_and_walking_is_none() -> None:
    model, time = load_default_body(), np.arange(90) / 30.0
    poses = np.zeros((24, 3))
    poses[1, 0] = poses[2, 0] = -np.radians(85.0)
    _, sitting = model.skin(np.zeros(10), np.tile(poses.reshape(72), (90, 1)), np.zeros((90, 3)))
    _, standing = model.skin(np.zeros(10), np.zeros((90, 72)), np.zeros((90, 3)))
    up, sure = np.array([0.0, 1.0, 0.0]), np.ones(90)
    assert seat_contact(sitting, np.zeros(90), up, sure, time, LabelSettings())[20:70].min() > 0.8
    assert seat_contact(standing, np.zeros(90), up, sure, time, LabelSettings()).max() < 0.1
    # Somebody who crouches while moving does not sit.
    assert seat_contact(sitting, np.full(90, 0.6), up, sure, time, LabelSettings()).max() < 0.2


def test_the_chain_is_the_exact_posterior() -> None:
    """Against the sum over all paths of a short chain."""
    rng = np.random.default_rng(4)
    odds, time = rng.normal(0.0, 2.0, (6, 1)), np.cumsum(rng.uniform(0.02, 0.2, 6))
    touch, leave = 2.0, 3.0
    start = np.array([leave, touch]) / (touch + leave)
    total, touching = 0.0, np.zeros(6)
    for path in product((0, 1), repeat=6):
        weight = start[path[0]]
        for t in range(1, 6):
            keep = np.exp(-(touch + leave) * (time[t] - time[t - 1]))
            weight *= keep * (path[t] == path[t - 1]) + (1.0 - keep) * start[path[t]]
        weight *= np.exp((odds[:, 0] * path).sum())
        total += weight
        touching += weight * np.array(path)
    assert_allclose(smooth(odds, time, touch, leave)[:, 0], touching / total, atol=1e-12)


def test_chains_that_carry_together_are_the_exact_posterior() -> None:
    """Two chains of four frames, one of which touches more likely than not, against the sum over all paths."""
    rng = np.random.default_rng(7)
    odds, carried, time = rng.normal(0.0, 2.0, (4, 2)), rng.uniform(0.5, 3.0, 4), np.cumsum(rng.uniform(0.02, 0.2, 4))
    touch, leave = 2.0, 3.0
    start = np.array([leave, touch]) / (touch + leave)
    total, touching = 0.0, np.zeros((4, 2))
    for flat in product((0, 1), repeat=8):
        path = np.array(flat).reshape(4, 2)
        weight = np.prod(start[path[0]])
        for t in range(1, 4):
            keep = np.exp(-(touch + leave) * (time[t] - time[t - 1]))
            weight *= np.prod(keep * (path[t] == path[t - 1]) + (1.0 - keep) * start[path[t]])
        weight *= np.exp((odds * path).sum() + (carried * path.any(1)).sum())
        total += weight
        touching += weight * path
    assert_allclose(smooth(odds, time, touch, leave, carried), touching / total, atol=1e-12)


def test_a_foot_whose_landmarks_slip_still_stands_while_the_other_swings() -> None:
    time = np.arange(40) / 30.0
    speed = np.full((40, 4), 3.0)
    speed[:, :2] = 0.1
    # For five frames the standing foot seems to move, if far slower than the other.
    speed[18:23, :2] = 0.7
    contact = foot_contact(speed, np.zeros((40, 4)), np.ones(40), time, LabelSettings())
    assert contact[:, :2].min() > 0.5
    assert contact[:, 2:].max() < 0.1


def test_velocities_of_a_straight_line_are_exact_on_uneven_times() -> None:
    time = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.05, 20))
    positions = np.array([0.3, -1.0, 2.0]) * time[:, None, None] + 5.0
    assert_allclose(velocities(positions, time), np.broadcast_to([0.3, -1.0, 2.0], (20, 1, 3)), atol=1e-9)
