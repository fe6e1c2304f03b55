"""The stages in the order of each mode, and what is checked before the first of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..jobs.known_weights import known, needed_weights
from ..scene4d.errors import UserError
from .disk_space import check_room, disk_full_error, is_disk_full
from .people_choice import write_sightings
from .presets import preset_problem, stages_of
from .reporter import Reporter
from .results import FramesResult, PeopleResult
from .settings import ReconstructSettings, check_settings
from .stage_runs import Made, StageRuns
from .work_folder import WorkFolder


def check_before_start(settings: ReconstructSettings) -> list[str]:
    """Everything that can be refused within a second: the settings, the preset, the input, the output, the disk, the
    weights. Returns what is odd and yet no reason to refuse, in sentences.

    Raises:
        UserError: what is wrong and what to do.
    """
    check_settings(settings)
    problem = preset_problem(settings.preset)
    if problem is not None:
        raise problem
    if not settings.video.exists():
        raise UserError("missing_video", f"There is no video “{settings.video}”.", "Check the path.")
    try:
        settings.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            "bad_output", f"The folder “{settings.output}” cannot be made: {error.strerror}.", "Choose another one."
        ) from error
    check_room(settings.output)
    return [] if settings.only_people else _check_weights(settings)


def _check_weights(settings: ReconstructSettings) -> list[str]:
    wanted = needed_weights(settings.mode, settings.preset)
    if not wanted:
        return []
    from .networks.weights import check_weights

    return check_weights(wanted, getattr(settings, f"{wanted}_weights"), settings.mast3r_weights)


def reconstruct(settings: ReconstructSettings, report: Reporter) -> Path:
    """Video in, 4D scene out; returns the scene's folder, or with ``only_people`` the list of who is seen.

    Finished stages of an earlier run with the same input are reused, so that an interrupted run continues.

    Raises:
        UserError: what is wrong and what to do; finished stages stay.
    """
    notes = check_before_start(settings)
    if settings.body is not None:
        from .body.smpl_files import prepare_body

        settings = replace(settings, body=prepare_body(settings.body))
    work = WorkFolder(settings.scene_folder)
    try:
        with work.alone():
            work.open()
            stages = stages_of(settings.mode)
            stages = stages[:2] if settings.only_people else stages
            report.start(stages, work.scene, work.log)
            for note in notes:
                report.warning(note)
            result = _run_stages(settings, work, StageRuns(settings, work, report, stages))
            if not settings.only_people:
                work.close()
    except Exception as error:
        if is_disk_full(error, settings.output):
            raise disk_full_error(settings.output) from error
        raise
    report.done(result)
    return result


def _run_stages(settings: ReconstructSettings, work: WorkFolder, runs: StageRuns) -> Path:
    frames = runs.frames()
    people = runs.people(frames)
    if settings.only_people:
        return write_sightings(frames.result, people.result, work.sightings)
    people = runs.chosen(people)
    if settings.mode != "josh":
        return _run_feed_forward(settings, runs, frames, people)
    scene = runs.scene(frames, people)
    bodies = runs.bodies(frames, people, scene)
    contact = runs.contact(frames, people, scene, bodies)
    joint = runs.joint(frames, people, scene, bodies, contact)
    return runs.world(frames, people, scene, bodies.result, joint.result, _licences(settings))


def _run_feed_forward(
    settings: ReconstructSettings, runs: StageRuns, frames: Made[FramesResult], people: Made[PeopleResult]
) -> Path:
    """JOSH3R gives the path; with a plus the joint solve starts from it."""
    lens = runs.lens(frames, people)
    bodies = runs.bodies(frames, people, lens)
    motion = runs.motion(frames, people, lens, bodies)
    scene = Made(motion.result.scene, motion.folder, motion.key)
    contact = runs.contact(frames, people, scene, bodies)
    joint = motion.result.with_contact(contact.result)
    if settings.mode == "josh3r+":
        joint = runs.joint(frames, people, scene, bodies, contact).result
    return runs.world(frames, people, scene, bodies.result, joint, _licences(settings))


def _licences(settings: ReconstructSettings) -> tuple[str, ...]:
    wanted = needed_weights(settings.mode, settings.preset)
    return (f"{known(wanted).title} weights: {known(wanted).licence}.",) if wanted else ()
