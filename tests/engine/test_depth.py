"""Depth by plane sweep, its checks, ground filling, sky, look-up and the fused cloud, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from plane_world import FLOOR, Plane, draw, noise_texture, street, travelling

from josh_blender.engine.depth.consistency import agree, drop_speckles
from josh_blender.engine.depth.depth_maps import choose_sources, make_undistorter
from josh_blender.engine.depth.fusion import FusedCloud, fuse, map_points, thin
from josh_blender.engine.depth.ground_fill import fill_ground, plane_depth
from josh_blender.engine.depth.lookup import DepthOnDisk, sample_depth
from josh_blender.engine.depth.plane_place import median_background
from josh_blender.engine.depth.plane_sweep import View, plane_homography, sweep
from josh_blender.engine.depth.sky import find_sky
from josh_blender.scene4d.camera import invert_rigid, project, transform, unproject

SIZE = (160, 90)
INTRINSICS = np.array([150.0, 150.0, 80.0, 45.0])


def view_of(planes: list[Plane], pose: np.ndarray) -> tuple[View, np.ndarray]:
    # Twice the size and averaged, as the pictures of a camera are.
    picture, _ = draw(planes, pose, 2.0 * INTRINSICS, (2 * SIZE[0], 2 * SIZE[1]))
    small = picture.reshape(SIZE[1], 2, SIZE[0], 2).mean(axis=(1, 3)).astype(np.uint8)
    return View(small, INTRINSICS, pose), draw(planes, pose, INTRINSICS, SIZE)[1]


@pytest.fixture(scope="module")
def views() -> list[tuple[View, np.ndarray]]:
    return [view_of(street(), pose) for pose in travelling(5, 0.8)]


@pytest.fixture(scope="module")
def swept(views) -> list[np.ndarray]:
    return [
        sweep(views[row][0], [views[other][0] for other in range(5) if other != row], 1.0, 20.0).depth
        for row in (1, 2, 3)
    ]


def test_homography_takes_points_of_the_plane_to_their_pixels():
    poses = travelling(2)
    first, second = (View(np.zeros((90, 160), np.uint8), INTRINSICS, pose) for pose in poses)
    plane_world = np.array([0.1, -0.2, -1.0, 5.0])
    plane = np.append(plane_world[:3] @ poses[0][:3, :3], plane_world[:3] @ poses[0][:3, 3] + plane_world[3])
    pixels = np.array([[20.0, 30.0], [100.0, 60.0], [150.5, 10.25]])
    rays = unproject(pixels, INTRINSICS)
    points = rays * (-plane[3] / (rays @ plane[:3]))[:, None]
    expected = project(transform(invert_rigid(poses[1]) @ poses[0], points), INTRINSICS)
    mapped = np.append(pixels - 0.5, np.ones((3, 1)), 1) @ plane_homography(first, second, plane).T
    np.testing.assert_allclose(mapped[:, :2] / mapped[:, 2:] + 0.5, expected, atol=1e-9)


def test_sweep_finds_slanted_planes(views, swept):
    truth = views[2][1]
    found = swept[1]
    inner = np.zeros(truth.shape, bool)
    inner[6:-6, 6:-6] = True
    known = inner & (found > 0)
    error = np.abs(found - truth)[known] / truth[known]
    assert known[inner].mean() > 0.9
    assert np.median(error) < 0.02
    assert np.mean(error > 0.1) < 0.1


def test_agreement_confirms_truth_and_rejects_errors(views):
    (first, depth), (second, other) = views[1], views[3]
    wrong = depth.copy()
    wrong[30:60, 40:90] *= 1.3
    found = agree(wrong.astype(np.float32), first, [(other.astype(np.float32), second)])
    right = np.ones(depth.shape, bool)
    right[26:64, 36:94] = False
    assert found.count[35:55, 45:85].mean() < 0.02
    # What the other view does not see, or sees at a grazing angle, cannot be confirmed.
    assert found.count[right].mean() > 0.7
    both = (found.count > 0) & right
    np.testing.assert_allclose(found.depth[both], depth[both], rtol=0.03)


def test_speckles_go_and_thin_things_stay():
    depth = np.full((60, 80), 10.0, np.float32)
    depth[30:33, 40:43] = 4.0
    depth[5:55, 20:22] = 6.0
    depth[:, 60:] = 0.0
    depth[40:42, 70:73] = 3.0
    kept = drop_speckles(depth, 30)
    assert not kept[30:33, 40:43].any() and not kept[40:42, 70:73].any()
    np.testing.assert_array_equal(kept[5:55, 20:22], 6.0)
    assert (kept[:, :60] > 0).sum() == 60 * 60 - 9


def test_consistent_depth_is_more_accurate_than_raw(views, swept):
    truth = views[2][1]
    others = [(swept[0], views[1][0]), (swept[2], views[3][0])]
    found = agree(swept[1], views[2][0], others)
    sure = found.count == 2
    error = np.abs(found.depth - truth)[sure] / truth[sure]
    assert sure.mean() > 0.5
    assert np.percentile(error, 95) < 0.08


def test_sources_have_parallax_and_common_points():
    generator = np.random.default_rng(0)
    points = generator.uniform([-2, -1, 5], [2, 1, 9], (200, 3))
    centres = np.array([[0.0, 0, 0], [0.01, 0, 0], [0.5, 0, 0], [1.0, 0, 0], [30.0, 0, 0]])
    everything = np.arange(200)
    seen_by = [everything, everything, everything, everything, everything[:4]]
    assert choose_sources(points, seen_by, centres, 0, 2, 4.0) == [3, 2]
    assert 4 not in choose_sources(points, seen_by, centres, 0, 5, 4.0)


def test_smooth_ground_is_filled_from_its_plane_and_walls_are_not():
    grey = np.full((64, 64), 120.0, np.float32)
    wall = np.full((64, 64), 190.0, np.float32)
    planes = [Plane(FLOOR, grey), Plane(np.array([0.0, 0.0, -1.0, 8.0]), wall)]
    (view, truth), (other, _) = (view_of(planes, pose) for pose in travelling(2, 0.4))
    floor = np.isclose(truth, plane_depth(view, FLOOR), rtol=1e-6) & (truth > 0)
    depth = np.zeros(truth.shape, np.float32)
    measured = floor & (np.indices(truth.shape)[1] % 8 == 0)
    depth[measured] = truth[measured]
    color = np.repeat(view.picture[..., None], 3, 2)
    flat = np.ones(truth.shape, bool)
    nobody = np.zeros(truth.shape, bool)
    nobody[60:75, 70:90] = True
    confidence = np.where(measured, 0.9, 0.0).astype(np.float32)
    filled, trust = fill_ground(view, color, depth, confidence, flat, nobody, [other], FLOOR)
    assert (filled[floor & ~nobody] > 0).mean() > 0.9
    assert not filled[nobody & ~measured].any()
    wall_pixels = ~floor & (np.indices(truth.shape)[0] < SIZE[1] - 1)
    assert (filled[wall_pixels] > 0).mean() < 0.1
    assert (trust[(filled > 0) & ~measured] < 0.9).all()
    np.testing.assert_allclose(filled[(filled > 0) & floor], truth[(filled > 0) & floor], rtol=1e-4)


def test_sky_is_cut_and_a_ceiling_with_depth_is_kept():
    color = np.full((90, 160, 3), (120, 160, 220), np.uint8)
    color[50:] = (90, 90, 80)
    color[20:50, 40:44] = (60, 40, 30)
    confidence = np.zeros((90, 160), np.float32)
    confidence[50:] = 0.9
    confidence[18:50, 36:48] = 0.9  # the window's fringe around the pole
    sky = find_sky(color, confidence)
    assert sky[:48, 60:].all() and sky[30, 37]
    assert not sky[52:].any() and not sky[25:50, 41:43].any()
    assert not find_sky(color, np.full((90, 160), 0.9, np.float32)).any()


def test_look_up_goes_through_the_lens():
    lens, distortion = np.array([300.0, 300.0, 160.0, 90.0]), np.array([-0.2, 0.03, 0.001, -0.001, 0.0])
    undistorter = make_undistorter((320, 180), 160, lens, distortion)
    rows, columns = np.indices((90, 160))
    found = DepthOnDisk((1.0 + columns + 1000.0 * rows).astype(np.float32), np.ones((90, 160)), undistorter.intrinsics)
    cell = np.array([[20, 10], [80, 45], [130, 80]])
    pixels = project(unproject(cell + 0.5, undistorter.intrinsics), lens, distortion)
    depth, confidence = sample_depth(found, pixels, lens, distortion)
    np.testing.assert_allclose(depth, 1.0 + cell[:, 0] + 1000.0 * cell[:, 1])
    assert confidence.all()
    assert sample_depth(found, np.array([[-40.0, 5.0]]), lens, distortion)[0][0] == 0.0


def test_undistorted_pictures_are_straight():
    lens, distortion = np.array([300.0, 300.0, 160.0, 90.0]), np.array([-0.25, 0.05, 0.0, 0.0, 0.0])
    undistorter = make_undistorter((320, 180), 320, lens, distortion)
    large = np.zeros((360, 640), np.uint8)
    columns = np.linspace(-0.5, 0.5, 4000)
    line = project(np.stack([columns, np.full(4000, -0.2), np.ones(4000)], -1), 2.0 * lens, distortion)
    whole = line.astype(int)
    inside = (whole >= 0).all(1) & (whole < [640, 360]).all(1)
    large[whole[inside, 1], whole[inside, 0]] = 255
    straight = undistorter.picture(large).astype(float)
    rows = (straight * (np.arange(180) + 0.5)[:, None]).sum(0)[20:-20] / straight.sum(0)[20:-20]
    np.testing.assert_allclose(rows, 90.0 - 0.2 * 300.0, atol=0.7)


def test_fused_cloud_lies_on_the_world_and_keeps_the_best(views):
    maps = []
    for view, depth in views[1:4:2]:
        confidence = np.where(depth > 0, 0.8, 0.0).astype(np.float32)
        maps.append((depth.astype(np.float32), confidence, INTRINSICS, view.world_from_camera, np.zeros((90, 160, 3))))
    cloud = fuse(maps, 0.5, None, 10_000_000)
    distance = np.min([np.abs(cloud.points @ item.plane[:3] + item.plane[3]) for item in street()], axis=0)
    assert distance.max() < 1e-5
    assert set(cloud.source) == {0, 1}
    assert len(fuse(maps, 0.5, None, 500).points) <= 500
    assert not len(fuse(maps, 0.95, None, 500).points)


def test_thinning_keeps_the_most_confident_of_each_cube():
    points = np.array([[0.01, 0, 0], [0.02, 0, 0], [0.5, 0, 0]])
    cloud = FusedCloud(points, np.zeros((3, 3), np.uint8), np.array([0.2, 0.9, 0.1], np.float32), np.zeros(3, np.int32))
    kept = thin(cloud, 0.1)
    np.testing.assert_allclose(kept.points[:, 0], [0.02, 0.5])


def test_map_points_are_where_the_planes_are(views):
    view, depth = views[2]
    points = map_points(depth, INTRINSICS, view.world_from_camera, depth > 0)
    assert np.min([np.abs(points @ item.plane[:3] + item.plane[3]) for item in street()], axis=0).max() < 1e-9


def test_people_leave_the_median_background():
    empty = noise_texture(5, 64).astype(np.uint8)[:40, :60, None].repeat(3, 2)
    pictures = []
    for number in range(7):
        covered = np.zeros((40, 60), bool)
        covered[10:30, 8 * number : 8 * number + 10] = True
        covered[:3, :3] = True
        pictures.append((np.where(covered[..., None], 255, empty).astype(np.uint8), covered))
    color, known = median_background(pictures)
    assert not known[:3, :3].any() and known[3:].all()
    np.testing.assert_array_equal(color[known], empty[known])


def test_depth_far_under_the_ground_is_dropped_and_steps_down_are_kept(views):
    view, truth = views[2]
    ground = np.array([0.0, -1.0, 0.0, 1.5])
    on_plane = plane_depth(view, ground)
    floor = np.isclose(truth, on_plane, rtol=1e-6)
    depth = truth.astype(np.float32).copy()
    columns = np.indices(truth.shape)[1]
    wrong, step = floor & (columns > 140), floor & (columns < 20)
    depth[wrong] *= 1.8
    depth[step] *= 1.2
    nothing = np.zeros(truth.shape, bool)
    color = np.repeat(view.picture[..., None], 3, 2)
    confidence = np.full(truth.shape, 0.8, np.float32)
    filled, _ = fill_ground(view, color, depth, confidence, nothing, nothing, [views[1][0]], ground)
    assert not np.isclose(filled[wrong], depth[wrong]).any()
    np.testing.assert_array_equal(filled[step], depth[step])
