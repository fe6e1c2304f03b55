"""Every weight of the joint solve in one place. Residuals are divided by these sigmas before they are squared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SolverSettings:
    """Sigmas and limits of the joint solve (docs/solver.md gives the equations).

    correspondence_px: L_2D of scene points, px of an image 512 px long. landmark: share of the person's size on the
    image (focal / distance, px per metre of body), so 0.01 is 1 cm seen square on; landmark_floor_px: at least this.
    contact: distance of skin to the surface that it touches, m (L_c1). static: speed of a point in contact, m/s (L_c2);
    unlabelled: how much a foot that is seen and has no label counts as one that stands (labels miss ends of stands).
    root_side, root_depth: the body's place against its estimate, m and share of its depth (one error of depth per
    track, not one per frame: the sigma of a frame grows with the root of their number); pose_degrees, betas:
    likewise (L_p). height_known, height_unknown: the body's height, m (people differ by more, but errors of landmarks
    and poses do not average out over frames and would buy themselves another height). acceleration: of the pelvis in
    the world, m/s^2; turn_acceleration: of every joint, rad/s^2. depth_scale: a depth map against the scene points,
    relative, where it shows too few of them; depth_share: the depth that a map gives one scene point, relative (L_3D).
    camera_degrees, camera_share, focal: key frames and lens against structure from motion, the second as a share of the
    camera path, the third relative; zoom: how much a zoom's focal length may drift from what it was found to be, from
    one key frame to the next, relative. iterations: most steps of a solve; first_damping: that of its first, relative
    to the diagonal; coarse_spacing: how many seconds apart the frames of people are in the first of the two solves;
    coarse_tolerance, tolerance: relative decrease of the cost that ends the first and the second; points_per_keyframe:
    of how many scene points, those seen longest, every key frame has its sightings take part. self_collision_m: how
    deep limbs are in each other.
    """

    correspondence_px: float = 1.0
    landmark: float = 0.02
    landmark_floor_px: float = 1.0
    contact: float = 0.02
    static: float = 0.06
    unlabelled: float = 0.1
    root_side: float = 0.05
    root_depth: float = 0.05
    pose_degrees: float = 10.0
    betas: float = 0.2
    height_known: float = 0.001
    height_unknown: float = 0.01
    acceleration: float = 4.0
    turn_acceleration: float = 25.0
    self_collision_m: float = 0.02
    depth_scale: float = 0.01
    depth_share: float = 0.02
    camera_degrees: float = 0.5
    camera_share: float = 0.02
    focal: float = 0.002
    zoom: float = 0.003
    iterations: int = 12
    first_damping: float = 1e-4
    coarse_spacing: float = 1.0 / 6.0
    coarse_tolerance: float = 5e-5
    tolerance: float = 5e-4
    points_per_keyframe: int = 150
