"""The sequences of the benchmark: what they call true must be true. Small versions, so everything is an excerpt."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from bench.sample.camera_path import intrinsics
from bench.sample.footsteps import join, stand, walk
from bench.sample.shots import compose
from bench.sequences import SequenceTruth, names, shot_of, truth_of
from bench.sequences.definitions import SEQUENCES
from bench.sequences.make import fingerprint, make
from josh_blender.scene4d.camera import invert_rigid, project, transform
from josh_blender.scene4d.conventions import CONTACT_REGIONS, JOINT_NAMES
from josh_blender.scene4d.files import read_scene, write_scene

# Facts about the boxes in `definitions`.
SEAT_HEIGHT, WALL_Y = 0.43, 4.0
#: Metres per frame, where it is not a tenth of a millimetre.
SLIDE = {"run_jump": 0.00015}


#: Those whose numbers take long to make are asked in the slow tests.
QUICK = ("bench", "wall", "run_jump", "tripod")
ALL = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names()]


@cache
def truth(name: str) -> SequenceTruth:
    return truth_of(name, small=True)


def vertices(made: SequenceTruth, number: int, chosen: np.ndarray) -> np.ndarray:
    """World of the place (T, N, 3)."""
    motion = made.composition.people[number]
    frames = zip(motion.poses, motion.trans, strict=True)
    return np.stack([made.body.skin(motion.betas, pose, trans)[0][chosen] for pose, trans in frames])


@pytest.mark.parametrize("name", ALL)
def test_contacts_are_still_and_on_a_surface(name):
    made = truth(name)
    body, place = made.body, made.composition.place
    hangs = [JOINT_NAMES.index(f"{side}_{part}") for side in ("left", "right") for part in ("ankle", "foot")]
    feet = body.weights[:, hangs].sum(axis=1) > 0.5
    touching = np.isin(body.region_of_vertex, [CONTACT_REGIONS.index(r) for r in ("left_hand", "right_hand", "seat")])
    chosen = np.flatnonzero(feet | touching)
    for number, motion in enumerate(made.composition.people):
        track = vertices(made, number, chosen)
        soles = track[:, feet[chosen]]
        assert (soles[..., 2] - place.height(soles[..., :2])).min() > -0.0005
        for region in np.flatnonzero(motion.contact.any(axis=0)):
            on = np.flatnonzero(motion.contact[:, region])
            own = track[:, body.region_of_vertex[chosen] == region]
            if region < 4:
                gap = own[..., 2] - place.height(own[..., :2])
                path = track[:, np.flatnonzero(chosen == body.foot_vertices[region])]
            else:
                gap = own[..., 2] - SEAT_HEIGHT if CONTACT_REGIONS[region] == "seat" else WALL_Y - own[..., 1]
                path = own[:, np.abs(gap[on[0]]) < 0.002]
            nearest = np.abs(gap[on]).min(axis=1)
            assert nearest.max() < 0.0005, CONTACT_REGIONS[region]
            assert gap[on].min() > -0.0005, CONTACT_REGIONS[region]
            # Between frames of one stance. The body hangs 0.3 % of a ball on the knee, which moves: most in a run.
            for run in np.split(on, np.flatnonzero(np.diff(on) > 1) + 1):
                assert np.linalg.norm(np.diff(path[run], axis=0), axis=-1).max(initial=0) < SLIDE.get(name, 0.0001)
                assert np.linalg.norm(path[run] - path[run[0]], axis=-1).max() < 0.0004


@pytest.mark.parametrize("name", ALL)
def test_camera_looks_at_somebody(name):
    made = truth(name)
    local = transform(invert_rigid(made.composition.world_from_camera), made.composition.people[0].joints)
    assert local[..., 2].min() > 1.0
    pixels = project(local, made.composition.intrinsics[:, None])
    assert ((pixels > 0) & (pixels < [made.shot.width, made.shot.height])).all()
    assert (np.ptp(pixels[..., 1], axis=1) > 0.15 * made.shot.height).all()


@pytest.mark.parametrize(
    "name", ["bench", *(pytest.param(name, marks=pytest.mark.slow) for name in ("portrait", "zoom", "crossing"))]
)
def test_truth_survives_being_written_and_read(name, tmp_path):
    made = truth(name)
    scene = read_scene(write_scene(made.scene, tmp_path / f"{name}.scene4d"))
    np.testing.assert_array_equal(scene.camera.intrinsics, made.composition.intrinsics)
    np.testing.assert_allclose(np.diff(scene.camera.time), 1 / made.shot.fps)
    assert (scene.source.width, scene.source.height) == (made.shot.width, made.shot.height)
    for person, motion in zip(scene.people, made.composition.people, strict=True):
        np.testing.assert_array_equal(person.contact, motion.contact)
        joints = made.body.skin(person.betas, person.poses[-1], person.trans[-1])[1]
        np.testing.assert_allclose(joints, transform(made.world_from_place, motion.joints[-1]), atol=1e-5)


def test_the_parts_that_the_issue_asks_for():
    contact = {name: truth(name).composition.people[0].contact for name in QUICK}
    assert contact["bench"][:, CONTACT_REGIONS.index("seat")].all()
    assert contact["wall"][:, CONTACT_REGIONS.index("right_hand")].all()
    assert not contact["run_jump"].any(axis=1).all() and contact["run_jump"].any()
    assert len(SEQUENCES["crossing"].shot.people) == 2
    assert SEQUENCES["return"].shot.frames == 900
    portrait = SEQUENCES["portrait"].shot
    assert portrait.height > portrait.width and portrait.fps == 60
    zoom = SEQUENCES["zoom"].shot
    focal = intrinsics(zoom.camera, zoom.width, zoom.height, zoom.frames)[:, 0]
    assert (np.diff(focal) >= 0).all()
    np.testing.assert_allclose(focal[[0, -1]], [0.75 * zoom.width, 1.25 * zoom.width])
    assert np.ptp(truth("tripod").scene.camera.world_from_camera, axis=0).max() == 0


@pytest.mark.slow
def test_the_stairs_go_up():
    assert np.ptp(truth("stairs").composition.people[0].trans[:, 2]) > 0.05


def test_rays_meet_the_ground_where_it_is():
    made = truth("tripod")
    camera = made.scene.camera.world_from_camera[0]
    distance = made.ray_cast(camera[:3, 3], np.array([[0.0, 0.0, -1.0]]))
    assert distance[0] == pytest.approx(camera[2, 3])


@pytest.mark.slow
def test_small_version_is_a_part_of_the_whole():
    whole, part = SEQUENCES["tripod"].shot, shot_of("tripod", True)
    body = truth("tripod").body
    chosen = slice(part.first, part.first + part.frames)
    np.testing.assert_array_equal(
        compose(whole, body).people[0].poses[chosen], truth("tripod").composition.people[0].poses
    )


@pytest.mark.slow
def test_return_walk_ends_where_it_began():
    made = compose(SEQUENCES["return"].shot, truth("tripod").body)
    person, camera = made.people[0].joints[:, 0], made.world_from_camera[:, :3, 3]
    assert np.linalg.norm(np.diff(person, axis=0), axis=-1).sum() > 30
    assert np.linalg.norm(person[-1] - person[0]) < 0.1
    assert np.linalg.norm(camera[-1] - camera[0]) < 0.1


def test_plans_that_do_not_meet_are_refused():
    flat = lambda points: np.zeros(np.shape(points)[:-1])  # noqa: E731
    action = SEQUENCES["straight"].shot.people[0].action
    with pytest.raises(ValueError, match="away from its place"):
        join(walk(action, flat), stand((0.0, 0.0), 0.0, flat))


def test_nothing_is_made_twice(tmp_path):
    shot = replace(shot_of("tripod", True), first=0, frames=2, timeline=2)
    assert make(shot, tmp_path, tmp_path, truth_only=True)
    written = (tmp_path / "tripod_truth.scene4d" / "camera.npz").stat().st_mtime_ns
    assert not make(shot, tmp_path, tmp_path, truth_only=True)
    assert (tmp_path / "tripod_truth.scene4d" / "camera.npz").stat().st_mtime_ns == written
    assert make(replace(shot, seed=2), tmp_path, tmp_path, truth_only=True)
    assert fingerprint(shot, True) != fingerprint(shot, False)
