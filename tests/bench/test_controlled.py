"""Controlled inputs: the errors put in have the statistics stated, and without errors the inputs are the truth."""

from __future__ import annotations

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest

from bench.controlled import noise, ours, structure
from bench.controlled.cases import STUDIES
from bench.controlled.compare import prepare
from bench.controlled.inputs import Variation, make_inputs
from bench.controlled.length import gap_percent
from bench.controlled.plots import DRAWN, draw
from bench.controlled.studies import Figures, with_people
from bench.controlled.truth import first_frames, moved_body, true_scene, truth_of_shot
from bench.controlled.views import look, sight
from bench.sample.shots import SHOTS, compose
from bench.sequences import shot_of
from josh_blender.engine.evaluation import compare
from josh_blender.engine.similarity import align
from josh_blender.scene4d.camera import invert_rigid, project, transform

TIME = np.arange(4000) / 30.0


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture(scope="module")
def prepared(model):
    shot = replace(SHOTS["static"], camera=SHOTS["sample"].camera, camera_kind="moving", frames=36)
    truth = first_frames(truth_of_shot(shot, compose(shot, model)), 31)
    views = look(truth, model)
    return truth, views, sight(truth, views)


def test_levels_scale_every_number():
    assert noise.at_level(1.0) == noise.Noise()
    assert noise.at_level(2.0).focal == pytest.approx(0.10)
    assert noise.at_level(0.5).contact_flips == pytest.approx(0.05)


def test_autoregressive_noise_has_unit_variance_and_its_correlation_time(rng):
    values = noise.autoregressive(rng, TIME, (50,), 0.5)
    assert values.std() == pytest.approx(1.0, abs=0.03)
    assert np.mean(values[15:] * values[:-15]) == pytest.approx(np.exp(-1.0), abs=0.03)


def test_depth_errors_have_their_sigmas_and_none_at_level_zero(rng):
    assert np.log(noise.depth_factors(rng, 20000, noise.Noise())).std() == pytest.approx(0.03, rel=0.05)
    assert np.log(noise.pixel_factors(rng, (200, 200), noise.Noise())).std() == pytest.approx(0.02, rel=0.05)
    np.testing.assert_array_equal(noise.pixel_factors(rng, (4, 4), noise.at_level(0.0)), 1.0)


def test_one_pair_in_ten_is_wrong_and_the_others_miss_by_seven_tenths(rng):
    pixels = np.full((40000, 2), 128.0)
    seen, wrong = noise.sighting_errors(rng, pixels, 1024, 512, noise.Noise())
    assert (wrong[::2] | wrong[1::2]).mean() == pytest.approx(0.10, abs=0.01)
    assert (seen - pixels)[~wrong].std() == pytest.approx(1.4, rel=0.03)
    assert np.abs(seen[wrong] - pixels[wrong]).max() > 500


def test_joints_are_six_degrees_off(rng):
    turns = noise.joint_turns(rng, TIME, 24, noise.Noise())
    angle = np.degrees(np.arccos(np.clip((np.trace(turns, axis1=-2, axis2=-1) - 1.0) / 2.0, -1.0, 1.0)))
    assert np.sqrt((angle**2).mean()) == pytest.approx(6.0, rel=0.05)


def test_distances_have_a_lasting_and_a_passing_error():
    logs = np.log([noise.distance_factors(np.random.default_rng(k), TIME[:600], noise.Noise()) for k in range(400)])
    assert logs.mean(1).std() == pytest.approx(0.04, rel=0.15)
    assert (logs - logs.mean(1, keepdims=True)).std() == pytest.approx(0.02, rel=0.1)


def test_betas_are_worth_three_percent_of_height_unless_it_is_known(model):
    betas = np.zeros(10)
    rest = np.asarray(model.v_template)[:, 1]
    dirs = np.asarray(model.shapedirs)[np.argmax(rest), 1] - np.asarray(model.shapedirs)[np.argmin(rest), 1]
    height = float(np.ptp(rest))
    errors = [noise.wrong_shape(np.random.default_rng(k), betas, height, dirs, noise.Noise()) for k in range(500)]
    assert (np.array(errors) @ dirs / height).std() == pytest.approx(0.03, rel=0.1)
    known = noise.with_height(errors[0], height, height, dirs)
    assert float(known @ dirs) == pytest.approx(0.0, abs=1e-6)
    assert np.abs(known).max() > 0.0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5])
def test_wrong_labels_come_in_runs_of_three_or_more(rng, share):
    labels = rng.random(2000) < 0.5
    wrong = noise.flipped(rng, labels, share) ^ labels
    assert wrong.mean() == pytest.approx(share, abs=0.02)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wrong, [False]]).astype(int)))
    assert all(end - start >= noise.SHORTEST_RUN for start, end in edges.reshape(-1, 2))


def test_landmarks_are_one_percent_of_height_off(rng):
    assert noise.landmark_errors(rng, TIME, 200, noise.Noise()).std() == pytest.approx(0.01, rel=0.05)


def test_key_frames_are_chained_with_their_turns_alone_where_the_camera_stands(rng):
    """Depths that are wrong do not matter, and a tenth of wrong pairs neither."""
    turn = noise.joint_turns(rng, np.zeros(1), 1, noise.at_level(2.0))[0, 0]
    place = rng.normal(size=(200, 3)) + np.array([0.0, 0.0, 6.0])
    other = place @ turn * rng.uniform(0.5, 2.0, (200, 1))
    other[:20] += rng.normal(size=(20, 3)) * 4.0
    lifted = structure.Lifted(np.repeat([0, 1], 200), np.tile(np.arange(200), 2), np.concatenate([place, other]))
    poses, factors = structure.chained(lifted, [(0, 1)], 2, True)
    np.testing.assert_allclose(poses[1, :3, :3], turn, atol=2e-3)
    np.testing.assert_allclose(poses[1, :3, 3], 0.0, atol=1e-12)
    np.testing.assert_allclose(factors, 1.0)


def test_without_errors_the_inputs_are_the_truth_up_to_a_similarity(prepared, model, tmp_path):
    truth, views, sightings = prepared
    inputs = make_inputs(truth, views, sightings, model, 0.0, 0, tmp_path, Variation(unit=0.8))
    camera = inputs.scene.world_from_camera
    fit = align(camera[:, :3, 3], truth.world_from_camera[:, :3, 3], with_scale=True)
    np.testing.assert_allclose(fit.apply(camera[:, :3, 3]), truth.world_from_camera[:, :3, 3], atol=2e-3)
    assert fit.scale == pytest.approx(0.8, rel=5e-3)
    # The estimated bodies are the true ones in their cameras, the landmarks lie on them, and the labels are true.
    pose, body = inputs.bodies.people[0], truth.people[0]
    pelvis = model.joints(body.betas)[0]
    _, trans = moved_body(
        invert_rigid(truth.world_from_camera[pose.index]), body.poses[pose.index], body.trans[pose.index], pelvis
    )
    np.testing.assert_allclose(pose.trans, trans, atol=1e-9)
    np.testing.assert_array_equal(
        inputs.contact.people[0].contact[:, :4] >= 0.5, body.contact[pose.index][:, :4] >= 0.5
    )
    ankle = transform(
        invert_rigid(truth.world_from_camera[0]), model.skin(body.betas, body.poses[0], body.trans[0])[1]
    )[7]
    seen = inputs.people.tracks[0].landmarks[0, 27]
    assert np.linalg.norm(project(ankle, truth.intrinsics[0]) - seen) < 12.0
    with np.load(tmp_path / "depth" / "000000.npz") as data:
        good = data["depth"] > 0
        np.testing.assert_allclose(data["depth"][good] * 0.8, views[0].place[good], rtol=1e-5)
        assert not good[views[0].on_people].any()


def test_the_same_seed_gives_the_same_inputs_and_another_seed_others(prepared, model, tmp_path):
    truth, views, sightings = prepared
    first, again, other = (make_inputs(truth, views, sightings, model, 1.0, seed, tmp_path) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.bodies.people[0].poses, again.bodies.people[0].poses)
    np.testing.assert_array_equal(first.scene.world_from_camera, again.scene.world_from_camera)
    assert np.abs(first.bodies.people[0].poses - other.bodies.people[0].poses).max() > 0.01


def test_the_truth_evaluates_to_zero(prepared, model):
    scene = true_scene(prepared[0], model)
    figures = compare.evaluate(scene, scene)
    assert figures["camera"]["ate_m"] < 1e-9
    assert figures["people"]["wa_mpjpe_mm"] < 1e-3


def test_the_joint_solve_finds_the_scale_without_errors(prepared, model, tmp_path):
    truth, views, sightings = prepared
    inputs = make_inputs(truth, views, sightings, model, 0.0, 0, tmp_path, Variation(unit=2.0))
    solved = ours.solve(truth, inputs, model)
    assert np.log(solved.joint.scale / 2.0) == pytest.approx(0.0, abs=0.03)
    assert np.isfinite(solved.joint.world_from_camera).all()


@pytest.mark.slow
def test_somebody_who_climbs_stairs_is_not_taken_to_stand_on_the_ground_below(model, tmp_path):
    """Rays through the soles meet other steps and the ground below; they name scales up to 50 % off."""
    stairs = prepare("stairs", model)
    inputs = make_inputs(stairs.truth, stairs.views, stairs.sightings, model, 1.0, 0, tmp_path)
    solved = ours.solve(stairs.truth, inputs, model)
    figures = ours.figures(stairs.truth, stairs.views, inputs, solved.scene, solved.joint.scale, model)
    assert figures["scale"]["error_percent"] < 3.0
    assert figures["camera"]["focal_percent"] < 2.0, "the inputs' lens is 5 % too long"


# --- studies ---------------------------------------------------------------------------------------------------------


def test_more_people_walk_beside_each_other(model):
    shot = with_people(shot_of("straight"), 3)
    truth = truth_of_shot(shot, compose(shot, model))
    assert len(truth.people) == 3
    first, second, third = (body.trans for body in truth.people)
    # Somebody else's lane is 0.9 m further, and whoever comes later is behind.
    assert np.linalg.norm(first - second, axis=1).min() > 0.8
    assert np.linalg.norm(second - third, axis=1).min() > 0.8
    heights = [float(model.height(body.betas)) for body in truth.people]
    assert np.diff(heights) == pytest.approx([-0.06, -0.06], abs=0.005)


def test_cases_of_a_study_have_their_places_and_names():
    for study in STUDIES.values():
        names = [case.name for case in study.cases]
        assert len(set(names)) == len(names)
        assert len(study.at) <= len(study.cases)
    assert all(name in STUDIES and STUDIES[name].at for name, *_ in DRAWN)


def test_plots_show_what_was_measured(tmp_path):
    def figures(level):
        names = [field.name for field in fields(Figures)]
        return [dict.fromkeys(names, level + seed) for seed in (0.0, 1.0)]

    known = {
        name: {case.name: figures(place) for place, case in enumerate(study.cases)} for name, study in STUDIES.items()
    }
    draw(known, tmp_path / "all.png")
    draw({"noise": known["noise"]}, tmp_path / "one.png")
    every, one = (cv2.imread(str(tmp_path / name)) for name in ("all.png", "one.png"))
    assert every.shape[0] == pytest.approx(2 * one.shape[0], rel=0.1)
    assert (every != 255).mean() > (one != 255).mean() > 0.0


def test_the_gap_of_a_path_that_closes_is_nothing():
    angle = np.linspace(0.0, 2.0 * np.pi, 100)
    circle = np.stack([np.cos(angle), np.sin(angle), 0.0 * angle], 1)
    assert gap_percent(circle) == pytest.approx(0.0, abs=1e-9)
    assert gap_percent(circle[:50]) == pytest.approx(100.0 * 2.0 / np.pi, rel=0.02)
