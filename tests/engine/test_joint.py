"""The joint stage on walks whose truth is exact."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_walks import fault, random_walk
from synthetic_walk import FOCAL, Errors, Walk, make_walk

from josh_blender.engine.results import JointResult
from josh_blender.engine.solver.bundle import with_measured_noise
from josh_blender.engine.solver.depth_alignment import aligned, depth_factors
from josh_blender.engine.solver.region_points import FOOT_REGIONS, region_mix
from josh_blender.engine.solver.settings import SolverSettings
from josh_blender.engine.solver.surfaces import read_depth_clouds
from josh_blender.engine.solver.touches import Place, foot_touches
from josh_blender.engine.stages.joint import (
    JointSettings,
    make_figures,
    run_joint,
    up_direction,
)
from josh_blender.engine.stages.joint_scale import where_most_stand
from josh_blender.scene4d.body import load_default_body
from josh_blender.scene4d.camera import invert_rigid, transform
from josh_blender.scene4d.conventions import CONTACT_REGIONS
from josh_blender.scene4d.rotations import axis_angle_from_matrix

ERRORS = Errors(
    landmark_px=2.0, depth=0.02, depth_bias=0.04, side_m=0.02, pose_degrees=5.0, match_px=0.7, contact_flips=0.05
)


def solve(walk: Walk, scene_folder: Path = Path("nowhere")) -> JointResult:
    return run_joint(
        walk.frames, walk.people, walk.scene, scene_folder, walk.bodies, walk.contact, JointSettings(), Path("nowhere"),
        lambda done, total: None,
    )  # fmt: skip


def joints_and_slide(walk: Walk, result: JointResult, number: int = 0) -> tuple[float, float]:
    """Mean joint error (mm) in the axes of the first camera, and mean slide of standing soles (mm per frame)."""
    model = load_default_body()
    person = result.people[number]
    every = slice(None, None, 3)
    _, joints = model.skin(person.betas, person.poses[every], person.trans[every])
    _, truth = model.skin(walk.betas, walk.poses[number][every], walk.trans[number][every])
    same = walk.camera[0] @ invert_rigid(result.world_from_camera[0])
    error = np.linalg.norm(transform(same, joints) - truth, axis=-1).mean()
    mix = region_mix(model)[[CONTACT_REGIONS.index(name) for name in FOOT_REGIONS]]
    window = slice(0, 20)
    vertices, _ = model.skin(person.betas, person.poses[window], person.trans[window])
    soles = np.einsum("rv,tvi->tri", mix, vertices)
    standing = walk.standing[number][window]
    both = standing[1:] & standing[:-1]
    slide = np.linalg.norm(np.diff(soles, axis=0), axis=-1)[both].mean()
    return 1000.0 * float(error), 1000.0 * float(slide)


def scale_error(walk: Walk, result: JointResult) -> float:
    return float(np.log(result.scale / walk.scale))


def test_perfect_stages_give_the_exact_scale() -> None:
    walk = make_walk(seconds=1.0)
    result = solve(walk)
    assert abs(scale_error(walk, result)) < 0.004
    assert abs(np.log(result.report["closed_form_scale"] / walk.scale)) < 0.002
    assert result.scale_source == "height"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_biased_noisy_stages_give_the_scale_within_one_percent(seed: int) -> None:
    walk = make_walk(errors=Errors(**{**vars(ERRORS), "seed": seed}))
    result = solve(walk)
    assert abs(scale_error(walk, result)) < 0.01
    assert abs(scale_error(walk, result)) < 3.0 * result.scale_sigma
    error, slide = joints_and_slide(walk, result)
    assert error < 80.0
    assert slide < 3.0


@pytest.mark.slow
def test_the_start_unit_does_not_matter() -> None:
    results = [solve(make_walk(seconds=0.7, unit=unit, errors=ERRORS)) for unit in (0.05, 20.0)]
    errors = [np.log(result.scale / unit) for result, unit in zip(results, (0.05, 20.0), strict=True)]
    assert errors[0] == pytest.approx(errors[1], abs=2e-3)


@pytest.mark.slow
def test_an_uncertain_person_never_votes_but_is_placed() -> None:
    alone = solve(make_walk(seconds=0.7, errors=ERRORS, people=1))
    walk = make_walk(seconds=0.7, errors=ERRORS, people=2)
    walk.people.tracks[1].reliable = False
    walk.people.tracks[1].reason = "overlapped"
    walk.bodies.people[1].trans[:, 2] *= 1.5
    result = solve(walk)
    assert abs(result.scale / alone.scale - 1.0) < 0.01
    assert [person.reliable for person in result.people] == [True, False]
    assert result.people[1].reason == "overlapped"
    assert np.isfinite(result.people[1].trans).all()


@pytest.mark.slow
def test_two_people_share_one_world() -> None:
    walk = make_walk(seconds=0.7, errors=ERRORS, people=2)
    result = solve(walk)
    assert abs(scale_error(walk, result)) < 0.015
    for number in range(2):
        assert joints_and_slide(walk, result, number)[0] < 120.0


def test_a_static_camera_has_its_scale_from_feet_on_the_ground() -> None:
    walk = make_walk(seconds=0.7, errors=ERRORS, moving=False)
    result = solve(walk)
    assert abs(scale_error(walk, result)) < 0.015
    assert np.allclose(result.world_from_camera[:, :3, :3], walk.scene.world_from_camera[:, :3, :3])


def test_an_uncertain_lens_of_a_camera_that_stands_is_in_the_stated_scale() -> None:
    walk = make_walk(seconds=0.4, errors=ERRORS, moving=False)
    sure = solve(walk).scale_sigma
    walk.scene.focal_sigma = 0.05
    assert sure < 0.04
    assert solve(walk).scale_sigma == pytest.approx(np.hypot(sure, 0.05), rel=1e-6)


def test_without_contacts_the_lower_foot_stands_and_a_warning_says_so() -> None:
    walk = make_walk(seconds=1.0, errors=ERRORS)
    walk.contact.people[0].contact[:] = 0.0
    result = solve(walk)
    assert result.scale_source == "ground"
    assert result.warnings
    assert abs(scale_error(walk, result)) < 0.03
    assert result.scale_sigma >= 0.05


@pytest.mark.slow
def test_without_ground_standing_feet_give_the_scale() -> None:
    walk = make_walk(errors=Errors(landmark_px=1.0, depth=0.005))
    walk.scene.ground = np.zeros(0)
    result = solve(walk)
    assert result.scale_source == "motion"
    assert result.warnings
    assert abs(scale_error(walk, result)) < 0.1
    assert abs(scale_error(walk, result)) < 3.0 * result.scale_sigma


def test_nobody_who_is_ever_supported_leaves_the_scale_unobserved_and_whole() -> None:
    walk = make_walk(seconds=2.0, errors=ERRORS)
    walk.scene.ground = np.zeros(0)
    for person in walk.contact.people:
        person.contact[:] = 0.0
    result = solve(walk)
    assert result.scale_source == "none" and 0.5 < result.scale < 2.0
    assert abs(scale_error(walk, result)) < result.scale_sigma
    assert any("unknown" in warning for warning in result.warnings)


def test_a_given_unit_is_kept() -> None:
    walk = make_walk(seconds=0.5, unit=1.0, errors=ERRORS)
    walk.scene.metric = True
    result = solve(walk)
    assert (result.scale, result.scale_sigma, result.scale_source) == (1.0, 0.0, "camera")
    centres = result.world_from_camera[:, :3, 3]
    assert np.linalg.norm(centres - walk.scene.world_from_camera[:, :3, 3], axis=1).max() < 0.05


def test_nobody_leaves_the_scene_as_it_came() -> None:
    walk = make_walk(seconds=0.5, people=0)
    result = solve(walk)
    assert (result.scale, result.scale_source, result.people) == (1.0, "none", [])
    assert result.warnings
    assert np.allclose(result.world_from_camera, walk.scene.world_from_camera)


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
def test_short_tracks(frames: int) -> None:
    walk = make_walk(seconds=0.4, errors=ERRORS)
    track, fit, contact = walk.people.tracks[0], walk.bodies.people[0], walk.contact.people[0]
    keep = slice(3, 3 + frames)
    for name in ("index", "box", "landmarks", "visibility", "world_landmarks", "detected", "overlap"):
        setattr(track, name, getattr(track, name)[keep])
    for name in ("index", "poses", "trans", "confidence", "landmark_error"):
        setattr(fit, name, getattr(fit, name)[keep])
    contact.contact = contact.contact[keep]
    result = solve(walk)
    assert np.isfinite(result.people[0].trans).all()
    assert abs(scale_error(walk, result)) < 0.1


def test_a_gap_is_bridged() -> None:
    walk = make_walk(seconds=1.0, errors=ERRORS)
    walk.people.tracks[0].detected[10:16] = False
    walk.people.tracks[0].landmarks[10:16] = np.nan
    walk.bodies.people[0].confidence[10:16] = 0.0
    result = solve(walk)
    assert abs(scale_error(walk, result)) < 0.02
    steps = np.linalg.norm(np.diff(result.people[0].trans, axis=0), axis=1)
    assert steps.max() < 0.2


def write_ground_depth(walk: Walk, folder: Path, ground: np.ndarray, factor: float = 1.0, lens: float = 1.0) -> None:
    """Depth maps of a ground plane for every second key frame, alternately ``factor`` times as deep and as shallow;
    ``lens``: their focal length over the true one."""
    (folder / "depth").mkdir()
    walk.scene.depth_index = walk.scene.keyframe[::2]
    intrinsics = walk.scene.intrinsics[0] / 4.0
    rows, columns = np.mgrid[0:135, 0:240] + 0.5
    rays = np.stack([(columns - intrinsics[2]) / intrinsics[0], (rows - intrinsics[3]) / intrinsics[1]], -1)
    rays = np.concatenate([rays, np.ones((135, 240, 1))], -1)
    for number, position in enumerate(walk.scene.depth_index):
        matrix = walk.scene.world_from_camera[position]
        slope = rays @ matrix[:3, :3].T @ ground[:3]
        depth = np.where(slope < -1e-3, -(ground[:3] @ matrix[:3, 3] + ground[3]) / slope, 0.0)
        np.savez(
            folder / "depth" / f"{position:06d}.npz",
            depth=np.where(depth < 60.0, depth * factor ** (-1.0) ** number, 0.0).astype(np.float32),
            confidence=np.ones((135, 240), np.float32),
            intrinsics=intrinsics * [lens, lens, 1.0, 1.0],
        )


def test_a_step_under_the_foot_is_found_in_the_depth_maps(tmp_path: Path) -> None:
    """The person walks 15 cm above the ground plane, on a platform that only the depth maps show."""
    walk = make_walk(seconds=1.0)
    raised = 0.15 / walk.scale
    ground = walk.scene.ground.copy()
    # The plane that stage 3 found lies below the platform.
    walk.scene.ground[3] += raised
    write_ground_depth(walk, tmp_path, ground)
    with_depth = solve(walk, tmp_path)
    without = solve(walk)
    assert abs(scale_error(walk, with_depth)) < 0.02
    # The camera is 1.6 m above the platform: the plane alone errs by 15 cm of it.
    assert abs(scale_error(walk, without)) > 0.04


def test_depth_maps_are_brought_to_the_scene_points_first(tmp_path: Path) -> None:
    """Maps 8 % too deep and too shallow in turn, and no ground plane: the points say what they are worth."""
    walk = make_walk(seconds=1.0)
    write_ground_depth(walk, tmp_path, walk.scene.ground, factor=1.08)
    clouds = read_depth_clouds(walk.frames, walk.scene, tmp_path)
    factors, _ = depth_factors(walk.scene, clouds, 0.01)
    assert np.abs(np.abs(factors) - np.log(1.08)).max() < 0.01
    again, _ = depth_factors(walk.scene, aligned(walk.scene, clouds, 0.01), 0.01)
    assert np.abs(again).max() < 0.01
    walk.scene.ground = np.zeros(0)
    result = solve(walk, tmp_path)
    assert abs(np.log(result.report["closed_form_scale"] / walk.scale)) < 0.01
    assert abs(scale_error(walk, result)) < 0.01


def test_an_uncertain_lens_is_settled_before_the_people(tmp_path: Path) -> None:
    """A lens 5 % too long bends the place. Where the scene stage says that it knows no better, the sightings do."""
    walk = make_walk(seconds=2.0, errors=Errors(match_px=0.3))
    write_ground_depth(walk, tmp_path, walk.scene.ground, factor=1.03, lens=1.05)
    walk.scene.intrinsics[:, :2] *= 1.05
    for fit in walk.bodies.people:
        pelvis = load_default_body().joints(fit.betas)[0, 2]
        fit.trans[:, 2] = 1.05 * (fit.trans[:, 2] + pelvis) - pelvis
    believed = solve(walk, tmp_path)
    walk.scene.focal_sigma = 0.05
    settled = solve(walk, tmp_path)
    assert believed.intrinsics[0, 0] == pytest.approx(1.05 * FOCAL, rel=0.005)
    assert settled.intrinsics[0, 0] == pytest.approx(FOCAL, rel=0.02)
    assert abs(camera_scale_error(walk, settled)) < 0.01
    assert abs(camera_scale_error(walk, believed)) > 2.0 * abs(camera_scale_error(walk, settled))


def camera_scale_error(walk: Walk, result: JointResult) -> float:
    """Logarithm of the path's length over the true one."""
    length = [np.linalg.norm(path[-1, :3, 3] - path[0, :3, 3]) for path in (result.world_from_camera, walk.camera)]
    return float(np.log(length[0] / length[1]))


@pytest.mark.parametrize(("noise_px", "sigma_px"), [(0.1, 0.25), (0.9, 0.48), (4.0, 1.0)])
def test_sightings_count_for_as_exact_as_they_are(noise_px: float, sigma_px: float) -> None:
    # In pixels of an image 512 px long; the walk's is 960.
    scene = make_walk(errors=Errors(match_px=noise_px)).scene
    settings = with_measured_noise(SolverSettings(), scene)
    assert settings.correspondence_px == pytest.approx(sigma_px, rel=0.03)


def test_people_do_not_bend_a_camera_that_exact_sightings_hold() -> None:
    walk = make_walk(errors=replace(ERRORS, match_px=0.15, landmark_px=4.0))
    result = solve(walk)
    found = invert_rigid(result.world_from_camera[0]) @ result.world_from_camera
    truth = invert_rigid(walk.camera[0]) @ walk.camera
    turn = axis_angle_from_matrix(np.swapaxes(found[:, :3, :3], 1, 2) @ truth[:, :3, :3])
    assert np.degrees(np.linalg.norm(turn, axis=-1)).max() < 0.02


def test_first_votes_that_are_far_off_are_mended_and_good_ones_kept(tmp_path: Path) -> None:
    walk = make_walk(seconds=2.0)
    write_ground_depth(walk, tmp_path, walk.scene.ground)
    figures = make_figures(load_default_body(), walk.frames, walk.people, walk.bodies, walk.contact)
    clouds = read_depth_clouds(walk.frames, walk.scene, tmp_path)
    place = Place(up_direction(walk.scene, figures), walk.scene.ground, clouds)
    touches = [foot_touches(figure, figure.body) for figure in figures]
    for start in (-0.4, 0.0, 0.4):
        found = where_most_stand(walk.scene, figures, touches, place, walk.scale * np.exp(start))
        assert found == pytest.approx(walk.scale, rel=0.03 if start else 1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_no_problem_crashes_or_gives_no_numbers(seed: int) -> None:
    """Of every awkward kind; `bench/robustness.py` takes as many as one likes, and longer ones."""
    walk = random_walk(seed, longest=40)
    assert fault(walk, solve(walk)) == ""
