"""The seven stages in their order, each found in the cache or run, and what the user hears about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from ..scene4d.body import default_body_path, load_body
from ..scene4d.errors import UserError
from ..scene4d.room import needed_bytes
from ..scene4d.source_identity import source_files, source_identity
from .disk_space import check_room, disk_full_error, is_disk_full
from .people_choice import keep_people, write_sightings
from .presets import PRESETS, STAGES, choose_device, preset_problem
from .preview import people_preview, scene_preview, with_preview
from .reporter import Reporter
from .results import BodiesResult, ContactResult, FramesResult, JointResult, PeopleResult, SceneResult
from .settings import ReconstructSettings, check_settings
from .stage_cache import StageCache, StageOutcome, code_version, content_key
from .work_folder import WorkFolder

Result = TypeVar("Result")

#: The program text that each stage is made of, beyond what the stages before it are made of.
_SOURCES: dict[str, tuple[str, ...]] = {
    "frames": (
        "engine/stages/frames.py",
        "engine/video",
        "engine/results.py",
        "scene4d/conventions.py",
        "scene4d/sequence.py",
        "scene4d/source_identity.py",
    ),
    "people": ("engine/stages/people.py", "engine/detection"),
    "scene": (
        "engine/stages/scene.py",
        "engine/stages/scene_shot.py",
        "engine/stages/scene_moving.py",
        "engine/stages/scene_turning.py",
        "engine/sfm",
        "engine/depth",
        "scene4d/camera.py",
        "scene4d/rotations.py",
    ),
    "bodies": (
        "engine/stages/bodies.py",
        "engine/fit",
        "engine/solver",
        "engine/body",
        "engine/threads.py",
        "scene4d/body.py",
    ),
    "contact": ("engine/stages/contact.py", "engine/contact", "engine/solver", "scene4d/body.py"),
    "joint": (
        "engine/stages/joint.py",
        "engine/stages/joint_lens.py",
        "engine/stages/joint_scale.py",
        "engine/solver",
    ),
}


def check_before_start(settings: ReconstructSettings) -> None:
    """Everything that can be refused within a second: the settings, the preset, the input, the output, the disk.

    Raises:
        UserError: what is wrong and what to do.
    """
    check_settings(settings)
    problem = preset_problem(settings.preset)
    if problem is not None:
        raise problem
    if settings.mode != "josh":
        raise UserError("unavailable_mode", f"The mode “{settings.mode}” is not in this version.", "Use --mode josh.")
    if not settings.video.exists():
        raise UserError("missing_video", f"There is no video “{settings.video}”.", "Check the path.")
    try:
        settings.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            "bad_output", f"The folder “{settings.output}” cannot be made: {error.strerror}.", "Choose another one."
        ) from error
    check_room(settings.output)


def reconstruct(settings: ReconstructSettings, report: Reporter) -> Path:
    """Video in, 4D scene out; returns the scene's folder, or with ``only_people`` the list of who is seen.

    Finished stages of an earlier run with the same input are reused, so that an interrupted run continues.

    Raises:
        UserError: what is wrong and what to do; finished stages stay.
    """
    check_before_start(settings)
    if settings.body is not None:
        from .body.smpl_files import prepare_body

        settings = replace(settings, body=prepare_body(settings.body))
    work = WorkFolder(settings.scene_folder)
    try:
        with work.alone():
            work.open()
            report.start(STAGES[:2] if settings.only_people else STAGES, work.scene, work.log)
            result = _run_stages(settings, work, report)
            if not settings.only_people:
                work.close()
    except Exception as error:
        if is_disk_full(error, settings.output):
            raise disk_full_error(settings.output) from error
        raise
    report.done(result)
    return result


class _Run:
    """One run through the cached stages: keys chain from stage to stage, events go to the reporter."""

    def __init__(self, settings: ReconstructSettings, work: WorkFolder, report: Reporter) -> None:
        self._cache = StageCache(work.stages)
        self._backends = PRESETS[settings.preset]
        self._report = report
        self.described: dict[str, Any] = {}

    def stage(
        self,
        name: str,
        inputs: tuple[str, ...],
        settings: Any,
        result_type: type[Result],
        function: Callable[[Path], Result],
    ) -> tuple[StageOutcome[Result], str]:
        """Run or reuse a stage; returns its outcome and its key for the stages after it.

        ``inputs`` are the keys of what it reads.
        """
        key = content_key(name, code_version(*_SOURCES[name]), settings, *inputs)
        self.described[name] = {"backend": self._backends[name], "settings": describe(settings)}
        begun = False

        def run(folder: Path) -> Result:
            nonlocal begun
            begun = True
            self._report.stage(name, STAGES.index(name), False)
            return function(folder)

        outcome = self._cache.run(name, key, result_type, run)
        if not begun:
            self._report.stage(name, STAGES.index(name), True)
        for warning in getattr(outcome.result, "warnings", []):
            self._report.warning(warning)
        for preview in sorted(outcome.folder.glob("preview.*")):
            self._report.preview(name, preview)
        return outcome, key


def describe(settings: Any) -> dict[str, Any]:
    """A settings dataclass as plain values for scene.json."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(settings).items()}


def _source_identity(video: Path) -> str:
    return "" if video.is_dir() else source_identity(source_files(video))


def _run_stages(settings: ReconstructSettings, work: WorkFolder, report: Reporter) -> Path:
    # Each stage is imported when its turn comes: what is wrong with the video is said before torch is loaded, and the
    # command line works without any of their packages.
    run = _Run(settings, work, report)
    tick = report.progress
    device = choose_device(settings.device)

    from .stages.frames import FramesSettings, run_frames

    frames_settings = FramesSettings(start=settings.start, end=settings.end)
    if settings.fps is not None:
        frames_settings = replace(frames_settings, fps=settings.fps)
    if settings.color_space is not None:
        frames_settings = replace(frames_settings, color_space=settings.color_space)
    identity = _source_identity(settings.video)
    # Its result holds the path; the stages after it depend on the pictures only, so that a moved video continues.
    frames, _ = run.stage(
        "frames",
        (identity, str(settings.video.absolute())),
        frames_settings,
        FramesResult,
        lambda folder: run_frames(settings.video, frames_settings, folder, tick),
    )
    frames_key = content_key(code_version(*_SOURCES["frames"]), frames_settings, identity)
    source = frames.result.source
    check_room(settings.output, needed_bytes(source.width, source.height, len(frames.result.frame)))

    from .stages.people import PeopleSettings, run_people

    people_settings = PeopleSettings(people=settings.people)
    people, people_key = run.stage(
        "people",
        (frames_key,),
        people_settings,
        PeopleResult,
        lambda folder: run_people(frames.result, people_settings, folder, tick),
    )
    if settings.only_people:
        return write_sightings(frames.result, people.result, work.sightings)
    if settings.keep:
        people, people_key = keep_people(people, settings.keep), content_key(people_key, list(settings.keep))

    from .stages.scene import SceneSettings, run_scene

    lens_px = settings.lens.focal_px(source.width, source.height) if settings.lens else None
    scene_settings = SceneSettings(
        camera_kind=settings.camera if isinstance(settings.camera, str) else "auto",
        camera_file=settings.camera if isinstance(settings.camera, Path) else None,
        refine_camera=settings.refine,
        focal_px=settings.focal_px or lens_px,
        device=device,
    )
    scene, scene_key = run.stage(
        "scene",
        (people_key,),
        scene_settings,
        SceneResult,
        lambda folder: with_preview(
            folder,
            run_scene(frames.result, people.result, people.folder, scene_settings, folder, tick),
            lambda result: scene_preview(frames.result, result),
        ),
    )

    from .stages.bodies import BodiesSettings, run_bodies

    bodies_settings = BodiesSettings(heights=settings.heights, body=settings.body, device=device)
    body = settings.body or default_body_path()
    bodies, bodies_key = run.stage(
        "bodies",
        (scene_key, content_key(body)),
        bodies_settings,
        BodiesResult,
        lambda folder: with_preview(
            folder,
            run_bodies(frames.result, people.result, scene.result, bodies_settings, folder, tick),
            lambda result: people_preview(
                frames.result, scene.result, result, load_body(settings.body or default_body_path())
            ),
        ),
    )

    from .stages.contact import ContactSettings, run_contact

    contact_settings = ContactSettings(body=settings.body)
    contact, contact_key = run.stage(
        "contact",
        (bodies_key,),
        contact_settings,
        ContactResult,
        lambda folder: run_contact(
            frames.result, people.result, scene.result, bodies.result, contact_settings, folder, tick
        ),
    )

    from .stages.joint import JointSettings, run_joint

    joint_settings = JointSettings(heights=settings.heights, body=settings.body, device=device)
    joint, _ = run.stage(
        "joint",
        (contact_key,),
        joint_settings,
        JointResult,
        lambda folder: run_joint(
            frames.result,
            people.result,
            scene.result,
            scene.folder,
            bodies.result,
            contact.result,
            joint_settings,
            folder,
            tick,
        ),
    )

    from .stages.world import WorldSettings, run_world

    report.stage("world", STAGES.index("world"), False)
    run_world(
        frames.result,
        people.result,
        people.folder,
        scene.result,
        scene.folder,
        bodies.result,
        joint.result,
        WorldSettings(stages=run.described, body=settings.body),
        work.scene,
        tick,
    )
    return work.scene
