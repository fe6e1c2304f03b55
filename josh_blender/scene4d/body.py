"""A body in SMPL's format and its skinning in numpy; `engine/body` has the same in torch.

V vertices, B betas, P pose directions (0 or 207), Q finger bones. Rest pose: T-pose, Y up, facing +Z, metres. The
formulas are those of SMPL (Loper et al. 2015, equations 2 to 10).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import read_npz, write_npz
from .conventions import CONTACT_REGIONS, JOINT_COUNT, JOINT_PARENTS
from .errors import SceneFormatError
from .rotations import matrix_from_axis_angle

Array = NDArray[Any]

_MOST_VERTICES = 500_000
_REQUIRED = ("v_template", "shapedirs", "J_regressor", "weights", "kintree_table", "f")


@dataclass
class BodyModel:
    """Template, shape directions, joint regressor and skinning weights under SMPL's names.

    v_template (V,3); shapedirs (V,3,B); posedirs (V,3,P); J_regressor (24,V); weights (V,24), rows sum to 1;
    kintree_table (2,24), row 0 the parents; f (F,3) triangles; region_of_vertex (V,) index into ``region_names``, -1
    for none; foot_vertices (4,) on the sole: left heel, left ball, right heel, right ball.

    Fingers are bones of the rig that no SMPL joint moves (None where the body has none): ``finger_parents`` (Q,) index
    into the 24 joints followed by the Q fingers; finger_regressor (Q,V) gives their heads from the rest vertices;
    finger_weights (V,Q) is the share of the hand's weight that each finger takes, so ``weights`` is complete without.
    """

    v_template: Array
    shapedirs: Array
    posedirs: Array
    J_regressor: Array
    weights: Array
    kintree_table: Array
    f: Array
    body_id: str
    region_of_vertex: Array
    foot_vertices: Array
    region_names: tuple[str, ...] = CONTACT_REGIONS
    finger_names: tuple[str, ...] | None = None
    finger_parents: Array | None = None
    finger_regressor: Array | None = None
    finger_weights: Array | None = None

    @property
    def parents(self) -> tuple[int, ...]:
        """Parent of each joint, -1 for the pelvis."""
        return (-1, *(int(parent) for parent in self.kintree_table[0, 1:]))

    def rest_vertices(self, betas: ArrayLike) -> Array:
        """Vertices (..., V, 3) of the shaped body at rest for betas (..., B), at most the model's."""
        values = np.asarray(betas, dtype=np.float64)
        directions = self.shapedirs[:, :, : values.shape[-1]].astype(np.float64)
        return self.v_template + np.einsum("vcb,...b->...vc", directions, values)

    def joints(self, betas: ArrayLike) -> Array:
        """Rest joints (..., 24, 3) for betas (..., B)."""
        return self.J_regressor.astype(np.float64) @ self.rest_vertices(betas)

    def height(self, betas: ArrayLike) -> Any:
        """Vertical extent (...) in metres of the rest mesh: the barefoot height."""
        vertical = self.rest_vertices(betas)[..., 1]
        return vertical.max(axis=-1) - vertical.min(axis=-1)

    def skin(self, betas: ArrayLike, poses: ArrayLike, trans: ArrayLike) -> tuple[Array, Array]:
        """Vertices (..., V, 3) and joints (..., 24, 3) for betas (B,), poses (..., 72) and trans (..., 3)."""
        rest = self.rest_vertices(betas)
        joints = self.J_regressor.astype(np.float64) @ rest
        pose = np.asarray(poses, dtype=np.float64)
        batch = pose.shape[:-1]
        rotation = matrix_from_axis_angle(pose.reshape(*batch, JOINT_COUNT, 3))
        if self.posedirs.shape[-1]:
            feature = (rotation[..., 1:, :, :] - np.eye(3)).reshape(*batch, -1)
            rest = rest + np.einsum("vcp,...p->...vc", self.posedirs.astype(np.float64), feature)
        global_rotation, global_position = forward_kinematics(rotation, joints, self.parents)
        offset = global_position - np.einsum("...jab,jb->...ja", global_rotation, joints)
        weights = self.weights.astype(np.float64)
        blended = (weights @ global_rotation.reshape(*batch, JOINT_COUNT, 9)).reshape(*batch, len(weights), 3, 3)
        vertices = np.einsum("...vab,...vb->...va", blended, np.broadcast_to(rest, (*batch, *rest.shape[-2:])))
        vertices = vertices + weights @ offset
        translation = np.asarray(trans, dtype=np.float64)[..., None, :]
        return vertices + translation, global_position + translation


def forward_kinematics(rotation: Array, joints: Array, parents: tuple[int, ...]) -> tuple[Array, Array]:
    """World rotations (..., J, 3, 3) and positions (..., J, 3) of joints turned about their rest positions (J, 3).

    ``rotation`` (..., J, 3, 3) is relative to the parent; parents come before their children.
    """
    turned = [rotation[..., 0, :, :]]
    placed = [np.broadcast_to(joints[0], (*rotation.shape[:-3], 3))]
    for joint in range(1, len(parents)):
        parent = parents[joint]
        turned.append(turned[parent] @ rotation[..., joint, :, :])
        step = turned[parent] @ (joints[joint] - joints[parent])
        placed.append(placed[parent] + step)
    return np.stack(turned, axis=-3), np.stack(placed, axis=-2)


def default_body_path() -> Path:
    """The CC0 body that travels with the project."""
    return Path(__file__).with_name("data") / "cc0_body.npz"


def load_default_body() -> BodyModel:
    """The CC0 body that travels with the project."""
    return load_body(default_body_path())


def check_body(model: BodyModel, label: str) -> None:
    """Check that the arrays of a body fit together; ``label`` names it in the error.

    Raises:
        SceneFormatError: wrong shapes, values that are not numbers, other joints than SMPL's, faces without vertices.
    """
    vertices = len(model.v_template)
    fits = (
        model.v_template.shape == (vertices, 3)
        and 0 < vertices <= _MOST_VERTICES
        and model.shapedirs.ndim == 3
        and model.shapedirs.shape[:2] == (vertices, 3)
        and model.posedirs.ndim == 3
        and model.posedirs.shape[:2] == (vertices, 3)
        and model.posedirs.shape[2] in (0, 9 * (JOINT_COUNT - 1))
        and model.J_regressor.shape == (JOINT_COUNT, vertices)
        and model.weights.shape == (vertices, JOINT_COUNT)
        and model.kintree_table.shape == (2, JOINT_COUNT)
        and model.f.ndim == 2
        and model.f.shape[1:] == (3,)
        and len(model.f) > 0
        and model.region_of_vertex.shape == (vertices,)
        and model.foot_vertices.shape == (4,)
    )
    if not fits:
        raise SceneFormatError(f"{label} is not a body in SMPL format: its arrays have the wrong shapes.")
    floats = (model.v_template, model.shapedirs, model.posedirs, model.J_regressor, model.weights)
    if not all(array.dtype.kind == "f" and np.isfinite(array).all() for array in floats):
        raise SceneFormatError(f"{label} is not a body in SMPL format: it holds values that are not numbers.")
    indices = (model.f, model.foot_vertices)
    if not all(array.dtype.kind in "iu" and array.min() >= 0 and array.max() < vertices for array in indices):
        raise SceneFormatError(f"{label} is not a body in SMPL format: it names vertices that do not exist.")
    if model.parents != JOINT_PARENTS:
        raise SceneFormatError(f"{label} is not a body in SMPL format: its joints hang together in another way.")
    region = model.region_of_vertex
    if region.dtype.kind not in "iu" or region.min() < -1 or region.max() >= len(model.region_names):
        raise SceneFormatError(f"{label} is not a body in SMPL format: it names regions that do not exist.")
    _check_fingers(model, label)


def _check_fingers(model: BodyModel, label: str) -> None:
    if model.finger_names is None:
        return
    count, vertices = len(model.finger_names), len(model.v_template)
    parents, regressor, weights = model.finger_parents, model.finger_regressor, model.finger_weights
    fits = (
        parents is not None
        and regressor is not None
        and weights is not None
        and parents.shape == (count,)
        and parents.dtype.kind in "iu"
        and all(0 <= int(parent) < JOINT_COUNT + bone for bone, parent in enumerate(parents))
        and regressor.shape == (count, vertices)
        and weights.shape == (vertices, count)
    )
    if not fits:
        raise SceneFormatError(f"{label}: its finger bones do not fit together.")


def save_body(model: BodyModel, path: Path) -> None:
    """Write a body as npz (docs/body.md)."""
    arrays: dict[str, Array] = {
        "v_template": model.v_template,
        "shapedirs": model.shapedirs,
        "posedirs": model.posedirs,
        "J_regressor": model.J_regressor,
        "weights": model.weights,
        "kintree_table": model.kintree_table,
        "f": model.f,
        "region_names": np.array(model.region_names),
        "region_of_vertex": model.region_of_vertex,
        "foot_vertices": model.foot_vertices,
        "body_id": np.array(model.body_id),
    }
    if model.finger_names is not None:
        assert model.finger_parents is not None
        assert model.finger_regressor is not None
        assert model.finger_weights is not None
        arrays["finger_names"] = np.array(model.finger_names)
        arrays["finger_parents"] = model.finger_parents
        arrays["finger_regressor"] = model.finger_regressor
        arrays["finger_weights"] = model.finger_weights
    write_npz(path, arrays)


def load_body(path: Path) -> BodyModel:
    """A body from an npz file.

    Raises:
        SceneFormatError: missing, damaged or not a body in SMPL format.
    """
    path = Path(path)
    arrays = read_npz(path)
    missing = [name for name in _REQUIRED if name not in arrays]
    if missing:
        raise SceneFormatError(f"{path.name} is not a body in SMPL format: it has no {missing[0]}.")
    vertices = len(arrays["v_template"]) if arrays["v_template"].ndim else 0
    names = arrays.get("region_names", np.array(CONTACT_REGIONS))
    fingers = arrays.get("finger_names")
    kintree = arrays["kintree_table"]
    model = BodyModel(
        v_template=arrays["v_template"],
        shapedirs=arrays["shapedirs"],
        posedirs=arrays.get("posedirs", np.zeros((vertices, 3, 0), np.float32)),
        J_regressor=arrays["J_regressor"],
        weights=arrays["weights"],
        # SMPL stores the root's parent as the largest unsigned number.
        kintree_table=kintree.astype(np.int64) if kintree.dtype.kind in "iu" else np.zeros((0, 0), np.int64),
        f=arrays["f"],
        body_id=str(arrays["body_id"]) if "body_id" in arrays else "unknown",
        region_of_vertex=arrays.get("region_of_vertex", np.full(vertices, -1, np.int8)),
        foot_vertices=arrays.get("foot_vertices", np.zeros(4, np.int32)),
        region_names=tuple(str(name) for name in np.atleast_1d(names)),
        finger_names=None if fingers is None else tuple(str(name) for name in np.atleast_1d(fingers)),
        finger_parents=arrays.get("finger_parents"),
        finger_regressor=arrays.get("finger_regressor"),
        finger_weights=arrays.get("finger_weights"),
    )
    check_body(model, path.name)
    return model
