"""The reference's problem on controlled inputs: matches with block-relative depths, contact entries, static pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from bench.controlled import structure
from bench.controlled.inputs import DepthView, Inputs
from josh_blender.engine.results import PersonFit
from josh_blender.engine.solver.body_points import BodyPoints, vertex_points
from josh_blender.scene4d.body import BodyModel
from josh_blender.scene4d.camera import project
from josh_blender.scene4d.conventions import JOINT_COUNT
from josh_blender.scene4d.rotations import matrix_from_axis_angle

Array = NDArray[Any]

LONG_SIDE = 512
#: An anchor stands for a block of 8 x 8 px of a picture 512 px long: 4 x 4 of the depth maps here.
BLOCK = 4
WINDOW = 10
_JOINT_REACH = 0.05
_TOUCHES = 0.5


@dataclass(frozen=True)
class Defects:
    """The released code's defects that are switches here; all off is "repaired".

    frame_slip (R8.9): contacts without a joint near them shift all later ones to wrong frames. block_depth (R8.10):
    contacts are filtered by block-relative depths. repeated_focal (R8.11): each step moves the shared focal once per
    key frame. free_matrices (R8.16): joint rotations leave SO(3).
    """

    frame_slip: bool = False
    block_depth: bool = False
    repeated_focal: bool = False
    free_matrices: bool = False


REPAIRED = Defects()
AS_RELEASED = Defects(True, True, True, True)
#: Largest ratio of depths between a contact and the scene beside it: released on block-relative depths; repaired on
#: the depths themselves, wide enough for their noise.
_RATIO_RELEASED, _RATIO_REPAIRED = 1.01, 1.05


@dataclass(frozen=True)
class Pairs:
    """C correspondences, each in both directions: key frames first, second (C,), pixels (C,2) about the centre at 512
    px, anchor depth over the median (C,) and ratio (C,) of each side."""

    first: Tensor
    second: Tensor
    pixel_first: Tensor
    pixel_second: Tensor
    anchor_first: Tensor
    anchor_second: Tensor
    ratio_first: Tensor
    ratio_second: Tensor


@dataclass(frozen=True)
class Contacts:
    """E entries of the contact scale: key frame, row of the person, point of the body, anchor depth over the median and
    ratio of the scene there (E,). S static pairs: rows before and after, point (S,)."""

    key: Tensor
    row: Tensor
    point: Tensor
    anchor: Tensor
    ratio: Tensor
    before: Tensor
    after: Tensor
    static_point: Tensor


@dataclass(frozen=True)
class ReferencePerson:
    """keys (T,) key frames; place (T,) rows of the fit; rotation (T,24,3,3), trans (T,3), betas (B,): the estimate.
    points: the contact vertices; share: this person's part of all SMPL terms."""

    track_id: int
    keys: Tensor
    place: Array
    rotation: Tensor
    trans: Tensor
    betas: Tensor
    points: BodyPoints
    contacts: Contacts
    share: float


@dataclass(frozen=True)
class ReferenceProblem:
    """K key frames; focal: px at 512 px, shared; median (K,) anchor depth; tree: edges (parent, child), root first."""

    focal: float
    median: Tensor
    pairs: Pairs
    people: tuple[ReferencePerson, ...]
    tree: tuple[tuple[int, int], ...]

    @property
    def keyframes(self) -> int:
        return len(self.median)


def make_problem(inputs: Inputs, model: BodyModel, defects: Defects) -> ReferenceProblem:
    """The reference's problem for all key frames of these inputs."""
    scene, source = inputs.scene, inputs.frames.source
    factor = LONG_SIDE / max(source.width, source.height)
    lens = np.asarray(scene.intrinsics)[scene.keyframe]
    medians = np.array([np.median(_anchors(view)[_anchors(view) > 0]) for view in inputs.depths])
    count = len(medians)
    edges = structure.spanning_tree(inputs.matches.keyframe, inputs.matches.point, count, WINDOW)
    keys = {int(frame): number for number, frame in enumerate(scene.keyframe)}
    kept = [(fit, [row for row, frame in enumerate(fit.index) if int(frame) in keys and fit.confidence[row] > 0])
            for fit in inputs.bodies.people]  # fmt: skip
    total = sum(len(rows) for _, rows in kept)
    labels = {person.track_id: person.contact for person in inputs.contact.people}
    people = []
    for fit, rows in kept:
        if rows:
            numbers = np.array([keys[int(fit.index[row])] for row in rows])
            people.append(
                _person(
                    fit, np.array(rows), numbers, labels[fit.track_id], inputs.depths, medians, model, defects,
                    len(rows) / total,
                )
            )  # fmt: skip
    return ReferenceProblem(
        float(lens[:, 0].mean() * factor),
        torch.as_tensor(medians),
        _pairs(inputs, medians, factor),
        tuple(people),
        tuple(edges),
    )


def _anchors(view: DepthView) -> Array:
    """Depth (rows,columns) at the anchors, one in the middle of each block."""
    return view.depth[BLOCK // 2 :: BLOCK, BLOCK // 2 :: BLOCK]


def anchor_of(view: DepthView, row: Array, column: Array, depth: Array) -> Array:
    """Depth (N,) of the anchors of pixels; where an anchor shows the sky, the pixel's own."""
    anchors = _anchors(view)
    found = anchors[np.minimum(row // BLOCK, anchors.shape[0] - 1), np.minimum(column // BLOCK, anchors.shape[1] - 1)]
    return np.where(found > 0.0, found, depth)


def _pairs(inputs: Inputs, medians: Array, factor: float) -> Pairs:
    matches, source = inputs.matches, inputs.frames.source
    good = matches.depth > 0.0
    keyframe, point = matches.keyframe[good], matches.point[good]
    centred = (matches.pixel[good] - 0.5 * np.array([source.width, source.height])) * factor
    depth, anchor = matches.depth[good], np.zeros(int(good.sum()))
    for number, view in enumerate(inputs.depths):
        rows = np.flatnonzero(keyframe == number)
        size = np.array(view.depth.shape[::-1]) / [source.width, source.height]
        column, row = (matches.pixel[good][rows] * size).astype(int).T
        anchor[rows] = anchor_of(view, row, column, depth[rows])
    firsts, seconds = [], []
    for a in range(len(medians)):
        for b in range(a + 1, min(a + WINDOW + 1, len(medians))):
            at_a, at_b = structure.shared(keyframe, point, a, b)
            # Pairs are listed in both directions, so each correspondence counts twice (R2).
            firsts += [at_a, at_b]
            seconds += [at_b, at_a]
    first, second = np.concatenate(firsts), np.concatenate(seconds)
    sides = [centred, anchor / medians[keyframe], depth / anchor]
    return Pairs(
        torch.as_tensor(keyframe[first]),
        torch.as_tensor(keyframe[second]),
        *(torch.as_tensor(side[rows]) for side in sides for rows in (first, second)),
    )


def _person(
    fit: PersonFit, rows: Array, keys: Array, labels: Array, depths: list[DepthView], medians: Array, model: BodyModel,
    defects: Defects, share: float,
) -> ReferencePerson:  # fmt: skip
    rotation = matrix_from_axis_angle(np.asarray(fit.poses, np.float64)[rows].reshape(-1, JOINT_COUNT, 3))
    trans, betas = np.asarray(fit.trans, np.float64)[rows], np.asarray(fit.betas, np.float64)
    chosen: list[Array] = []
    entries: list[tuple[int, int, int, float, float]] = []
    static: list[tuple[int, int, int]] = []
    names = list(model.region_names)
    slip = 0
    before: tuple[int, Array] | None = None
    for number, (row, key) in enumerate(zip(rows, keys, strict=True)):
        touching = [
            region for region in range(labels.shape[1]) if labels[row, region] >= _TOUCHES and region < len(names)
        ]
        contact = np.flatnonzero(np.isin(model.region_of_vertex, touching))
        vertices, joints = model.skin(betas, np.asarray(fit.poses)[row], trans[number])
        near = _nearest_to_joints(vertices, joints, contact)
        chosen.append(near)
        if len(contact) and not len(near):
            slip += int(defects.frame_slip)
            continue
        at = max(number - slip, 0)
        if before is not None:
            static += [(before[0], at, int(vertex)) for vertex in np.intersect1d(near, before[1]) if at > before[0]]
        before = (at, near)
        entries += [
            (int(key), at, *entry) for entry in _scene_under(vertices, near, depths[key], medians[key], defects)
        ]
    vertex = np.unique(np.concatenate([*chosen, [0]])).astype(int)
    table = np.array(entries, np.float64).reshape(-1, 5)
    pairs = np.array(static, np.int64).reshape(-1, 3)
    whole = [torch.as_tensor(table[:, column].astype(np.int64)) for column in (0, 1)]
    contacts = Contacts(
        *whole,
        torch.as_tensor(np.searchsorted(vertex, table[:, 2].astype(int))),
        torch.as_tensor(table[:, 3]),
        torch.as_tensor(table[:, 4]),
        torch.as_tensor(pairs[:, 0]),
        torch.as_tensor(pairs[:, 1]),
        torch.as_tensor(np.searchsorted(vertex, pairs[:, 2])),
    )
    points = vertex_points(model, vertex, len(betas))
    return ReferencePerson(
        fit.track_id, torch.as_tensor(keys), rows, torch.as_tensor(rotation), torch.as_tensor(trans),
        torch.as_tensor(betas), points, contacts, share,
    )  # fmt: skip


def _nearest_to_joints(vertices: Array, joints: Array, contact: Array) -> Array:
    """For each joint its nearest contact vertex, where it is within 5 cm; vertex numbers (N,), each once."""
    if not len(contact):
        return np.zeros(0, int)
    distance, nearest = cKDTree(vertices[contact]).query(joints)
    return np.unique(contact[nearest[distance < _JOINT_REACH]])


def _scene_under(
    vertices: Array, chosen: Array, view: DepthView, median: float, defects: Defects
) -> list[tuple[int, float, float]]:
    """(vertex, anchor depth over the median, ratio) of the scene beside each contact vertex that the picture shows.

    The vertex must fall on a person; the nearest pixel of the scene is taken at any distance (R2).
    """
    rows, columns = np.nonzero(~view.on_people & (view.depth > 0.0))
    if not len(rows) or not len(chosen):
        return []
    pixel = project(vertices[chosen], view.intrinsics)
    height, width = view.depth.shape
    inside = ((pixel >= 0) & (pixel < [width, height])).all(1) & (vertices[chosen, 2] > 0.05)
    column, row = np.where(inside[:, None], pixel, 0.0).astype(int).T
    inside &= view.on_people[row, column]
    _, nearest = cKDTree(np.stack([columns, rows], 1) + 0.5).query(pixel)
    scene_row, scene_column = rows[nearest], columns[nearest]
    scene, own = view.depth[scene_row, scene_column], view.depth[row, column]
    anchor = anchor_of(view, scene_row, scene_column, scene)
    if defects.block_depth:
        a, b = own / anchor_of(view, row, column, own), scene / anchor
        limit = _RATIO_RELEASED
    else:
        a, b, limit = own, scene, _RATIO_REPAIRED
    with np.errstate(divide="ignore", invalid="ignore"):
        inside &= np.maximum(a / b, b / a) <= limit
    return [(int(chosen[n]), float(anchor[n] / median), float(scene[n] / anchor[n])) for n in np.flatnonzero(inside)]
