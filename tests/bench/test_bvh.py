"""The reader of motion capture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.sequences.bvh import BvhError, read_bvh

MOCAP = Path(__file__).parents[2].parent / "shared" / "data" / "mocap.bvh"
TWO_BONES = """HIERARCHY
ROOT Hips
{
 OFFSET 0 0 0
 CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
 JOINT Knee
 {
  OFFSET 0 -40 0
  CHANNELS 3 Zrotation Xrotation Yrotation
  End Site
  {
   OFFSET 0 -40 0
  }
 }
}
MOTION
Frames: 2
Frame Time: 0.025
1 2 3 0 0 0 0 0 0
1 2 3 90 0 0 0 90 0
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "two.bvh"
    path.write_text(text)
    return path


def test_joints_are_where_the_angles_put_them(tmp_path):
    motion = read_bvh(written(tmp_path, TWO_BONES))
    assert motion.names == ("Hips", "Knee") and motion.parents == (-1, 0) and motion.interval == 0.025
    # A quarter turn about Z takes the bone from -Y to +X.
    np.testing.assert_allclose(motion.positions(), [[[1, 2, 3], [1, -38, 3]], [[1, 2, 3], [41, 2, 3]]], atol=1e-12)
    # Then one about X of the turned joint: what hung down on the knee points along the knee's -Z.
    world = motion.rotations[1, 0] @ motion.rotations[1, 1]
    np.testing.assert_allclose(world @ [0, -40, 0], [0, 0, -40], atol=1e-12)


def test_first_channel_is_outermost(tmp_path):
    motion = read_bvh(written(tmp_path, TWO_BONES.replace("1 2 3 90 0 0 0 90 0", "0 0 0 90 90 0 0 0 0")))
    # About X first, then about Z: y -> z, x -> y.
    np.testing.assert_allclose(motion.rotations[1, 0] @ [0, 1, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(motion.rotations[1, 0] @ [1, 0, 0], [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("HIERARCHY", "NOTHING"),
        ("MOTION", ""),
        ("CHANNELS 3 Zrotation", "CHANNELS 3 Wrotation"),
        ("Frames: 2", "Frames: 3"),
        ("Frame Time: 0.025", "Frame Time: 0"),
        ("90 0 0 0 90 0", "nan 0 0 0 90 0"),
        ("OFFSET 0 -40 0", "OFFSET 0 x 0"),
        ("  End Site\n  {", "  End Site\n"),
        ("}\nMOTION", "MOTION"),
    ],
)
def test_damaged_files_are_refused_in_one_sentence(tmp_path, old, new):
    assert old in TWO_BONES
    with pytest.raises(BvhError, match=r"^two\.bvh .*\.$"):
        read_bvh(written(tmp_path, TWO_BONES.replace(old, new, 1)))


@pytest.mark.skipif(not MOCAP.exists(), reason="no motion capture beside the project")
def test_real_motion_capture():
    motion = read_bvh(MOCAP)
    assert motion.rotations.shape == (1300, 23, 3, 3) and motion.interval == 0.025
    positions = motion.positions()
    lengths = np.linalg.norm(positions[:, 1:] - positions[:, list(motion.parents[1:])], axis=-1)
    np.testing.assert_allclose(lengths, np.broadcast_to(np.linalg.norm(motion.offsets[1:], axis=-1), lengths.shape))
    head = positions[:, motion.names.index("Head"), 1]
    # Centimetres, Y up.
    assert np.median(head) > 120
