"""Camera kind, pans, ground, metrology of people and the pose of every frame, against synthetic truth."""

from __future__ import annotations

import numpy as np
import pytest
from plane_world import draw, panning, street, travelling

from josh_blender.engine.results import PeopleResult, Track
from josh_blender.engine.sfm import motion
from josh_blender.engine.sfm.ground import estimate_ground, foot_rays
from josh_blender.engine.sfm.keyframes import choose_keyframes
from josh_blender.engine.sfm.mapping import Mapping
from josh_blender.engine.sfm.people_metrology import STATURE, gather_sightings, solve_metrology
from josh_blender.engine.sfm.pose_refinement import Views, refine_poses
from josh_blender.engine.sfm.registration import interpolate_poses, register_all_frames
from josh_blender.scene4d.camera import invert_rigid, project, rigid, transform, unproject
from josh_blender.scene4d.rotations import axis_angle_from_matrix, matrix_from_axis_angle

SIZE = (960, 540)
INTRINSICS = np.array([800.0, 800.0, 480.0, 270.0])


def angle(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.degrees(np.linalg.norm(axis_angle_from_matrix(first[:3, :3].T @ second[:3, :3]))))


def flow_of(poses: np.ndarray, points: np.ndarray, noise: float, distortion: np.ndarray | None = None) -> motion.Flow:
    """What corners at points (P,3) give when each is followed through five key frames."""
    generator = np.random.default_rng(1)
    pixels, visible = [], []
    for pose in poses:
        local = transform(invert_rigid(pose), points)
        pixel = project(local, INTRINSICS, distortion)
        pixels.append(pixel + generator.normal(0.0, noise, pixel.shape))
        visible.append((local[:, 2] > 0.1) & (pixel > 0).all(1) & (pixel < SIZE).all(1))
    parts = []
    for row in range(len(poses) - 1):
        for later in range(row + 1, min(row + 6, len(poses))):
            both = np.flatnonzero(visible[row] & visible[later])[:80]
            parts.append((np.full(len(both), row), np.full(len(both), later), pixels[row][both], pixels[later][both]))
    return motion.Flow(*(np.concatenate(part) for part in zip(*parts, strict=True)), SIZE[0] / 480.0)


def far_points(count: int = 900) -> np.ndarray:
    generator = np.random.default_rng(3)
    turn, rise = generator.uniform(-0.9, 1.4, count), generator.uniform(-0.5, 0.5, count)
    return generator.uniform(4.0, 30.0, (count, 1)) * np.stack([np.sin(turn), rise, np.cos(turn)], -1)


# --- camera kind and pans --------------------------------------------------------------------------------------------


def test_pan_gives_rotations_and_focal():
    poses = panning(11, 40.0)
    lens = np.array([-0.05, 0.0, 0.0, 0.0, 0.0])
    pan = motion.solve_pan(flow_of(poses, far_points(), 0.2, lens), len(poses), SIZE, None)
    assert motion.explains(pan) and not motion.sways(pan)
    assert pan.focal == pytest.approx(800.0, rel=0.01)
    assert pan.k1 == pytest.approx(-0.05, abs=0.02)
    assert max(angle(pan.rotation[0].T @ pan.rotation[row], poses[row]) for row in range(11)) < 0.3


def test_pan_keeps_a_given_focal_exactly():
    poses = panning(6)
    assert motion.solve_pan(flow_of(poses, far_points(), 0.2), len(poses), SIZE, 812.5).focal == 812.5


def test_travel_is_not_explained_by_rotations():
    poses = travelling(8)
    pan = motion.solve_pan(flow_of(poses, far_points() * [0.4, 0.4, 0.4], 0.2), len(poses), SIZE, None)
    assert not motion.explains(pan)


def test_a_slow_walk_past_a_wall_is_no_pan():
    # Most corners lie on one far wall, so a turning camera nearly explains their median.
    generator = np.random.default_rng(8)
    wall = np.stack([generator.uniform(-6, 6, 700), generator.uniform(-3, 1.5, 700), np.full(700, 9.0)], -1)
    floor = np.stack([generator.uniform(-3, 3, 250), np.full(250, 1.6), generator.uniform(3, 9, 250)], -1)
    points = generator.permutation(np.concatenate([wall, floor]))
    way = np.linspace(0.0, 1.0, 11)
    turn = np.stack([0.01 * np.sin(9.0 * way), -0.07 * way, 0.0 * way], -1)
    poses = rigid(matrix_from_axis_angle(turn), np.stack([0.4 * way, 0.01 * np.sin(20.0 * way), 0.15 * way], -1))
    pan = motion.solve_pan(flow_of(poses, points, 0.1), 11, SIZE, None)
    assert pan.error < 0.6
    assert not motion.explains(pan)


def test_still_and_swaying_cameras():
    still = np.tile(np.eye(4), (6, 1, 1))
    assert motion.is_still(flow_of(still, far_points(), 0.2))
    swaying = panning(6, 0.6)
    flow = flow_of(swaying, far_points(), 0.1)
    assert not motion.is_still(flow)
    pan = motion.solve_pan(flow, 6, SIZE, 800.0)
    assert motion.explains(pan) and motion.sways(pan)


@pytest.mark.parametrize(
    ("poses", "kind"), [(panning(6), "pan"), (travelling(6), "moving"), (panning(6, 0.0), "static")]
)
def test_kind_from_pictures(poses, kind):
    size, intrinsics = (320, 180), np.array([280.0, 280.0, 160.0, 90.0])
    pictures = [draw(street(), pose, intrinsics, size)[0] for pose in poses]
    masks = [np.zeros((180, 320), np.uint8) for _ in poses]
    for number, (picture, mask) in enumerate(zip(pictures, masks, strict=True)):
        # Somebody walks through; what is masked must not count.
        picture[60:150, 40 + 12 * number : 80 + 12 * number] = 40
        mask[55:155, 35 + 12 * number : 85 + 12 * number] = 1
    flow = motion.background_flow(pictures, masks, 1.0)
    if motion.is_still(flow):
        found = "static"
    else:
        pan = motion.solve_pan(flow, len(poses), size, None)
        found = "pan" if motion.explains(pan) else "moving"
    assert found == kind


def test_nothing_to_follow_is_still():
    blank = [np.full((90, 160), 128, np.uint8)] * 3
    assert motion.is_still(motion.background_flow(blank, [np.zeros((90, 160), np.uint8)] * 3, 1.0))


# --- every frame -----------------------------------------------------------------------------------------------------


def test_pose_is_refined_through_outliers_and_lens():
    generator = np.random.default_rng(0)
    truth = rigid(matrix_from_axis_angle([0.1, -0.2, 0.05]), np.array([0.4, -0.1, 0.3]))
    local = generator.uniform([-2, -1, 3], [2, 1, 9], (80, 3))
    distortion = np.array([-0.1, 0.01, 0.001, 0.0, 0.0])
    pixels = project(local, INTRINSICS, distortion)
    pixels[:15] += generator.uniform(20, 60, (15, 2))
    start = truth @ rigid(matrix_from_axis_angle([0.01, 0.01, -0.01]), np.array([0.03, -0.02, 0.02]))
    points = transform(truth, local)
    # Beside it a camera that sees half of the points, and one that sees nothing.
    rows = (np.arange(80), np.arange(15, 50), np.arange(0))
    views = Views.of([(points[some], pixels[some], np.ones(len(some))) for some in rows])
    poses, error = refine_poses(np.stack([start] * 3), views, np.stack([INTRINSICS] * 3), distortion)
    np.testing.assert_allclose(poses[:2], np.stack([truth] * 2), atol=1e-3)
    np.testing.assert_allclose(poses[2], start, atol=1e-12)
    assert error[0] < 0.1 and np.isnan(error[2])


def test_interpolation_meets_the_known_poses():
    known = travelling(4)
    poses = interpolate_poses(known, np.array([2, 5, 9, 12]), 15)
    np.testing.assert_allclose(poses[[2, 5, 9, 12]], known, atol=1e-12)
    np.testing.assert_allclose(poses[0], known[0], atol=1e-12)
    np.testing.assert_allclose(poses[14], known[3], atol=1e-12)


def test_frames_between_key_frames_are_registered_on_pictures():
    size, intrinsics = (320, 180), np.array([280.0, 280.0, 160.0, 90.0])
    poses = travelling(9)
    # A shake that no path between the key frames has.
    poses[4, :3, :3] = matrix_from_axis_angle([0.012, -0.08, 0.008]) @ poses[4, :3, :3]
    drawn = [draw(street(), pose, intrinsics, size) for pose in poses]
    key = np.array([0, 8])
    generator = np.random.default_rng(2)
    points, rows, pixels = [], [], []
    for row, index in enumerate(key):
        pixel = np.stack([generator.uniform(15, 305, 150), generator.uniform(15, 165, 150)], -1)
        depth = drawn[index][1][pixel[:, 1].astype(int), pixel[:, 0].astype(int)]
        pixel = np.floor(pixel) + 0.5
        points.append(transform(poses[index], unproject(pixel, intrinsics) * depth[:, None])[depth > 0])
        pixels.append(pixel[depth > 0])
        rows.append(np.full(int((depth > 0).sum()), row))
    point = np.concatenate(points)
    mapping = Mapping(
        key.astype(np.int32), poses[key], np.tile(intrinsics, (2, 1)), np.zeros(5), point, np.zeros(len(point)),
        np.concatenate(rows), np.arange(len(point)), np.concatenate(pixels).astype(np.float32),
    )  # fmt: skip
    pictures = ((number, picture) for number, (picture, _) in enumerate(drawn))
    found, _, errors = register_all_frames(mapping, pictures, 9, 1.0, lambda: None)
    assert max(angle(found[row], poses[row]) for row in range(9)) < 0.1
    assert np.linalg.norm(found[:, :3, 3] - poses[:, :3, 3], axis=1).max() < 0.02
    assert np.nanmax(errors) < 0.5


def test_key_frames_hold_both_ends_and_follow_time():
    time = np.concatenate([np.arange(20) / 10.0, 2.0 + np.arange(40) / 40.0])
    chosen = choose_keyframes(time, 4.0)
    assert chosen[0] == 0 and chosen[-1] == 59
    assert np.diff(time[chosen]).max() < 0.36
    assert choose_keyframes(np.array([0.0]), 4.0) == [0]


# --- ground and people -----------------------------------------------------------------------------------------------


def test_ground_is_the_floor_and_not_the_table():
    generator = np.random.default_rng(4)
    floor = np.stack([generator.uniform(-4, 4, 300), np.full(300, 1.5), generator.uniform(2, 12, 300)], -1)
    table = np.stack([generator.uniform(-1, 1, 400), np.full(400, 0.7), generator.uniform(3, 5, 400)], -1)
    wall = np.stack([generator.uniform(-4, 4, 500), generator.uniform(-3, 1.5, 500), np.full(500, 12.0)], -1)
    points = np.concatenate([floor, table, wall]) + generator.normal(0.0, 0.01, (1200, 3))
    ground = estimate_ground(points, travelling(5))
    assert np.degrees(np.arccos(-ground[1])) < 0.5
    assert ground[3] == pytest.approx(1.5, abs=0.02)
    assert estimate_ground(wall, travelling(5)).shape == (0,)
    assert estimate_ground(points[:5], travelling(5)).shape == (0,)


def walkers(rotation: np.ndarray, up: np.ndarray, height: float, statures: list[float], noise: float) -> PeopleResult:
    """Upright people on the plane ``up`` . x + height = 0 seen by cameras with the given rotations."""
    generator = np.random.default_rng(6)
    ahead = np.array([0.0, 0.0, 1.0])
    ahead -= ahead @ up * up
    ahead /= np.linalg.norm(ahead)
    side = np.cross(up, ahead)
    tracks = []
    for number, stature in enumerate(statures):
        count = len(rotation)
        way = np.linspace(0.0, 1.0, count)
        place = (3.2 + 6.0 * way)[:, None] * ahead + ((number - 0.5) * 1.2 * (1 + way))[:, None] * side
        place = place - height * up
        landmarks = np.zeros((count, 33, 2))
        levels = dict.fromkeys([29, 30, 31, 32], 0.025) | {11: 0.8, 12: 0.8, 7: 0.915, 8: 0.915, 23: 0.52, 24: 0.52}
        for point, level in levels.items():
            local = np.einsum("nji,nj->ni", rotation, place + level * stature * up)
            landmarks[:, point] = project(local, INTRINSICS) + generator.normal(0.0, noise, (count, 2))
        tracks.append(
            Track(
                number + 1, number + 1, np.arange(count), np.zeros((count, 4)), landmarks, np.ones((count, 33)),
                np.zeros((count, 33, 3)), np.ones(count, bool), np.zeros(count),
            )
        )  # fmt: skip
    return PeopleResult(tracks)


def test_people_give_tilt_height_and_focal():
    rotation = np.tile(np.eye(3), (40, 1, 1))
    up = matrix_from_axis_angle([0.35, 0.0, 0.02]) @ [0.0, -1.0, 0.0]
    people = walkers(rotation, up, 2.2, [STATURE, STATURE], 1.0)
    found = solve_metrology(gather_sightings(people, SIZE), rotation, SIZE, np.zeros(5), None)
    assert found is not None
    assert found.focal == pytest.approx(800.0, rel=0.08)
    assert np.degrees(np.arccos(found.ground[:3] @ up)) < 2.0
    assert found.ground[3] == pytest.approx(2.2, rel=0.06)
    assert 0.0 < found.focal_sigma < 0.3


def test_given_focal_is_kept_and_a_pan_is_measured():
    rotation = panning(40, 20.0)[:, :3, :3]
    up = matrix_from_axis_angle([0.1, 0.0, 0.0]) @ [0.0, -1.0, 0.0]
    people = walkers(rotation, up, 1.6, [1.6, 1.82], 1.0)
    found = solve_metrology(gather_sightings(people, SIZE), rotation, SIZE, np.zeros(5), 800.0)
    assert found is not None and found.focal == 800.0 and found.focal_sigma == 0.0
    assert np.degrees(np.arccos(found.ground[:3] @ up)) < 1.0
    # Two people of 1.71 m on average: the height is metric.
    assert found.ground[3] == pytest.approx(1.6, rel=0.05)


def test_without_upright_people_nothing_is_made_up():
    rotation = np.tile(np.eye(3), (10, 1, 1))
    assert solve_metrology(gather_sightings(PeopleResult([]), SIZE), rotation, SIZE, np.zeros(5), None) is None
    people = walkers(rotation, np.array([0.0, -1.0, 0.0]), 1.6, [1.7], 0.0)
    people.tracks[0].visibility[:] = 0.1
    assert not len(gather_sightings(people, SIZE).index)


def test_foot_rays_hit_the_ground_under_the_feet():
    rotation = np.tile(np.eye(3), (10, 1, 1))
    up = np.array([0.0, -1.0, 0.0])
    people = walkers(rotation, up, 1.6, [1.7], 0.0)
    poses = rigid(rotation, np.zeros(3))
    origin, ray = foot_rays(people, poses, np.tile(INTRINSICS, (10, 1)), np.zeros(5))
    distance = (1.6 - 0.025 * 1.7) / (-ray @ up)
    np.testing.assert_allclose((origin + distance[:, None] * ray)[:, 2], 3.2 + 6.0 * np.linspace(0, 1, 10), rtol=1e-5)
