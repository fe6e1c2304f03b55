"""What the joint solve is given: measurements, associations and initial values, as tensors.

F frames, K key frames, T frames of one person, L landmarks, P points of a body, M observations of scene points.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .body_points import BodyPoints
from .self_collision import Volume
from .state import Body, Layout, State


@dataclass(frozen=True)
class Surfaces:
    """What lies under N contacts: row (N,) point of the body, frame (N,) of the person, normal (N,3) of the plane in
    the world, reach (N,): how far the skin lies beyond that point against the normal, m, weight (N,) 0..1.

    The plane goes with the camera that saw it: local (N,3) is a point of it in the axes of the camera of frame
    seen_from (N,), scene units, as the lens and the depth map of number depth (N,) were before the solve (-1: no map).
    """

    row: Tensor
    frame: Tensor
    local: Tensor
    seen_from: Tensor
    normal: Tensor
    depth: Tensor
    reach: Tensor
    weight: Tensor


@dataclass(frozen=True)
class StaticPairs:
    """G points (row (G,)) on N pairs of frames first (N,), second (N,) of the person, span (N,) s apart: how much
    (weight (N,G)) each point stands still from one to the other."""

    row: Tensor
    first: Tensor
    second: Tensor
    span: Tensor
    weight: Tensor


@dataclass(frozen=True)
class PersonProblem:
    """One person: index (T,) position of their frames among all frames, time (T,) s.

    The first L points of ``points`` are landmarks, seen at pixel (T,L,2) of the undistorted image with confidence
    (T,L) and standard deviation sigma (T,L) px; the next is the pelvis. ``initial`` is the estimate of the body.
    height_dirs (B,) and height_rest: height of the body = rest + dirs . betas; height: what it should be, m, within
    height_sigma. volume: what must not pass through itself.
    """

    index: Tensor
    time: Tensor
    points: BodyPoints
    pixel: Tensor
    confidence: Tensor
    sigma: Tensor
    initial: Body
    surfaces: Surfaces
    static: StaticPairs
    height_rest: float
    height_dirs: Tensor
    height: float
    height_sigma: float
    volume: Volume

    @property
    def landmarks(self) -> int:
        return int(self.pixel.shape[1])


@dataclass(frozen=True)
class SightingPairs:
    """Pairs of sightings of the same point, in R rows of W: first, second (R,W), the number of all sightings where a
    row has no more. All pairs of a row are of key frames before and after (R,), before <= after."""

    first: Tensor
    second: Tensor
    before: Tensor
    after: Tensor


@dataclass(frozen=True)
class Observations:
    """M sightings of scene points: frame (M,), keyframe (M,), point (M,), pixel (M,2) of the undistorted image.

    map (M,): number of the depth map of that key frame, -1 where it says nothing there; log_depth (M,): logarithm of
    the depth that it gives the point. pairs: sightings of the same point (with itself), for the Schur complement.
    """

    frame: Tensor
    keyframe: Tensor
    point: Tensor
    pixel: Tensor
    map: Tensor
    log_depth: Tensor
    pairs: SightingPairs

    def none(self) -> Observations:
        """No sightings."""
        number, pairs = self.frame[:0], self.pairs
        no_pairs = SightingPairs(pairs.first[:0], pairs.second[:0], number, number)
        return Observations(number, number, number, self.pixel[:0], number, self.log_depth[:0], no_pairs)


@dataclass(frozen=True)
class Problem:
    """Everything fixed while solving. keyframe (K,) frame positions; free (Z,) which border columns may move.

    depth_frame (D,): the frame of each depth map; depth_prior (D,): its log scale against the scene points and the
    sigma of that, depth_sigma (D,).
    """

    keyframe: Tensor
    people: tuple[PersonProblem, ...]
    observations: Observations
    initial: State
    layout: Layout
    free: Tensor
    depth_frame: Tensor
    depth_prior: Tensor
    depth_sigma: Tensor
    image_long_side: float
