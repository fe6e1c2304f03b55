"""Motion capture on a body in SMPL format: recorded pelvis and upper body, feet locked where the recording stands."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.sample.feet import Foot
from bench.sample.footsteps import LEFT, RIGHT, Footstep
from bench.sample.motion import Motion, Performance, Style, animate
from bench.sample.turns import upright
from josh_blender.scene4d.body import BodyModel, forward_kinematics
from josh_blender.scene4d.conventions import JOINT_NAMES

from .bvh import Bvh, BvhError

Array = NDArray[Any]

#: The joint of the file that turns each SMPL joint; hands and toes beyond the last joint of the file keep still.
_NAMES = {
    "pelvis": "Hips", "spine1": "Chest", "spine2": "Chest2", "spine3": "Chest4", "neck": "Neck", "head": "Head",
    **{
        f"{low}_{ours}": f"{high}{theirs}"
        for low, high in (("left", "Left"), ("right", "Right"))
        for ours, theirs in {
            "hip": "Hip", "knee": "Knee", "ankle": "Ankle", "foot": "Toe", "collar": "Collar", "shoulder": "Shoulder",
            "elbow": "Elbow", "wrist": "Wrist",
        }.items()
    },
}  # fmt: skip
#: A foot stands while its sole is this low (m) and slow (m/s) for this long (s).
_LOW, _SLOW, _SHORTEST = 0.05, 0.35, 0.13


def performance(motion: Bvh, body: BodyModel, betas: Array, position: tuple[float, float], yaw: float) -> Performance:
    """The recording on a body that starts at ``position`` (x, y); the file's +Z becomes the heading ``yaw``.

    The file rests in a T-pose, Y up, facing +Z; lengths are scaled by those of the legs.

    Raises:
        BvhError: joints are missing or the file rests in another pose.
    """
    missing = [name for name in _NAMES.values() if name not in motion.names]
    if missing:
        raise BvhError(f"The motion has no joint {missing[0]}.")
    at = {ours: motion.names.index(theirs) for ours, theirs in _NAMES.items()}
    _check_rest(motion, at)
    turned = np.empty_like(motion.rotations)
    for joint, parent in enumerate(motion.parents):
        own = motion.rotations[:, joint]
        turned[:, joint] = own if parent < 0 else turned[:, parent] @ own
    local = np.broadcast_to(np.eye(3), (len(turned), len(JOINT_NAMES), 3, 3)).copy()
    place_from_file = upright(yaw)
    for joint, name in enumerate(JOINT_NAMES):
        if name not in at:
            continue
        parent = body.parents[joint]
        world = turned[:, at[name]]
        if parent < 0:
            local[:, joint] = place_from_file @ world
        else:
            local[:, joint] = np.swapaxes(turned[:, at[JOINT_NAMES[parent]]], -1, -2) @ world
    rest = body.joints(betas)
    ours = rest[JOINT_NAMES.index("left_hip"), 1] - rest[JOINT_NAMES.index("left_ankle"), 1]
    theirs = -motion.offsets[at["left_knee"], 1] - motion.offsets[at["left_ankle"], 1]
    pelvis = (motion.root - motion.root[0] * [1, 0, 1]) * (ours / theirs) @ place_from_file.T
    pelvis += np.append(position, 0.0)
    heights = [track[:, 2] for track in _soles(Performance(motion.interval, pelvis, local), body, betas)]
    # Whatever the file calls zero: the soles of the one who stands are on the ground.
    pelvis[:, 2] -= np.percentile(np.minimum(*heights), 10)
    return Performance(motion.interval, pelvis, local)


def _check_rest(motion: Bvh, at: dict[str, int]) -> None:
    wanted = {"left_elbow": (1, 0, 0), "right_elbow": (-1, 0, 0), "left_knee": (0, -1, 0), "right_knee": (0, -1, 0)}
    for name, direction in wanted.items():
        bone = motion.offsets[at[name]]
        if bone @ np.array(direction) < 0.94 * np.linalg.norm(bone):
            raise BvhError("The motion does not rest in a T-pose that faces +Z.")


def _soles(recorded: Performance, body: BodyModel, betas: Array) -> list[Array]:
    """Tracks (T, 3) of the lower of heel and ball joints, by side, with the foot's height taken off."""
    joints = body.joints(betas)
    placed = forward_kinematics(recorded.local, joints, body.parents)[1] + (recorded.pelvis - joints[0])[:, None]
    tracks = []
    for side, name in ((LEFT, "left"), (RIGHT, "right")):
        ankle = placed[:, JOINT_NAMES.index(f"{name}_ankle")]
        tracks.append(ankle - [0.0, 0.0, Foot(body, betas, side).height])
    return tracks


def footsteps(recorded: Performance, body: BodyModel, betas: Array) -> list[Footstep]:
    """Where the recorded feet stand, on flat ground."""
    steps: list[Footstep] = []
    turned = forward_kinematics(recorded.local, body.joints(betas), body.parents)[0]
    for side, track in zip((LEFT, RIGHT), _soles(recorded, body, betas), strict=True):
        ahead = turned[:, JOINT_NAMES.index(("left_ankle", "right_ankle")[side])] @ [0.0, 0.0, 1.0]
        yaw = np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0]))
        speed = np.linalg.norm(np.gradient(track, recorded.interval, axis=0), axis=-1)
        stands = np.flatnonzero((track[:, 2] < _LOW) & (speed < _SLOW))
        runs = [r for r in np.split(stands, np.flatnonzero(np.diff(stands) > 2) + 1) if len(r)]
        runs = [run for run in runs if (run[-1] - run[0]) * recorded.interval >= _SHORTEST]
        if not runs:
            raise BvhError("The feet of the motion never stand.")
        for number, run in enumerate(runs):
            ankle = np.median(track[run], axis=0)
            last = number == len(runs) - 1
            toe_off = np.inf if last else float(run[-1] * recorded.interval)
            top = 0.0 if last else float(track[run[-1] : runs[number + 1][0] + 1, 2].max())
            steps.append(
                Footstep(
                    side, (float(ankle[0]), float(ankle[1])), 0.0, float(np.median(yaw[run])),
                    float(run[0] * recorded.interval) if number else -np.inf, toe_off - 0.1, toe_off,
                    push=np.radians(14.0), lift=max(0.0, top - 0.06),
                )
            )  # fmt: skip
    return steps


def move_like(
    motion: Bvh, body: BodyModel, betas: Array, times: Array, position: tuple[float, float], yaw: float, lock: float
) -> Motion:
    """The recording at times (T,) in s on flat ground.

    Raises:
        BvhError: the file cannot be used.
    """
    recorded = performance(motion, body, betas, position, yaw)
    flat = lambda points: np.zeros(np.shape(points)[:-1])  # noqa: E731
    steps = footsteps(recorded, body, betas)
    return animate(body, betas, steps, flat, times, Style(press=True), lock=lock, recorded=recorded)
