"""Matching, canonical views and anchors: the numbers of the public pieces, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fixtures import read

from josh_blender.engine.pairs.canonical import CanonicalView, ViewSums
from josh_blender.engine.pairs.focal import focal_of_points
from josh_blender.engine.pairs.look import pair_graph
from josh_blender.engine.pairs.matching import correspondences, nearest, reciprocal
from josh_blender.engine.pairs.robust import align_matched, gamma_loss
from josh_blender.engine.pairs.view_tree import strongest_tree
from josh_blender.scene4d.camera import invert_rigid, project, rigid, transform
from josh_blender.scene4d.rotations import matrix_from_axis_angle


def facts(group: str) -> dict[str, torch.Tensor]:
    values = read("sparse_ga_tiny.safetensors")
    return {key.removeprefix(f"{group}/"): value for key, value in values.items() if key.startswith(f"{group}/")}


def close(value: np.ndarray, expected: torch.Tensor, tolerance: float = 1e-5) -> bool:
    bound = tolerance * max(1.0, float(expected.abs().max()))
    return value.shape == tuple(expected.shape) and bool(np.abs(value - expected.numpy()).max() <= bound)


def test_matches_of_the_public_pieces() -> None:
    known = facts("match")
    flat = {key: value.flatten(0, 1) for key, value in known.items() if value.ndim == 3}
    every = flat["desc_11"][::37]
    assert torch.equal(nearest(every, flat["desc_21"]).int(), known["nn_1sub37_to_2"])
    assert torch.equal(nearest(flat["desc_21"], every).int(), known["nn_2_to_1sub37"])
    for way, one, two in (("1to2", "desc_11", "desc_21"), ("2to1", "desc_21", "desc_11")):
        first, second = reciprocal(known[one], known[two])
        for side, found, descriptor in (("A", first, one), ("B", second, two)):
            width = known[descriptor].shape[1]
            assert np.array_equal(found, known[f"fastnn_{way}_idx{side}"].numpy())
            pixels = np.stack([found % width, found // width], axis=1)
            assert np.array_equal(pixels, known[f"fastnn_{way}_xy{side}"].numpy())
    passes = [
        tuple(known[f"{name}_{view}{number}"] for name in ("desc", "desc_conf") for view in (1, 2)) for number in (1, 2)
    ]
    pixels1, pixels2, confidence = correspondences(passes)
    assert np.array_equal(pixels1, known["corres_xy1"].numpy())
    assert np.array_equal(pixels2, known["corres_xy2"].numpy())
    assert close(confidence, known["corres_conf"])


def test_canonical_views_and_anchors_of_the_public_pieces() -> None:
    known, anchor, unproject = facts("canon"), facts("anchor"), facts("unproject")
    sums = ViewSums(64, 96)
    for points, confidence in zip(known["ptmaps"].numpy(), known["confs"].numpy(), strict=True):
        sums.add(points, confidence)
    view = sums.view()
    assert close(sums.points(), known["canon"]) and close(view.confidence, known["conf"])
    assert close(view.relative_depth, known["canon2"]) and close(view.anchor_depth, known["core_depth"])
    assert view.focal == pytest.approx(float(known["focal"]), rel=1e-5)
    ratios = ViewSums(64, 96, "ratio")
    for points, confidence in zip(known["ptmaps"].numpy(), known["confs"].numpy(), strict=True):
        ratios.add(points, confidence)
    assert close(ratios.view().relative_depth, known["canon2_avg_reldepth"])
    once = ViewSums(64, 96)
    once.add(known["ptmaps"][0].numpy(), known["confs"][0].numpy())
    assert close(once.view().relative_depth, facts("canon1")["canon2"])
    assert close(once.view().confidence, facts("canon1")["conf"])
    for side in "AB":
        x, y = anchor[f"xy_{side}"].numpy().T
        assert np.array_equal(y // 8 * 12 + x // 8, anchor[f"idx_{side}"].numpy())
        assert close(view.relative_depth[y, x], anchor[f"offset_{side}"])
    rows, columns = np.mgrid[:64, :96]
    assert np.array_equal(rows // 8 * 12 + columns // 8, anchor["dense_idx"].numpy())
    assert close(view.relative_depth, anchor["dense_offset"])
    given = CanonicalView(
        unproject["depthmap_core"].numpy().reshape(8, 12),
        view.relative_depth,
        view.confidence,
        float(unproject["base_focal"]),
    )
    matrix, pixel = unproject["K"].double().numpy(), anchor["xy_A"].numpy()
    depth = given.depth_at(pixel[:, 0], pixel[:, 1], matrix[0, 0])
    assert close(depth, unproject["depth_A"])
    rays = np.concatenate([pixel, np.ones((len(pixel), 1))], axis=1) @ np.linalg.inv(matrix).T
    pose = unproject["cam2w"].double().numpy()
    points = transform(pose, rays * depth[:, None])
    assert close(points, unproject["pts3d_world_A"])
    # The reference's pixels are numbers of columns and rows; the lens says where these are counted from.
    lens = [matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]]
    assert close(project(transform(invert_rigid(pose), points), lens), unproject["reproj_uv_A"])


def test_the_loss_of_the_public_pieces() -> None:
    known = facts("gamma")
    distance = (known["a"] - known["b"]).norm(dim=1).numpy()
    for gamma in (0.5, 1.1, 1.5):
        assert close(gamma_loss(distance, gamma), known[f"loss_{gamma}".replace(".", "p")])


def test_the_tree_of_the_public_pieces() -> None:
    known = facts("tree")
    root, edges = strongest_tree(known["scores"].numpy())
    assert root == int(known["root"])
    assert set(edges) == {tuple(edge) for edge in known["edges"].tolist()}


def test_a_tree_can_be_walked_from_its_root_and_leaves_out_what_nothing_ties() -> None:
    scores = np.zeros((6, 6))
    for one, two, score in ((0, 1, 5), (1, 2, 9), (0, 2, 1), (2, 4, 3)):
        scores[one, two] = scores[two, one] = score
    root, edges = strongest_tree(scores)
    assert root == 1 and set(edges) == {(1, 2), (1, 0), (2, 4)}
    reached = {root}
    for parent, child in edges:
        assert parent in reached
        reached.add(child)
    assert 3 not in reached and 5 not in reached


@pytest.mark.parametrize("focal", [70.0, 180.0])
def test_the_focal_length_of_a_plane(focal: float) -> None:
    rows, columns = np.mgrid[:64, :96]
    depth = 2.0 + 0.01 * columns + 0.02 * rows
    points = np.stack([(columns - 48) / focal * depth, (rows - 32) / focal * depth, depth], axis=-1)
    points[::7, ::5] *= [3.0, 1.0, 1.0]
    assert focal_of_points(points) == pytest.approx(focal, rel=1e-3)


def test_a_longer_lens_keeps_the_slope_of_a_plane() -> None:
    """A wall seen from the side keeps its angle to the view when the lens is corrected, as a true change of the lens
    does: depth differences inside a block shrink as the picture's angles do."""
    rows, columns = np.mgrid[:16, :24]
    depth = 2.0 + 0.05 * columns
    points = np.stack([(columns - 12) / 50.0 * depth, (rows - 8) / 50.0 * depth, depth], axis=-1)
    sums = ViewSums(16, 24)
    sums.add(points, np.full(depth.shape, 3.0))
    view = sums.view()
    assert np.allclose(view.depth(), depth, atol=0.02)
    step = view.depth(2.0 * view.focal)[4, 6] - view.depth(2.0 * view.focal)[4, 4]
    assert step == pytest.approx(0.5 * (view.depth()[4, 6] - view.depth()[4, 4]), rel=1e-6)


def test_a_third_of_wrong_matches_does_not_move_the_similarity() -> None:
    random = np.random.default_rng(3)
    source = random.normal(size=(300, 3))
    motion = rigid(matrix_from_axis_angle([0.2, -0.5, 0.1]), np.array([1.0, 2.0, -0.5]))
    target = transform(motion, 1.7 * source)
    target[::3] += random.normal(size=(100, 3)) * 3.0
    found = align_matched(source, target)
    assert found.scale == pytest.approx(1.7, rel=2e-3)
    assert np.abs(found.rotation - motion[:3, :3]).max() < 2e-3
    assert np.abs(found.translation - motion[:3, 3]).max() < 5e-3


def test_every_key_frame_is_in_a_pair_and_long_clips_close_rounds() -> None:
    graph = pair_graph(12)
    assert {view for pair in graph for view in pair} == set(range(12))
    assert all(first < second <= first + 4 for first, second in graph)
    assert [second for _, second in graph] == sorted(second for _, second in graph)
    far = [pair for pair in pair_graph(400) if pair[1] - pair[0] > 4]
    assert 0 < len(far) < 400
