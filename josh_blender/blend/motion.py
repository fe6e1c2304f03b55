"""SMPL motion -> local channels of bones. Numpy alone.

With C the turn of SMPL's rest space into armature space and B a bone's rest orientation, SMPL's local rotation R about
a joint is the bone rotation L^T R L with L = C^T B; for an axis-angle vector a that is the vector L^T a. The bone
``root`` carries the ground track: x and y of the pelvis at z = 0, and the heading; the pelvis carries the rest, so
that together they are exactly SMPL's pelvis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..scene4d.conventions import JOINT_COUNT
from ..scene4d.rotations import continuous_quaternions, matrix_from_axis_angle, quaternion_from_matrix
from .skeleton import ARMATURE_FROM_SMPL

#: Below this share of the rotation about the vertical the heading of a body (upside down) means nothing.
_LEAST_TWIST = 0.1


@dataclass
class BodyChannels:
    """root_location, pelvis_location (T,3); root_quaternion (T,4), quaternions (T,24,4): w x y z, continuous in T."""

    root_location: np.ndarray
    root_quaternion: np.ndarray
    pelvis_location: np.ndarray
    quaternions: np.ndarray


def _quaternion_from_vector(vector: np.ndarray) -> np.ndarray:
    angle = np.linalg.norm(vector, axis=-1, keepdims=True)
    return np.concatenate([np.cos(angle / 2.0), 0.5 * np.sinc(angle / (2.0 * np.pi)) * vector], axis=-1)


def headings(rotations: np.ndarray) -> np.ndarray:
    """Angles (T,) about Z, unwrapped, of rotations (T,3,3) from armature space to the world: their twist about Z.

    Where a body is upside down the twist is undefined, and the angle is interpolated over time.
    """
    quaternions = quaternion_from_matrix(rotations)
    w, z = quaternions[:, 0], quaternions[:, 3]
    good = np.hypot(w, z) > _LEAST_TWIST
    if not np.any(good):
        return np.zeros(len(rotations))
    index = np.arange(len(rotations))
    return np.interp(index, index[good], np.unwrap(2.0 * np.arctan2(z[good], w[good])))


def _about_z(angles: np.ndarray) -> np.ndarray:
    vectors = np.zeros((len(angles), 3))
    vectors[:, 2] = angles
    return vectors


def bone_channels(
    poses: np.ndarray, pelvis_world: np.ndarray, bone_rotations: np.ndarray, pelvis_rest: np.ndarray
) -> BodyChannels:
    """Local channels of the 24 bones and ``root``.

    Args:
        poses: (T,72) SMPL axis-angle; the first three turn SMPL's rest space into the world.
        pelvis_world: (T,3) pelvis joints in the world.
        bone_rotations: (24,3,3) rest orientations of the bones in armature space (``bone.matrix_local``).
        pelvis_rest: (3,) head of the pelvis bone in armature space.
    """
    vectors = np.asarray(poses, dtype=np.float64).reshape(-1, JOINT_COUNT, 3)
    local = np.einsum("ij,kjl->kil", ARMATURE_FROM_SMPL.T, bone_rotations)
    quaternions = _quaternion_from_vector(np.einsum("kij,tki->tkj", local, vectors))

    world_from_armature = matrix_from_axis_angle(vectors[:, 0]) @ ARMATURE_FROM_SMPL.T
    angles = headings(world_from_armature)
    heading = matrix_from_axis_angle(_about_z(angles))
    ground = pelvis_world * np.array([1.0, 1.0, 0.0])
    from_root = np.swapaxes(heading, 1, 2)
    pelvis = bone_rotations[0]
    quaternions[:, 0] = quaternion_from_matrix(pelvis.T @ from_root @ world_from_armature @ pelvis)
    in_root = np.einsum("tij,tj->ti", from_root, pelvis_world - ground)
    return BodyChannels(
        root_location=ground,
        root_quaternion=continuous_quaternions(_quaternion_from_vector(_about_z(angles))),
        pelvis_location=(in_root - pelvis_rest) @ pelvis,
        quaternions=continuous_quaternions(quaternions),
    )
