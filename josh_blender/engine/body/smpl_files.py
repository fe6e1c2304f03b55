"""Users' SMPL files: npz, and the pickles of the first release, become the project's npz."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ...scene4d.arrays import read_npz
from ...scene4d.body import BodyModel, check_body, load_body, load_default_body, save_body
from ...scene4d.conventions import JOINT_COUNT
from ...scene4d.errors import SceneFormatError, UserError
from ...scene4d.user_bodies import user_bodies_folder
from .smpl_pickle import read_numbers

Array = NDArray[Any]

_BETAS = 10
_MOST_BYTES = 1_000_000_000
#: A vertex takes the region of its neighbour on our body up to this distance, metres.
_REGION_REACH = 0.04
_DIMENSIONS = {
    "v_template": 2, "shapedirs": 3, "posedirs": 3, "J_regressor": 2, "weights": 2, "kintree_table": 2, "f": 2,
}  # fmt: skip
_ARRAYS = tuple(_DIMENSIONS)


def _not_smpl(path: Path, why: str) -> UserError:
    return UserError(
        "not_smpl",
        f"{path.name} is not an SMPL body: {why}.",
        "Choose the SMPL model file (.npz or .pkl) with 24 joints from the SMPL website.",
    )


def _read_arrays(path: Path) -> dict[str, Array]:
    if not path.is_file():
        raise UserError("missing_body", f"There is no file {path}.", "Choose the SMPL model file (.npz or .pkl).")
    if path.stat().st_size > _MOST_BYTES:
        raise _not_smpl(path, "it is far too large")
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"PK"
            file.seek(0)
            return read_npz(path, (*_ARRAYS, "body_id")) if packed else read_numbers(file)
    except (SceneFormatError, ValueError) as error:
        raise _not_smpl(path, "it is damaged, or it holds things that no body needs") from error


def _gender(path: Path) -> str:
    name = path.stem.lower()
    if "female" in name or "_f_" in name:
        return "female"
    return "male" if "male" in name or "_m_" in name else "neutral"


def _regions_by_neighbour(model: BodyModel, like: BodyModel) -> tuple[Array, Array]:
    """Region of each vertex (V,) and sole vertices (4,): those of the nearest vertex of ``like`` on the same joint.

    Both bodies stand in their rest pose. The box around the vertices of each joint is laid over that of ``like``, so
    that a sole meets a sole whatever the size of the foot.
    """
    bone, bone_like = model.weights.argmax(axis=1), like.weights.argmax(axis=1)
    place = np.full(model.v_template.shape, np.inf)
    region = np.full(len(place), -1, dtype=np.int8)
    for joint in range(JOINT_COUNT):
        members, target = np.flatnonzero(bone == joint), like.v_template[bone_like == joint]
        if not len(members) or not len(target):
            continue
        points = model.v_template[members]
        scale = np.ptp(target, axis=0) / np.maximum(np.ptp(points, axis=0), 1e-9)
        place[members] = (points - points.min(axis=0)) * scale + target.min(axis=0)
        distance, nearest = cKDTree(target).query(place[members])
        close = distance < _REGION_REACH
        region[members[close]] = like.region_of_vertex[bone_like == joint][nearest[close]]
    foot = [np.linalg.norm(place - like.v_template[vertex], axis=1).argmin() for vertex in like.foot_vertices]
    return region, np.array(foot, dtype=np.int32)


def read_smpl(path: Path) -> BodyModel:
    """A user's SMPL file (npz or pickle) as a body; ``body_id`` is ``smpl-<gender>-<sha256[:12]>``.

    Raises:
        UserError: missing, damaged, or something else than SMPL (another number of joints, other arrays).
    """
    path = Path(path)
    arrays = _read_arrays(path)
    missing = [name for name in _ARRAYS if name not in arrays and name != "posedirs"]
    if missing:
        raise _not_smpl(path, f"it has no {missing[0]}")
    if any(array.ndim != _DIMENSIONS[name] for name, array in arrays.items() if name in _DIMENSIONS):
        raise _not_smpl(path, "its arrays do not fit together")
    if arrays["weights"].shape[1] != JOINT_COUNT:
        raise _not_smpl(path, f"it has {arrays['weights'].shape[1]} joints, SMPL has {JOINT_COUNT}")
    if arrays["shapedirs"].shape[2] < _BETAS:
        raise _not_smpl(path, f"it has fewer than {_BETAS} shape directions")
    vertices = len(arrays["v_template"])
    model = BodyModel(
        v_template=arrays["v_template"].astype(np.float32),
        shapedirs=arrays["shapedirs"][..., :_BETAS].astype(np.float32),
        posedirs=arrays.get("posedirs", np.zeros((vertices, 3, 0))).astype(np.float32),
        J_regressor=arrays["J_regressor"].astype(np.float32),
        weights=arrays["weights"].astype(np.float32),
        kintree_table=arrays["kintree_table"].astype(np.int64),
        f=arrays["f"].astype(np.int32),
        body_id=f"smpl-{_gender(path)}-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}",
        region_of_vertex=np.full(vertices, -1, np.int8),
        foot_vertices=np.zeros(4, np.int32),
    )
    try:
        check_body(model, path.name)
    except SceneFormatError as error:
        raise _not_smpl(path, "its arrays do not fit together") from error
    model.region_of_vertex, model.foot_vertices = _regions_by_neighbour(model, load_default_body())
    return model


def prepare_body(path: Path) -> Path:
    """The project's npz of a body file of the user's: the file itself if it is one, else converted once and kept.

    Raises:
        UserError: the file is not a body (see `read_smpl`).
    """
    path = Path(path)
    if path.suffix == ".npz" and path.is_file() and "body_id" in _read_arrays(path):
        load_body(path)
        return path
    model = read_smpl(path)
    target = user_bodies_folder() / f"{model.body_id}.npz"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        save_body(model, partial)
        partial.replace(target)
    load_body(target)
    return target
