"""Our joint stage on controlled inputs, its result as a scene, and the figures of any scene against the truth."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from josh_blender.engine.evaluation import compare, metrics
from josh_blender.engine.results import JointResult, SceneResult
from josh_blender.engine.solver.settings import SolverSettings
from josh_blender.engine.stages.joint import JointSettings, run_joint
from josh_blender.engine.stages.world import person_of
from josh_blender.engine.world.axes import WorldAxes, find_axes
from josh_blender.scene4d.body import BodyModel
from josh_blender.scene4d.scene import CameraPath, PointCloud, Scale, Scene4D

from . import truth as known
from .inputs import Inputs
from .truth import Truth
from .views import View

Array = NDArray[Any]


@dataclass(frozen=True)
class Solved:
    """The joint stage's result, the scene it makes, and the seconds it took (start cameras included)."""

    joint: JointResult
    scene: Scene4D
    seconds: float


def solve(truth: Truth, inputs: Inputs, model: BodyModel, settings: SolverSettings | None = None) -> Solved:
    """Runs the joint stage and lays its result out as the world stage does."""
    began = perf_counter()
    joint = run_joint(
        inputs.frames,
        inputs.people,
        inputs.scene,
        inputs.folder,
        inputs.bodies,
        inputs.contact,
        JointSettings(solver=settings or SolverSettings()),
        inputs.folder,
        lambda done, total: None,
    )
    seconds = perf_counter() - began + inputs.start_seconds
    return Solved(joint, scene_of(truth, inputs, joint, model), seconds)


def scene_of(truth: Truth, inputs: Inputs, joint: JointResult, model: BodyModel) -> Scene4D:
    """A joint result as the world stage would write it, without its files."""
    axes = find_axes(joint, np.asarray(truth.time), model)
    return laid_out(truth, inputs, joint, model, axes)


def laid_out(truth: Truth, inputs: Inputs, joint: JointResult, model: BodyModel, axes: WorldAxes) -> Scene4D:
    """The scene in the axes found."""
    camera = _path(truth, inputs, joint, axes.matrix)
    people = [person_of(person, inputs.people, inputs.frames, inputs.bodies, model, axes) for person in joint.people]
    scale = Scale(joint.scale_source, joint.scale_sigma)
    return Scene4D(truth.name, known.source(truth), camera, people, PointCloud.empty(), truth.camera_kind, scale)


def _path(truth: Truth, inputs: Inputs, solved: JointResult | SceneResult, axes_from_solved: Array) -> CameraPath:
    return CameraPath(
        np.asarray(inputs.frames.frame),
        np.asarray(truth.time),
        axes_from_solved @ np.asarray(solved.world_from_camera),
        np.asarray(solved.intrinsics),
        np.asarray(solved.distortion),
        np.asarray(inputs.scene.keyframe),
    )


def scene_of_cameras(truth: Truth, inputs: Inputs, metric: SceneResult) -> Scene4D:
    """Cameras in metres alone, in whatever axes they are."""
    camera = _path(truth, inputs, metric, np.eye(4))
    return Scene4D(
        truth.name, known.source(truth), camera, [], PointCloud.empty(), truth.camera_kind, Scale("none", 1.0)
    )


def figures(
    truth: Truth, views: list[View], inputs: Inputs, scene: Scene4D, scale: float, model: BodyModel,
    depths: list[Array] | None = None,
) -> Any:  # fmt: skip
    """The figures of `evaluate`; where the camera hardly moves, the scale is that of the depth maps: those given times
    ``scale``, or ``depths`` in metres of a solver that sizes each by itself."""
    result = compare.evaluate(scene, known.true_scene(truth, model))
    if result["scale"]["measured_from"] == "depth":
        ratio = depth_ratio(views, inputs, scale, depths)
        result["scale"]["true_over_estimate"] = ratio
        result["scale"]["error_percent"] = metrics.scale_error(ratio)
    return result


def depth_ratio(views: list[View], inputs: Inputs, scale: float, depths: list[Array] | None = None) -> float:
    """Median of true over estimated depth on the static pixels of all key frames."""
    estimates = depths or [scale * given.depth for given in inputs.depths]
    ratios = []
    for view, given, estimate in zip(views, inputs.depths, estimates, strict=True):
        good = (given.depth > 0.0) & ~given.on_people
        ratios.append(view.place[good] / estimate[good])
    return float(np.median(np.concatenate(ratios)))
