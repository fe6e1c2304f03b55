"""The generator of rendered sequences: its truth must be true."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.sample.motion import betas_of_height
from bench.sample.place import Place, quad
from bench.sample.raster import mesh_depth
from bench.sample.sequence import prepare, render_frames
from bench.sample.shots import SHOTS, compose
from bench.sample.truth import TruthSettings, people_mask, place_depth, world_from_place, write_truth
from josh_blender.scene4d.body import load_default_body
from josh_blender.scene4d.camera import invert_rigid, project, transform
from josh_blender.scene4d.conventions import CONTACT_REGIONS, JOINT_NAMES
from josh_blender.scene4d.files import read_depth, read_scene

ROOT = Path(__file__).parents[2]
BLENDER = ROOT / ".venv-bpy45" / "bin" / "python"
SHOT = SHOTS["sample"]


@pytest.fixture(scope="module")
def body():
    return load_default_body()


@pytest.fixture(scope="module")
def composition(body):
    return compose(SHOT, body)


@pytest.fixture(scope="module")
def feet(body, composition):
    """Per person: the tracks (T, N, 3) of all vertices that hang on ankles and toes, and their indices (N,)."""
    moved = [JOINT_NAMES.index(f"{side}_{part}") for side in ("left", "right") for part in ("ankle", "foot")]
    index = np.flatnonzero(body.weights[:, moved].sum(axis=1) > 0.5)
    tracks = []
    for motion in composition.people:
        frames = zip(motion.poses, motion.trans, strict=True)
        tracks.append(np.stack([body.skin(motion.betas, pose, trans)[0][index] for pose, trans in frames]))
    return index, tracks


def test_planted_feet_stand_still_while_in_contact(body, composition, feet):
    index, tracks = feet
    heights = set()
    for motion, track in zip(composition.people, tracks, strict=True):
        for column, vertex in enumerate(body.foot_vertices):
            down = motion.contact[:, column] > 0
            path = track[:, np.flatnonzero(index == vertex)[0]]
            both = down[1:] & down[:-1]
            assert both.sum() > 20
            assert np.linalg.norm(np.diff(path, axis=0), axis=-1)[both].max() < 0.001
            # Over a whole footstep too: no slow creep.
            for run in np.split(np.flatnonzero(down), np.flatnonzero(np.diff(np.flatnonzero(down)) > 1) + 1):
                assert np.linalg.norm(path[run] - path[run[0]], axis=-1).max() < 0.0015
            ground = composition.place.height(path[down, :2])
            # The vertex lies on a sole that is not quite flat: its lowest point touches, a few mm away.
            np.testing.assert_allclose(path[down, 2], ground, atol=0.005)
            heights |= set(ground.round(3).tolist())
    assert heights == {0.0, 0.14, 0.32, 0.17}


def test_no_foot_below_the_ground(composition, feet):
    for track in feet[1]:
        gap = track[..., 2] - composition.place.height(track[..., :2])
        assert gap.min() > -0.002


def test_somebody_always_stands(composition):
    for motion in composition.people:
        soles = motion.contact[:, : CONTACT_REGIONS.index("left_knee")]
        assert (soles.max(axis=1) > 0).mean() > 0.9
        assert not motion.contact[:, CONTACT_REGIONS.index("left_knee") :].any()


def test_joint_angles_are_plausible_and_smooth(composition):
    limits = {"knee": 110, "ankle": 55, "foot": 50, "hip": 85, "elbow": 60, "spine1": 15, "neck": 15}
    for motion in composition.people:
        angle = np.degrees(np.linalg.norm(motion.poses.reshape(-1, 24, 3), axis=-1))
        for joint, name in enumerate(JOINT_NAMES):
            for part, limit in limits.items():
                if (name.endswith(part) and part != "foot") or name in (f"left_{part}", f"right_{part}"):
                    assert angle[:, joint].max() < limit, name
        # The pelvis moves forward without jerks: a person's speed varies by less than this between frames.
        speed = np.linalg.norm(np.diff(motion.joints[:, 0, :2], axis=0), axis=-1) * SHOT.fps
        assert speed.min() > 0.7 and speed.max() < 1.8
        assert np.abs(np.diff(speed)).max() < 0.15


@pytest.mark.parametrize("height", [1.55, 1.80, 1.95])
def test_height_is_met(body, height):
    assert body.height(betas_of_height(body, height, (0.6, -0.8))) == pytest.approx(height, abs=1e-9)


@pytest.mark.parametrize(
    "name", ["pan", "static", *(pytest.param(name, marks=pytest.mark.slow) for name in ("couple", "sample"))]
)
def test_camera_keeps_the_people_in_frame(body, name):
    shot = SHOTS[name]
    made = compose(shot, body)
    camera_from_world = invert_rigid(made.world_from_camera)
    for motion in made.people[:2]:
        joints = transform(camera_from_world, motion.joints)
        assert (joints[..., 2] > 1).all()
        pixels = project(joints, made.intrinsics[:, None])
        inside = ((pixels > 0) & (pixels < [shot.width, shot.height])).all(axis=(1, 2))
        assert inside.mean() > 0.9


def test_camera_kinds_move_as_their_names_say(body, composition):
    cameras = {name: compose(SHOTS[name], body).world_from_camera for name in ("pan", "static")}
    centres = {name: camera[:, :3, 3] for name, camera in {**cameras, "sample": composition.world_from_camera}.items()}
    turns = {name: camera[:, :3, 2] for name, camera in cameras.items()}
    assert np.linalg.norm(centres["sample"][-1] - centres["sample"][0]) > 2
    assert np.ptp(centres["pan"], axis=0).max() == 0 and np.ptp(centres["static"], axis=0).max() == 0
    assert np.degrees(np.arccos(turns["pan"][0] @ turns["pan"][-1])) > 20
    assert np.ptp(turns["static"], axis=0).max() == 0


def test_same_seed_same_numbers_and_other_seed_other_camera(body):
    shot = replace(SHOTS["static"], frames=3, camera=SHOT.camera)
    once, again, other = (compose(replace(shot, seed=seed), body) for seed in (1, 1, 2))
    np.testing.assert_array_equal(again.world_from_camera, once.world_from_camera)
    np.testing.assert_array_equal(again.people[0].poses, once.people[0].poses)
    assert np.abs(other.world_from_camera - once.world_from_camera).max() > 1e-3


def test_a_shot_of_one_frame_is_the_first_of_two(body):
    shot = replace(SHOTS["static"], frames=2)
    pair, single = compose(shot, body), compose(replace(shot, frames=1), body)
    assert len(single.people[0].poses) == len(single.world_from_camera) == len(single.intrinsics) == 1
    np.testing.assert_array_equal(single.people[0].joints, pair.people[0].joints[:1])
    np.testing.assert_array_equal(single.world_from_camera, pair.world_from_camera[:1])


def test_depth_of_the_ground_is_the_closed_form(composition):
    ground = Place([quad((-50, -50, 0), (100, 0, 0), (0, 100, 0), "paving", walkable=True)])
    camera = composition.world_from_camera[0]
    depth = place_depth(ground, camera, composition.intrinsics[0], SHOT.width, SHOT.height)
    fx, fy, cx, cy = composition.intrinsics[0]
    for row, column in ((530, 5), (400, 480), (300, 900)):
        ray = camera[:3, :3] @ [(column + 0.5 - cx) / fx, (row + 0.5 - cy) / fy, 1.0]
        assert depth[row, column] == pytest.approx(-camera[2, 3] / ray[2], rel=1e-9)
    assert np.isinf(depth[0]).all()


def test_nearer_quads_hide_farther_ones_and_heights_are_those_of_the_steps(composition):
    distance, index, _ = composition.place.ray_cast([-0.2, 6.0, 5.0], np.array([[0.0, 0.0, -1.0]]))
    assert distance[0] == pytest.approx(5.0 - 0.32)
    assert composition.place.quads[index[0]].texture == "concrete"
    points = [[-1.2, 6.0], [-0.2, 6.0], [0.8, 6.0], [0.0, 1.0], [99.0, 0.0]]
    np.testing.assert_allclose(composition.place.height(points), [0.14, 0.32, 0.17, 0.0, -np.inf])


def test_mesh_depth_of_a_tilted_triangle_is_its_plane():
    corners = np.array([[-1.0, -1.0, 4.0], [1.0, -1.0, 4.0], [0.0, 1.0, 6.0]])
    depth = mesh_depth(corners, np.array([[0, 1, 2]]), np.array([100.0, 100.0, 50.0, 50.0]), 100, 100)
    rows, columns = np.nonzero(np.isfinite(depth))
    # The plane is z = 5 + y, and y = z (v - 50) / 100.
    np.testing.assert_allclose(depth[rows, columns], 5 / (1 - (rows + 0.5 - 50) / 100), rtol=1e-9)
    assert len(rows) == pytest.approx(0.5 * (50 * (1 / 1 + 0) * 33.3 + 0), rel=0.25)


@pytest.mark.slow
def test_truth_is_a_scene_in_the_world_of_the_convention(tmp_path, body):
    shot = replace(SHOT, frames=4, width=320, height=180)
    made = compose(shot, body)
    video = tmp_path / "short.mp4"
    settings = TruthSettings(depth_every=2, depth_size=(64, 36), mask_size=(160, 90), points=500)
    scene = read_scene(write_truth(shot, made, body, video, "0-x", tmp_path / "short.scene4d", settings))
    camera = scene.camera.world_from_camera
    np.testing.assert_allclose(camera[0, :2, 3], 0, atol=1e-12)
    assert camera[0, 2, 3] == pytest.approx(made.world_from_camera[0, 2, 3])
    np.testing.assert_allclose(camera[0, 0, 2], 0, atol=1e-12)
    assert camera[0, 1, 2] > 0.9
    for person, motion in zip(scene.people, made.people, strict=True):
        _, joints = body.skin(person.betas, person.poses[3], person.trans[3])
        np.testing.assert_allclose(joints, transform(world_from_place(made), motion.joints[3]), atol=1e-5)
        np.testing.assert_array_equal(person.contact, motion.contact)
    depth = read_depth(scene.folder, 2)
    # A point of the cloud is where the depth map says, wherever nobody is in front of it.
    seen = scene.cloud.position[scene.cloud.keyframe == 1]
    local = transform(invert_rigid(camera[2]), seen)
    column, row = np.floor(project(local, depth.intrinsics)).astype(int).T
    measured = depth.depth[row, column].astype(float)
    assert np.mean(np.abs(measured / local[:, 2] - 1) < 1e-3) > 0.9
    mask = people_mask(made, body, 3, np.array([144.0, 144.0, 80.0, 45.0]), (160, 90))
    assert set(np.unique(mask)) == {0, 1, 2}


@pytest.mark.slow
@pytest.mark.skipif(not BLENDER.exists(), reason="no .venv-bpy45 with bpy")
def test_rendered_people_lie_on_the_mask_of_the_truth(tmp_path, body):
    cv2 = pytest.importorskip("cv2")
    shot = replace(SHOT, frames=2, width=480, height=270)
    made = compose(shot, body)
    prepare(shot, made, body, tmp_path)
    render_frames(tmp_path, BLENDER, "workbench")
    picture = cv2.imread(str(tmp_path / "frames" / "000000.png")).astype(float)
    mask = people_mask(made, body, 0, made.intrinsics[0], (480, 270))
    blue, green, red = picture[..., 0], picture[..., 1], picture[..., 2]
    # Person 2 wears the only saturated red, person 1 the only saturated blue, in this part of the picture.
    shirt = (red > 1.8 * green + 30) & (red > 1.8 * blue + 30)
    near = cv2.dilate((mask == 2).astype(np.uint8), np.ones((9, 9))) > 0
    assert (shirt & (mask == 2)).sum() > 100
    assert (shirt & near & (mask != 2)).sum() < 0.15 * (shirt & near).sum()
