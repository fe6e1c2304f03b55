"""From people's motion to the camera's path: closed forms on a made-up walk."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from synthetic_walk import make_walk

from josh_blender.engine.feedforward.placement import placed
from josh_blender.engine.feedforward.trajectory import BodyPath, Trajectory, body_path, mean_pose, pair_steps, share_of
from josh_blender.scene4d.body import load_default_body
from josh_blender.scene4d.camera import invert_rigid, rigid
from josh_blender.scene4d.rotations import axis_angle_from_matrix, matrix_from_axis_angle

RANDOM = np.random.default_rng(8)


def random_poses(count: int, spread: float = 1.0) -> np.ndarray:
    turns = spread * RANDOM.normal(size=(count, 3))
    return rigid(matrix_from_axis_angle(turns), RANDOM.normal(size=(count, 3)))


def body_motion(paths: dict[int, BodyPath], camera: np.ndarray, first: int, second: int) -> dict[int, np.ndarray]:
    """What a perfect network says: the bodies' motion in their own axes."""
    result = {}
    for person, path in paths.items():
        rows = path.at(first), path.at(second)
        if None not in rows:
            a, b = (
                camera[frame] @ path.camera_from_body[row] for frame, row in zip((first, second), rows, strict=True)
            )
            result[person] = invert_rigid(a) @ b
    return result


def test_perfect_motion_gives_the_cameras_path_to_the_last_digit() -> None:
    """Twenty frames at random, a pair at every frame: nothing is interpolated."""
    camera = random_poses(20)
    paths = {1: BodyPath(np.arange(20), random_poses(20), np.ones(20))}
    trajectory = Trajectory(paths, np.arange(20) / 30.0)
    for frame in range(1, 20):
        trajectory.advance(frame, body_motion(paths, camera, frame - 1, frame))
    expected = invert_rigid(camera[0]) @ camera
    assert np.abs(trajectory.world_from_camera - expected).max() < 1e-9 and trajectory.guessed == 0


def test_a_made_up_walk_comes_back_with_its_people_on_the_ground() -> None:
    """Frames between pairs are interpolated, as published: a walk bends little in a tenth of a second."""
    walk = make_walk(seconds=2.0, people=2)
    model = load_default_body()
    paths = {fit.track_id: body_path(fit, model, True) for fit in walk.bodies.people}
    trajectory = Trajectory(paths, walk.frames.time)
    steps = pair_steps(walk.frames.time, 0.1)
    for first, second in itertools.pairwise(steps):
        trajectory.advance(second, body_motion(paths, walk.camera, first, second))
    expected = invert_rigid(walk.camera[0]) @ walk.camera
    at_pairs = np.abs(trajectory.world_from_camera[steps] - expected[steps]).max()
    between = np.linalg.norm(trajectory.world_from_camera[:, :3, 3] - expected[:, :3, 3], axis=1).max()
    assert at_pairs < 1e-6 and between < 0.02
    person = placed(walk.bodies.people[0], model, trajectory.world_from_camera, True, "")
    truth = walk.trans[0] + model.joints(walk.betas)[0]
    found = person.trans + model.joints(person.betas)[0]
    moved = (truth - walk.camera[0, :3, 3]) @ walk.camera[0, :3, :3]
    assert np.linalg.norm(found[steps] - moved[steps], axis=1).max() < 1e-5


def test_the_camera_does_not_depend_on_where_the_pelvis_lies_in_the_body() -> None:
    """The motion is about the pelvis; the reference takes it about SMPL's origin, and its camera swings."""
    walk = make_walk(seconds=0.5)
    model = load_default_body()
    path = body_path(walk.bodies.people[0], model, True)
    pelvis = path.camera_from_body[0, :3, 3]
    fit = walk.bodies.people[0]
    assert np.allclose(pelvis, fit.trans[0] + model.joints(fit.betas)[0])


def test_two_opinions_are_averaged_and_an_uncertain_person_hardly_counts() -> None:
    camera, paths = random_poses(2, 0.1), {}
    for person, weight in ((1, 1.0), (2, 1.0), (3, 1e-6)):
        paths[person] = BodyPath(np.arange(2), random_poses(2), np.full(2, weight))
    motions = body_motion(paths, camera, 0, 1)
    expected = (invert_rigid(camera[0]) @ camera[1])[:3, 3]
    # Equal and opposite errors in the camera's axes cancel; a wild third does nothing.
    for person, error in ((1, [0.1, 0.0, 0.0]), (2, [-0.1, 0.0, 0.0]), (3, [50.0, 0.0, 0.0])):
        start = paths[person].camera_from_body[0, :3, :3]
        motions[person] = motions[person].copy()
        motions[person][:3, 3] += start.T @ np.array(error)
    trajectory = Trajectory(paths, np.arange(2.0))
    trajectory.advance(1, motions)
    assert np.allclose(trajectory.world_from_camera[1, :3, 3], expected, atol=1e-4)


def test_where_nobody_is_the_points_say_how_the_camera_moved_and_else_it_stays() -> None:
    trajectory = Trajectory({}, np.arange(5.0))
    moved = rigid(matrix_from_axis_angle([0.0, 0.4, 0.0]), np.array([1.0, 0.0, 0.0]))
    trajectory.advance(2, {}, moved)
    assert np.allclose(trajectory.world_from_camera[2], moved)
    assert np.allclose(axis_angle_from_matrix(trajectory.world_from_camera[1, :3, :3]), [0.0, 0.2, 0.0])
    assert trajectory.guessed == 0
    trajectory.advance(4, {})
    assert np.allclose(trajectory.world_from_camera[4], moved) and trajectory.guessed == 2


def test_a_person_who_leaves_hands_the_camera_on() -> None:
    camera = random_poses(12, 0.2)
    paths = {
        1: BodyPath(np.arange(0, 7), random_poses(7), np.ones(7)),
        2: BodyPath(np.arange(5, 12), random_poses(7), np.ones(7)),
    }
    trajectory = Trajectory(paths, np.arange(12.0))
    for frame in range(1, 12):
        trajectory.advance(frame, body_motion(paths, camera, frame - 1, frame))
    assert np.allclose(trajectory.world_from_camera, invert_rigid(camera[0]) @ camera, atol=1e-9)


def test_rotations_stay_rotations_over_a_long_way() -> None:
    count = 3000
    paths = {1: BodyPath(np.arange(count), np.tile(np.eye(4), (count, 1, 1)), np.ones(count))}
    trajectory = Trajectory(paths, np.arange(count) / 30.0)
    step = rigid(matrix_from_axis_angle([0.01, 0.02, -0.01]), np.array([0.0, 0.0, 0.03]))
    # A network's numbers are not quite a rotation.
    step[:3, :3] *= 1.0 + 1e-4
    for frame in range(1, count):
        trajectory.advance(frame, {1: step})
    last = trajectory.world_from_camera[-1, :3, :3]
    assert np.abs(last @ last.T - np.eye(3)).max() < 1e-12


def test_half_of_a_motion_twice_is_the_turn_of_the_whole() -> None:
    motion = random_poses(1)[0]
    half = share_of(motion, 0.5)
    assert np.allclose(half[:3, :3] @ half[:3, :3], motion[:3, :3])
    assert np.allclose(2.0 * half[:3, 3], motion[:3, 3])
    assert np.allclose(mean_pose([motion, motion], [1.0, 3.0]), motion)


@pytest.mark.parametrize(("fps", "apart"), [(30.0, 3), (29.97, 3), (60.0, 6), (24.0, 3), (8.0, 1)])
def test_pairs_are_a_tenth_of_a_second_apart_and_reach_the_end(fps: float, apart: int) -> None:
    steps = pair_steps(np.arange(100) / fps, 0.1)
    assert steps[0] == 0 and steps[-1] == 99
    assert set(np.diff(steps)[:-1]) == {apart}
    assert pair_steps(np.zeros(1), 0.1) == [0]
