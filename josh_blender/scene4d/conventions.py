"""Names and orders that every part of the project shares.

World: metres, right-handed, Z up. The origin lies on the ground under the first camera and +Y is the first camera's
horizontal heading. Camera axes: x right, y down, z forward. Pixels: the origin is the outer corner of the top-left
pixel, so the centre of that pixel is at (0.5, 0.5).
"""

from __future__ import annotations

FORMAT_VERSION = (1, 0)

#: The 24 joints of SMPL in SMPL's order.
JOINT_NAMES: tuple[str, ...] = (
    "pelvis",
    "left_hip",
    "right_hip",
    "spine1",
    "left_knee",
    "right_knee",
    "spine2",
    "left_ankle",
    "right_ankle",
    "spine3",
    "left_foot",
    "right_foot",
    "neck",
    "left_collar",
    "right_collar",
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hand",
    "right_hand",
)
#: Parent of each joint in the kinematic tree; the pelvis has none (-1).
JOINT_PARENTS: tuple[int, ...] = (
    -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21,
)  # fmt: skip
JOINT_COUNT = len(JOINT_NAMES)

#: Parts of the body that can touch the scene.
CONTACT_REGIONS: tuple[str, ...] = (
    "left_heel",
    "left_ball",
    "right_heel",
    "right_ball",
    "left_knee",
    "right_knee",
    "left_hand",
    "right_hand",
    "left_elbow",
    "right_elbow",
    "seat",
    "back",
    "head",
)

#: Mask value of a person who is seen but not reconstructed (crowds, passers-by).
MASK_UNTRACKED = 255

CAMERA_KINDS: tuple[str, ...] = ("moving", "static", "pan")
