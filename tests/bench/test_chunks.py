"""Long videos by the first-order method: where chunks begin, how they are put together, and figures over many rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.baseline import adam, chunks, depths, problem, result
from bench.controlled import pool, rows
from bench.controlled.inputs import make_inputs
from bench.controlled.truth import moved_body
from josh_blender.engine.results import JointResult, PersonWorld
from josh_blender.scene4d.camera import invert_rigid, rigid
from josh_blender.scene4d.rotations import axis_angle_from_matrix, matrix_from_axis_angle

FRAMES, STEP = 26, 5


@pytest.fixture(scope="module")
def inputs(model, short_walk, tmp_path_factory):
    folder = tmp_path_factory.mktemp("depth")
    return make_inputs(short_walk.truth, short_walk.views, short_walk.sightings, model, 1.0, 0, folder)


@pytest.fixture
def short(monkeypatch):
    """Chunks of 11 frames, the last of up to 20: the small inputs are 0 to 10 and 10 to 25."""
    monkeypatch.setattr(chunks, "INTERVALS", 2)


# --- where they begin ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (1, [(0, 1)]),
        (101, [(0, 101)]),
        (102, [(0, 102)]),
        (200, [(0, 200)]),
        (201, [(0, 101), (100, 201)]),
        (202, [(0, 101), (100, 202)]),
        (300, [(0, 101), (100, 300)]),
        (301, [(0, 101), (100, 201), (200, 301)]),
        (900, [*((start, start + 101) for start in range(0, 700, 100)), (700, 900)]),
    ],
)
def test_chunks_begin_every_hundred_frames_and_the_last_takes_up_to_two_hundred(frames, expected):
    assert chunks.spans(frames, STEP) == expected


def test_chunks_have_as_many_key_frames_at_any_frame_rate():
    assert chunks.spans(400, 10) == [(0, 400)]
    assert chunks.spans(402, 10) == [(0, 201), (200, 402)]


def test_a_short_video_is_one_chunk_as_it_is(inputs):
    assert chunks.chunks_of(inputs) == [inputs]


# --- what is in them -------------------------------------------------------------------------------------------------


def test_a_chunk_has_everything_of_its_frames(inputs, short):
    first, second = chunks.chunks_of(inputs)
    np.testing.assert_array_equal(first.scene.keyframe, [0, 5, 10])
    np.testing.assert_array_equal(second.scene.keyframe, [0, 5, 10, 15])
    assert first.depths == inputs.depths[:3] and second.depths == inputs.depths[2:]
    np.testing.assert_array_equal(second.frames.frame, np.arange(10, 26))
    np.testing.assert_array_equal(second.scene.world_from_camera, inputs.scene.world_from_camera[10:])
    later = inputs.matches.keyframe >= 2
    np.testing.assert_array_equal(second.matches.keyframe, inputs.matches.keyframe[later] - 2)
    np.testing.assert_array_equal(second.matches.pixel, inputs.matches.pixel[later])
    assert len(second.scene.observation_pixel) == int((second.matches.depth > 0.0).sum())
    whole, fit, labels = inputs.bodies.people[0], second.bodies.people[0], second.contact.people[0]
    np.testing.assert_array_equal(fit.index + 10, whole.index[whole.index >= 10])
    np.testing.assert_array_equal(fit.trans, whole.trans[whole.index >= 10])
    np.testing.assert_array_equal(labels.contact, inputs.contact.people[0].contact[whole.index >= 10])
    np.testing.assert_array_equal(second.people.tracks[0].index, fit.index)
    assert len(second.people.tracks[0].box) == len(fit.index)


def with_rows(inputs, kept):
    """The person on some frames only."""
    index = inputs.bodies.people[0].index
    chosen = np.flatnonzero(np.isin(index, kept))
    fit, label = inputs.bodies.people[0], inputs.contact.people[0]
    rows_of = {name: getattr(fit, name)[chosen] for name in ("index", "poses", "trans", "confidence", "landmark_error")}
    return replace(
        inputs,
        bodies=replace(inputs.bodies, people=[replace(fit, **rows_of)]),
        contact=replace(inputs.contact, people=[replace(label, contact=label.contact[chosen])]),
        people=replace(inputs.people, tracks=[]),
    )


@pytest.mark.parametrize(
    ("kept", "key_frames"),
    [
        (np.arange(FRAMES), (3, 4)),
        (np.arange(8), (2, None)),
        (np.arange(8, 13), (1, 1)),
        (np.arange(11, 14), (None, 0)),
        (np.r_[0:7, 18:26], (2, 2)),
    ],
    ids=["everywhere", "nobody in the second", "one key frame of each", "on no key frame", "a gap"],
)
def test_people_may_be_missing_from_chunks_and_key_frames(inputs, model, short, kept, key_frames):
    part = with_rows(inputs, kept)
    for chunk, count in zip(chunks.chunks_of(part), key_frames, strict=True):
        posed = problem.make_problem(chunk, model, problem.AS_RELEASED)
        assert [len(person.keys) for person in posed.people] == ([count] if count else [])
        assert len(chunk.bodies.people) == (count is not None)
    solved = chunks.solve(part, model, problem.REPAIRED, (2, 2))
    assert len(solved.states) == 2 and len(solved.depths) == len(inputs.depths)
    assert solved.joint.world_from_camera.shape == (FRAMES, 4, 4) and solved.joint.intrinsics.shape == (FRAMES, 4)
    person = solved.joint.people[0]
    np.testing.assert_array_equal(person.index, kept)
    assert np.isfinite(person.trans).all() and np.isfinite(person.poses).all()
    np.testing.assert_array_equal(person.contact, part.contact.people[0].contact)


def test_one_chunk_is_solved_as_ever(inputs, model):
    solved = chunks.solve(inputs, model, problem.REPAIRED, (3, 2))
    posed = problem.make_problem(inputs, model, problem.REPAIRED)
    joint = result.joint_result(posed, adam.solve(posed, problem.REPAIRED, (3, 2)).state, inputs, model)
    np.testing.assert_array_equal(solved.joint.world_from_camera, joint.world_from_camera)
    np.testing.assert_array_equal(solved.joint.people[0].trans, joint.people[0].trans)
    assert solved.joint.scale == joint.scale


def test_each_map_has_its_own_size(inputs, model):
    posed = problem.make_problem(inputs, model, problem.REPAIRED)
    state = adam.state_of(posed, adam.start(posed), adam.tree_levels(posed))
    sizes = torch.linspace(0.5, 1.5, posed.keyframes, dtype=torch.float64)
    maps = depths.depths_of(posed, replace(state, log_size=sizes.log()), inputs)
    for found, given, size in zip(maps, inputs.depths, sizes, strict=True):
        np.testing.assert_allclose(found, float(size) * given.depth, rtol=1e-9)


# --- put together ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(model):
    """A perfect result of 301 frames with somebody everywhere and somebody who comes and goes; the world is the first
    camera."""
    rng = np.random.default_rng(5)
    time = np.linspace(0.0, 1.0, 301)
    turn = matrix_from_axis_angle(time[:, None] * [0.2, 1.5, 0.1])
    camera = rigid(turn, np.stack([3.0 * time, np.sin(4.0 * time), time**2], 1))
    people = []
    for track_id, index in ((1, np.arange(301)), (7, np.r_[120:170, 260:280])):
        count = len(index)
        people.append(
            PersonWorld(
                track_id, index, rng.normal(size=10), 0.3 * rng.normal(size=(count, 72)), rng.normal(size=(count, 3)),
                rng.random(count), rng.random((count, 10)),
            )
        )  # fmt: skip
    intrinsics = np.tile([500.0, 500.0, 320.0, 180.0], (301, 1))
    return JointResult(
        invert_rigid(camera[0]) @ camera, intrinsics, np.zeros(5), 1.3, 0.0, "height", people, np.zeros(0)
    )


def elsewhere(joint, model, seed):
    """The same result in other axes."""
    rng = np.random.default_rng(seed)
    motion = rigid(matrix_from_axis_angle(rng.normal(size=3)), rng.normal(size=3))
    people = []
    for person in joint.people:
        poses, trans = moved_body(motion, person.poses, person.trans, model.joints(person.betas)[0])
        people.append(replace(person, poses=poses, trans=trans))
    return replace(joint, world_from_camera=motion @ joint.world_from_camera, people=people)


def cut(whole, model):
    spans = chunks.spans(len(whole.world_from_camera), STEP)
    return [elsewhere(chunks.part_of(whole, *span), model, number) for number, span in enumerate(spans)]


def test_a_cut_result_is_put_together_again_wherever_its_pieces_lie(whole, model):
    pieces = cut(whole, model)
    assert [[person.track_id for person in piece.people] for piece in pieces] == [[1], [1, 7], [1, 7]]
    joint = chunks.joined(pieces, model)
    np.testing.assert_allclose(joint.world_from_camera, whole.world_from_camera, atol=1e-9)
    np.testing.assert_allclose(joint.intrinsics, whole.intrinsics)
    assert joint.scale == whole.scale
    for found, person in zip(joint.people, whole.people, strict=True):
        assert found.track_id == person.track_id
        for name in ("index", "confidence", "contact"):
            np.testing.assert_array_equal(getattr(found, name), getattr(person, name))
        for name in ("betas", "trans"):
            np.testing.assert_allclose(getattr(found, name), getattr(person, name), atol=1e-9)
        turned, true = (matrix_from_axis_angle(poses.reshape(-1, 24, 3)) for poses in (found.poses, person.poses))
        np.testing.assert_allclose(turned, true, atol=1e-9)


def test_betas_are_averaged_over_frames_and_the_pelvis_stays(whole, model):
    pieces = cut(whole, model)
    other = np.linspace(-2.0, 2.0, 10)
    changed = []
    for person in pieces[2].people:
        # The same pelvis with other betas.
        shift = model.joints(person.betas)[0] - model.joints(other)[0]
        changed.append(replace(person, betas=other, trans=person.trans + shift))
    joint = chunks.joined([*pieces[:2], replace(pieces[2], people=changed)], model)
    for found, person, share in zip(joint.people, whole.people, (101 / 303, 20 / 70), strict=True):
        np.testing.assert_allclose(found.betas, (1.0 - share) * person.betas + share * other, atol=1e-9)
        pelvis, true = (one.trans + model.joints(one.betas)[0] for one in (found, person))
        np.testing.assert_allclose(pelvis, true, atol=1e-9)


def test_the_later_chunk_has_the_shared_frame_and_lenses_are_averaged(whole, model):
    pieces = cut(whole, model)
    longer = replace(pieces[1], intrinsics=pieces[1].intrinsics * [1.3, 1.3, 1.0, 1.0])
    marked = replace(longer.people[0], confidence=np.full(101, 2.0))
    joint = chunks.joined([pieces[0], replace(longer, people=[marked, *longer.people[1:]]), pieces[2]], model)
    np.testing.assert_allclose(joint.intrinsics, np.tile([550.0, 550.0, 320.0, 180.0], (301, 1)))
    confidence = joint.people[0].confidence
    np.testing.assert_array_equal(np.flatnonzero(confidence == 2.0), np.arange(100, 200))


def test_nothing_reconciles_the_scales_of_chunks(whole, model):
    pieces = cut(whole, model)
    doubled = pieces[1].world_from_camera.copy()
    doubled[:, :3, 3] *= 2.0
    joint = chunks.joined([pieces[0], replace(pieces[1], world_from_camera=doubled, people=[]), pieces[2]], model)
    steps, true = (np.diff(one.world_from_camera[:, :3, 3], axis=0) for one in (joint, whole))
    ratio = np.linalg.norm(steps, axis=1) / np.linalg.norm(true, axis=1)
    np.testing.assert_allclose(ratio, np.repeat([1.0, 2.0, 1.0], 100), rtol=1e-6)
    turn = axis_angle_from_matrix(
        np.swapaxes(whole.world_from_camera, 1, 2)[:, :3, :3] @ joint.world_from_camera[:, :3, :3]
    )
    np.testing.assert_allclose(turn, 0.0, atol=1e-9)


# --- figures over many rows ------------------------------------------------------------------------------------------


def row(solver="ours", sequence="a", frames=100, people_frames=100, value=1.0, missed=0, level=1.0):
    return rows.Row(
        sequence, level, 0, solver, frames, value, value, value, "depth", value, value, value, value, value, 0.1,
        1 + missed, 1, people_frames,
    )  # fmt: skip


def test_means_are_over_frames_and_medians_over_inputs():
    some = [
        row(value=1.0, frames=100, people_frames=300),
        row(value=2.0, frames=200, people_frames=100, sequence="b"),
        row(value=9.0, frames=700, people_frames=100, sequence="c", missed=2),
        row("repaired", value=50.0),
    ]
    found = rows.pooled(some, "ours")
    for name in ("ate_m", "scale_percent", "focal_percent", "cost"):
        assert found[name] == rows.Pooled(pytest.approx(6.8), 2.0, 9.0)
    for name in ("wa_mpjpe_mm", "w_mpjpe_mm", "foot_sliding_mm"):
        assert found[name] == rows.Pooled(pytest.approx(2.8), 2.0, 9.0)
    # 12 seconds for 1000 frames.
    assert found["seconds_per_100"].mean == pytest.approx(1.2)
    assert rows.people_missed(some, "ours") == 2 and rows.people_missed(some, "repaired") == 0
    assert rows.pooled(some, "repaired")["ate_m"] == rows.Pooled(50.0, 50.0, 50.0)


def test_rows_without_a_value_do_not_count():
    some = [row(value=1.0), row(value=float("nan"), people_frames=0, sequence="b")]
    assert rows.pooled(some, "ours")["wa_mpjpe_mm"] == rows.Pooled(1.0, 1.0, 1.0)
    assert np.isnan(rows.pooled(some[1:], "ours")["wa_mpjpe_mm"].mean)


def test_files_are_put_together_and_no_input_counts_twice(tmp_path, capsys, monkeypatch):
    paths = [tmp_path / "first.json", tmp_path / "second.json"]
    rows.write([row(), row(sequence="b", value=3.0)], paths[0])
    rows.write([row(sequence="b", value=5.0), row("repaired")], paths[1])
    assert [(one.sequence, one.solver, one.ate_m) for one in rows.read(paths)] == [
        ("a", "ours", 1.0), ("b", "ours", 5.0), ("a", "repaired", 1.0),
    ]  # fmt: skip
    monkeypatch.setattr("sys.argv", ["pool", *map(str, paths)])
    assert pool.main() == 0
    printed = capsys.readouterr().out
    assert "2 inputs of 2 sequences, 200 frames" in printed
    assert "| scale error | 3.00 %; 3.00 % (5.00) | 1.00 %; 1.00 % (1.00) |" in printed


def test_the_table_ends_with_means_and_medians_per_level_and_solver():
    some = [row(value=1.0), row(value=4.0, frames=200, sequence="b"), row(level=2.0), row("released")]
    lines = rows.table(some).splitlines()
    assert len({len(line) for line in lines}) == 1
    ends = [line.split()[:3] for line in lines if line.startswith(("mean", "median"))]
    assert ends == [
        [kind, level, solver]
        for level, solver in (("1", "ours"), ("1", "released"), ("2", "ours"))
        for kind in ("mean", "median")
    ]
