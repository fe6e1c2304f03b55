"""Users' SMPL files: npz, and the old pickles read without chumpy and without running anything that is in them.

The first release of SMPL holds chumpy arrays and scipy's sparse matrices in a Python 2 pickle. A pickle can call any
function, so this reader allows only the handful of names that such a file needs, and gives it stand-ins of our own for
them: arrays whose size is bound by the file's own bytes, and plain records for chumpy and scipy.
"""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ...scene4d.arrays import read_npz
from ...scene4d.body import BodyModel, load_body, load_default_body, save_body
from ...scene4d.conventions import JOINT_COUNT
from ...scene4d.errors import SceneFormatError, UserError
from ...scene4d.user_bodies import user_bodies_folder

Array = NDArray[Any]

_BETAS = 10
_MOST_BYTES = 1_000_000_000
#: A vertex takes the region of its neighbour on our body up to this distance, metres.
_REGION_REACH = 0.04
_ARRAYS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")


class _Record:
    """Stand-in for an object of a class that is never imported: keeps its state."""

    state: dict[str, Any]

    # Unpickling makes objects without calling __init__.
    def __new__(cls, *arguments: Any) -> _Record:
        record = super().__new__(cls)
        record.state = {}
        return record

    def __setstate__(self, state: Any) -> None:
        parts = state if isinstance(state, tuple) else (state,)
        for part in parts:
            if isinstance(part, dict):
                self.state.update(part)


class _Chumpy(_Record):
    pass


class _Sparse(_Record):
    pass


def _empty_array(*arguments: Any) -> Array:
    # The file's shape is not trusted here: the array's own state brings its data, and numpy checks that they fit.
    return np.ndarray.__new__(np.ndarray, (0,), "b")


def _new_record(kind: Any, *arguments: Any) -> _Record:
    if kind not in (_Chumpy, _Sparse):
        raise pickle.UnpicklingError("an object of an unknown class")
    return kind()


def _latin_bytes(text: Any, encoding: str = "latin1") -> bytes:
    return str(text).encode("latin1")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy._core.multiarray", "_reconstruct"): _empty_array,
    ("_codecs", "encode"): _latin_bytes,
    ("copy_reg", "_reconstructor"): _new_record,
    ("copyreg", "_reconstructor"): _new_record,
    ("copyreg", "__newobj__"): _new_record,
    ("__builtin__", "object"): object,
    ("builtins", "object"): object,
}


class _SafeUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "chumpy":
            return _Chumpy
        if module.startswith("scipy.sparse") and name in ("csc_matrix", "csr_matrix", "csc_array", "csr_array"):
            return _Sparse
        found = _ALLOWED.get((module, name))
        if found is None:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return found


def _dense(value: Any) -> Array | None:
    """The numbers of an array, a chumpy array or a sparse matrix; None for anything else."""
    if isinstance(value, _Chumpy):
        return _dense(value.state.get("x"))
    if isinstance(value, _Sparse):
        return _dense_from_sparse(value.state)
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        return value
    return None


def _dense_from_sparse(state: dict[str, Any]) -> Array | None:
    shape = state.get("_shape", state.get("shape"))
    parts = [state.get(name) for name in ("data", "indices", "indptr")]
    if not isinstance(shape, tuple) or len(shape) != 2 or not all(isinstance(part, np.ndarray) for part in parts):
        return None
    data, indices, indptr = (np.asarray(part) for part in parts)
    rows, columns = (int(side) for side in shape)
    if not (0 < rows <= 10_000 and 0 < columns <= 100_000) or len(data) != len(indices):
        return None
    # SMPL's regressor is 24 x V; whether it was stored by columns or by rows follows from the pointers.
    by_column = len(indptr) == columns + 1
    if not by_column and len(indptr) != rows + 1:
        return None
    outer = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    if len(outer) != len(data):
        return None
    row, column = (indices, outer) if by_column else (outer, indices)
    if len(row) and (row.min() < 0 or row.max() >= rows or column.min() < 0 or column.max() >= columns):
        return None
    result = np.zeros((rows, columns))
    np.add.at(result, (row, column), data)
    return result


def _not_smpl(path: Path, why: str) -> UserError:
    return UserError(
        "not_smpl",
        f"{path.name} is not an SMPL body: {why}.",
        "Choose the SMPL model file (.npz or .pkl) with 24 joints from the SMPL website.",
    )


def _read_pickle(path: Path, file: IO[bytes]) -> dict[str, Array]:
    try:
        data = _SafeUnpickler(file, encoding="latin1").load()
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise _not_smpl(path, "it is damaged, or it holds things that no body needs") from error
    if not isinstance(data, dict):
        raise _not_smpl(path, "it holds no arrays with names")
    found = {str(key): _dense(value) for key, value in data.items()}
    return {name: array for name, array in found.items() if array is not None}


def _read_arrays(path: Path) -> dict[str, Array]:
    if not path.is_file():
        raise UserError("missing_body", f"There is no file {path}.", "Choose the SMPL model file (.npz or .pkl).")
    if path.stat().st_size > _MOST_BYTES:
        raise _not_smpl(path, "it is far too large")
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            file.seek(0)
            return _read_pickle(path, file)
    try:
        return read_npz(path, (*_ARRAYS, "body_id"))
    except SceneFormatError as error:
        raise _not_smpl(path, "it is damaged, or it holds things that no body needs") from error


def _gender(path: Path) -> str:
    name = path.stem.lower()
    if "female" in name or "_f_" in name:
        return "female"
    return "male" if "male" in name or "_m_" in name else "neutral"


def _regions_by_neighbour(model: BodyModel, like: BodyModel) -> tuple[Array, Array]:
    """Region of each vertex (V,) and sole vertices (4,): those of the nearest vertex of ``like`` on the same joint.

    Both bodies stand in their rest pose; places are taken relative to each vertex's joint, at equal height.
    """
    betas = np.zeros(_BETAS)
    scale = float(like.height(betas) / model.height(betas))
    bone, bone_like = model.weights.argmax(axis=1), like.weights.argmax(axis=1)
    place = scale * (model.v_template - model.joints(betas)[bone])
    place_like = like.v_template - like.joints(betas)[bone_like]
    region = np.full(len(place), -1, dtype=np.int8)
    for joint in range(JOINT_COUNT):
        members, members_like = np.flatnonzero(bone == joint), np.flatnonzero(bone_like == joint)
        if not len(members) or not len(members_like):
            continue
        distance, nearest = cKDTree(place_like[members_like]).query(place[members])
        close = distance < _REGION_REACH
        region[members[close]] = like.region_of_vertex[members_like[nearest[close]]]
    foot = []
    for vertex in like.foot_vertices:
        members = np.flatnonzero(bone == bone_like[vertex])
        if not len(members):
            members = np.arange(len(place))
        foot.append(members[np.linalg.norm(place[members] - place_like[vertex], axis=1).argmin()])
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
    joints = arrays["weights"].shape[-1]
    if joints != JOINT_COUNT:
        raise _not_smpl(path, f"it has {joints} joints, SMPL has {JOINT_COUNT}")
    vertices = len(arrays["v_template"])
    shapedirs = arrays["shapedirs"]
    if shapedirs.ndim != 3 or shapedirs.shape[-1] < _BETAS:
        raise _not_smpl(path, f"it has fewer than {_BETAS} shape directions")
    model = BodyModel(
        v_template=arrays["v_template"].astype(np.float32),
        shapedirs=shapedirs[..., :_BETAS].astype(np.float32),
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
        model.region_of_vertex, model.foot_vertices = _regions_by_neighbour(model, load_default_body())
    except (ValueError, IndexError) as error:
        raise _not_smpl(path, "its arrays do not fit together") from error
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
