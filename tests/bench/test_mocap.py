"""Motion capture on our body: feet stand exactly where the recording stands."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench.sample.motion import betas_of_height
from bench.sequences.bvh import BvhError, read_bvh
from bench.sequences.make import make
from bench.sequences.mocap import footsteps, move_like, performance
from bench.sequences.recorded import Recording
from josh_blender.scene4d.body import load_default_body
from josh_blender.scene4d.files import read_scene

MOCAP = Path(__file__).parents[2].parent / "shared" / "data" / "mocap.bvh"
pytestmark = pytest.mark.skipif(not MOCAP.exists(), reason="no motion capture beside the project")


@pytest.fixture(scope="module")
def body():
    return load_default_body()


@pytest.fixture(scope="module")
def recording():
    return read_bvh(MOCAP)


def test_feet_stay_on_the_ground_while_they_touch(body, recording):
    betas = betas_of_height(body, 1.75)
    motion = move_like(recording, body, betas, 17.0 + np.arange(60) / 30.0, (0.0, 3.0), 0.0, lock=0.00004)
    skinned = np.stack([body.skin(betas, p, t)[0] for p, t in zip(motion.poses, motion.trans, strict=True)])
    feet = body.weights[:, [7, 8, 10, 11]].sum(axis=1) > 0.5
    assert skinned[:, feet, 2].min() > -0.002
    for region, vertex in enumerate(body.foot_vertices):
        down = motion.contact[:, region] > 0
        both = down[1:] & down[:-1]
        assert np.linalg.norm(np.diff(skinned[:, vertex], axis=0), axis=-1)[both].max(initial=0) < 0.001
    assert motion.contact[:, :4].any(axis=1).mean() > 0.5


def test_steps_of_a_side_follow_one_another(body, recording):
    betas = betas_of_height(body, 1.75)
    steps = footsteps(performance(recording, body, betas, (0.0, 3.0), 0.0), body, betas)
    for side in (0, 1):
        own = [step for step in steps if step.side == side]
        assert len(own) > 2
        assert all(before.toe_off < after.touchdown for before, after in pairwise(own))


def test_a_file_without_a_needed_joint_is_refused(body, recording):
    names = tuple("Other" if name == "LeftKnee" else name for name in recording.names)
    with pytest.raises(BvhError, match="no joint LeftKnee"):
        performance(replace(recording, names=names), body, betas_of_height(body, 1.75), (0.0, 0.0), 0.0)


def test_a_recording_becomes_a_scene(tmp_path):
    recording = Recording(MOCAP, start=17.0, seconds=1.0, height=1.8)
    assert make(recording.shot(), tmp_path, Path("no blender"), truth_only=True, recording=recording)
    assert not make(recording.shot(), tmp_path, Path("no blender"), truth_only=True, recording=recording)
    other = replace(recording, start=18.0)
    assert make(other.shot(), tmp_path, Path("no blender"), truth_only=True, recording=other)
    scene = read_scene(tmp_path / "mocap_truth.scene4d")
    assert len(scene.people) == 1 and scene.people[0].height == pytest.approx(1.8, abs=0.01)
    assert len(scene.camera.frame) == 30


def test_a_part_beyond_the_recording_is_refused(body):
    recording = Recording(MOCAP, start=30.0, seconds=10.0)
    with pytest.raises(BvhError, match=r"mocap.bvh lasts 32.5 s"):
        recording.compose(recording.shot(), body)
