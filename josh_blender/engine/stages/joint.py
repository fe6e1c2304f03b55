"""Stage 6: people, cameras and place in one metric world. docs/solver.md explains the mathematics.

First the scale in closed form, then Levenberg-Marquardt over scale, cameras, scene points, shapes and bodies of every
reliable person: on a few frames a second, then on every frame (`joint_solve.py`). People whose track is uncertain are
placed afterwards in the finished world; they never vote and never pull.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...scene4d.body import BodyModel, load_body, load_default_body
from ...scene4d.rotations import axis_angle_from_matrix
from ..results import (
    BodiesResult,
    ContactResult,
    FramesResult,
    JointResult,
    PeopleResult,
    PersonWorld,
    SceneResult,
)
from ..solver.bundle import loosened, with_measured_noise
from ..solver.depth_alignment import aligned
from ..solver.figures import Figure, body_map, make_figure
from ..solver.moved_place import moved_place
from ..solver.settings import SolverSettings
from ..solver.state import State
from ..solver.surfaces import read_depth_clouds
from ..solver.touches import Place
from ..solver.upright import mean_direction
from ..threads import one_torch_thread
from .joint_lens import ground_of, settled
from .joint_scale import StartScale, poses_of, start_scale
from .joint_solve import Freedom, Given, solve_alone, solve_people

Array = NDArray[Any]

#: Relative standard deviation of adult height in a mixed population; of a height that the user gives.
_POPULATION_SIGMA = 0.05
_HEIGHT_SIGMA = 0.006
#: Residuals are correlated along time and between landmarks: about this many count as one.
_CORRELATION = 20.0
#: Steps that the two solves usually take together, for whoever watches them.
_USUAL_STEPS = 12


@dataclass(frozen=True)
class JointSettings:
    """``backend``: "lm", the solver of this project. device: "cpu" or "cuda", which solves. body: the body file of
    stage 4 (None: the shipped body). heights: metres by person id, 0 for everybody else: whose height is known."""

    backend: str = "lm"
    device: str = "cpu"
    body: Path | None = None
    heights: dict[int, float] = field(default_factory=dict)
    solver: SolverSettings = field(default_factory=SolverSettings)


@dataclass(frozen=True)
class Prepared:
    """What the solve starts from. figures: everybody, voting: those of them who are reliable. lens_settled: the scene
    stage left the lens uncertain, and it has been found from the sightings."""

    given: Given
    figures: list[Figure]
    voting: list[Figure]
    start: StartScale
    lens_settled: bool

    @property
    def freedom(self) -> Freedom:
        """With nothing but smoothness to hold it, the scale would creep to where everything stands still."""
        scale = self.start.source in ("height", "population", "ground")
        return Freedom(scale, self.given.scene.camera_kind == "moving", self.start.lower_feet)


@one_torch_thread()
def run_joint(
    frames: FramesResult,
    people: PeopleResult,
    scene: SceneResult,
    scene_folder: Path,
    bodies: BodiesResult,
    contact: ContactResult,
    settings: JointSettings,
    folder: Path,
    progress: Callable[[int, int], None],
) -> JointResult:
    """Places everything in one metric world with the axes of ``SceneResult``; see the module's text."""
    del folder
    total = _USUAL_STEPS + 2
    progress(0, total)
    prepared = prepare(frames, people, scene, scene_folder, bodies, contact, settings)
    given, start = prepared.given, prepared.start
    progress(1, total)
    report: dict[str, Any] = {"closed_form": start.votes, "closed_form_scale": float(np.exp(start.log_scale))}

    solved = None
    log_scale, sigma = start.log_scale, start.sigma
    if prepared.voting:
        steps = count(2)
        solved = solve_people(
            given, prepared.voting, log_scale, prepared.freedom,
            lambda state: progress(min(next(steps), total - 1), total),
        )  # fmt: skip
        log_scale = float(solved.state.cameras.log_scale)
        report["coarse"] = solved.coarse.as_json()
        report["solve"] = solved.fine.as_json()
        report["correspondence_px"] = given.settings.correspondence_px
        if prepared.freedom.scale:
            report["scale_sigma_formal"] = solved.log_scale_sigma
            sigma = stated_sigma(prepared, solved.log_scale_sigma)
        report["focal_factor"] = solved.state.cameras.log_focal.exp().tolist()

    state, scene = None, given.scene
    if solved is not None:
        state = solved.state
        scene = replace(scene, ground=moved_place(given.place, state.cameras, state.depth).ground)
    metric = metric_scene(scene, state, log_scale)
    placed: list[PersonWorld] = []
    for figure in prepared.figures:
        if figure in prepared.voting and state is not None:
            body = state.bodies[prepared.voting.index(figure)]
        else:
            body = solve_alone(replace(given, scene=metric), figure)
        placed.append(person_in_world(figure, body, metric))
    progress(total, total)
    return JointResult(
        world_from_camera=np.asarray(metric.world_from_camera),
        intrinsics=np.asarray(metric.intrinsics),
        distortion=np.asarray(metric.distortion, np.float64),
        scale=float(np.exp(log_scale)),
        scale_sigma=sigma,
        scale_source=start.source,
        people=placed,
        ground=np.asarray(metric.ground, np.float64),
        report=report,
        warnings=start.warnings,
    )


def prepare(
    frames: FramesResult,
    people: PeopleResult,
    scene: SceneResult,
    scene_folder: Path,
    bodies: BodiesResult,
    contact: ContactResult,
    settings: JointSettings,
) -> Prepared:
    """Everything before the solve: a lens that is uncertain is settled, people and depth maps are read, and the scale
    is found in closed form."""
    solver = settings.solver
    model = load_body(settings.body) if settings.body is not None else load_default_body()
    device = torch.device(settings.device)
    scene, bodies, lens = settled(scene, bodies, model, device)
    figures = make_figures(model, frames, people, bodies, contact)
    voting = [figure for figure in figures if is_reliable(figure)]
    clouds = aligned(scene, read_depth_clouds(frames, scene, scene_folder, lens), solver.depth_scale)
    if lens is not None:
        scene = replace(scene, ground=ground_of(scene, people, clouds))
        solver = loosened(solver, scene.focal_sigma)
    solver = with_measured_noise(solver, scene)
    place = Place(up_direction(scene, figures), np.asarray(scene.ground, np.float64), clouds)
    start = start_scale(scene, voting, place, bodies.height_known)
    given = Given(scene, place, model, bodies.height_known, solver, device)
    return Prepared(given, figures, voting, start, lens is not None)


def stated_sigma(prepared: Prepared, formal: float) -> float:
    """Relative standard deviation of the scale: of the closed form, of the solve (1 where it says nothing) and of the
    height together."""
    sigma = float(np.hypot(prepared.start.sigma, min(formal * np.sqrt(_CORRELATION), 1.0)))
    sigma = float(np.hypot(sigma, _HEIGHT_SIGMA if prepared.given.height_known else _POPULATION_SIGMA))
    if prepared.lens_settled:
        return sigma
    # Through a lens that is too long everybody is as many times too far away, and nothing here can tell.
    return float(np.hypot(sigma, prepared.given.scene.focal_sigma))


# --- people ----------------------------------------------------------------------------------------------------------


def make_figures(
    model: BodyModel, frames: FramesResult, people: PeopleResult, bodies: BodiesResult, contact: ContactResult
) -> list[Figure]:
    """Everyone with a fit, joined with track and contacts."""
    tracks = {track.id: track for track in people.tracks}
    contacts = {person.track_id: person.contact for person in contact.people}
    points = body_map(model)
    time = np.asarray(frames.time, np.float64)
    result = []
    for fit in bodies.people:
        labels = contacts.get(fit.track_id, np.zeros((len(fit.index), len(model.region_names))))
        result.append(make_figure(model, points, fit, tracks[fit.track_id], labels, time))
    return result


def is_reliable(figure: Figure) -> bool:
    """Whether this person may vote on the scale and pull on the cameras."""
    return figure.fit.reliable and figure.track.reliable and bool(np.any(figure.fit.confidence > 0.0))


def up_direction(scene: SceneResult, figures: list[Figure]) -> Array:
    """Unit vector (3,) against gravity in the scene's axes: the ground's normal, else backs, else the cameras' up."""
    if len(scene.ground):
        normal = np.asarray(scene.ground[:3], np.float64)
        return normal / np.linalg.norm(normal)
    rotation = np.asarray(scene.world_from_camera)[:, :3, :3]
    backs = []
    for figure in figures:
        turn = figure.body.rotation.numpy()[:, 0]
        # The pelvis's y axis points along the spine.
        backs.append(np.einsum("tij,tj->ti", rotation[figure.fit.index], turn[:, :, 1]))
    if backs:
        return mean_direction(np.concatenate(backs))
    return mean_direction(-rotation[:, :, 1])


# --- the result -------------------------------------------------------------------------------------------------------


def metric_scene(scene: SceneResult, state: State | None, log_scale: float) -> SceneResult:
    """The scene in metres, with the cameras of the solve."""
    matrix = np.array(scene.world_from_camera, np.float64)
    intrinsics = np.array(scene.intrinsics, np.float64)
    if state is not None:
        matrix[:, :3, :3] = state.cameras.rotation.numpy()
        matrix[:, :3, 3] = state.cameras.centre.numpy()
        intrinsics[:, :2] = state.cameras.focal.numpy()
    scale = float(np.exp(log_scale))
    matrix[:, :3, 3] *= scale
    ground = np.array(scene.ground, np.float64)
    if len(ground):
        ground[3] *= scale
    return replace(
        scene, world_from_camera=matrix, intrinsics=intrinsics, points=np.asarray(scene.points) * scale, ground=ground,
        metric=True,
    )  # fmt: skip


def person_in_world(figure: Figure, body: Any, metric: SceneResult) -> PersonWorld:
    """SMPL parameters in the world. SMPL turns about the pelvis: R_w = R R_0, t_w = R (J_0 + t) + C - J_0."""
    rotation, centre = poses_of(metric)
    index = figure.fit.index
    local = body.rotation.numpy().copy()
    rest = (figure.points.joint_rest[0] + figure.points.joint_dirs[0] @ body.betas).numpy()
    pelvis = body.trans.numpy() + rest
    world = np.einsum("tij,tj->ti", rotation[index], pelvis) + centre[index]
    local[:, 0] = rotation[index] @ local[:, 0]
    return PersonWorld(
        track_id=figure.fit.track_id,
        index=np.asarray(figure.fit.index),
        betas=body.betas.numpy(),
        poses=axis_angle_from_matrix(local).reshape(len(local), -1),
        trans=world - rest,
        confidence=np.asarray(figure.fit.confidence),
        contact=figure.contact.astype(np.float32),
        reliable=is_reliable(figure),
        reason=figure.fit.reason or figure.track.reason,
    )
