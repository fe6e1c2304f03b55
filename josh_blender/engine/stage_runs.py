"""One run's stages: each found in the cache or run, its key chained to what it reads, and what the user hears of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from ..scene4d.body import default_body_path, load_body
from ..scene4d.room import needed_bytes
from ..scene4d.source_identity import source_files, source_identity
from .disk_space import check_room
from .people_choice import keep_people
from .presets import PRESETS, choose_device
from .preview import people_preview, scene_preview, with_preview
from .reporter import Reporter
from .results import BodiesResult, ContactResult, FramesResult, JointResult, MotionResult, PeopleResult, SceneResult
from .settings import ReconstructSettings
from .stage_cache import StageCache, code_version, content_key
from .stage_sources import SOURCES
from .work_folder import WorkFolder

Result = TypeVar("Result")


@dataclass(frozen=True)
class Made(Generic[Result]):
    """A stage's result, the folder with its files, and its key for the stages after it."""

    result: Result
    folder: Path
    key: str


class StageRuns:
    """The stages of one run.

    Each is imported when its turn comes: what is wrong with the video is said before torch is loaded, and the command
    line works without any of their packages.
    """

    def __init__(
        self, settings: ReconstructSettings, work: WorkFolder, report: Reporter, stages: Sequence[str]
    ) -> None:
        self._settings, self._work, self._report, self._stages = settings, work, report, tuple(stages)
        self._cache = StageCache(work.stages)
        self._backends = PRESETS[settings.preset]
        self._device = choose_device(settings.device)
        self.described: dict[str, Any] = {}

    def frames(self) -> Made[FramesResult]:
        """Stage 1."""
        from .stages.frames import FramesSettings, run_frames

        asked = self._settings
        settings = FramesSettings(start=asked.start, end=asked.end)
        if asked.fps is not None:
            settings = replace(settings, fps=asked.fps)
        if asked.color_space is not None:
            settings = replace(settings, color_space=asked.color_space)
        identity = "" if asked.video.is_dir() else source_identity(source_files(asked.video))
        made = self._made(
            "frames",
            (identity, str(asked.video.absolute())),
            settings,
            FramesResult,
            lambda folder: run_frames(asked.video, settings, folder, self._report.progress),
        )
        source = made.result.source
        check_room(asked.output, needed_bytes(source.width, source.height, len(made.result.frame)))
        # Its result holds the path; the stages after it depend on the pictures only, so that a moved video continues.
        return replace(made, key=content_key(code_version(*SOURCES["frames"]), settings, identity))

    def people(self, frames: Made[FramesResult]) -> Made[PeopleResult]:
        """Stage 2, everybody who is seen."""
        from .stages.people import PeopleSettings, run_people

        settings = PeopleSettings(people=self._settings.people)
        return self._made(
            "people",
            (frames.key,),
            settings,
            PeopleResult,
            lambda folder: run_people(frames.result, settings, folder, self._report.progress),
        )

    def chosen(self, people: Made[PeopleResult]) -> Made[PeopleResult]:
        """Those who count.

        Raises:
            UserError: ``unknown_person``.
        """
        keep = self._settings.keep
        if not keep:
            return people
        return replace(people, result=keep_people(people.result, keep), key=content_key(people.key, list(keep)))

    def scene(self, frames: Made[FramesResult], people: Made[PeopleResult]) -> Made[SceneResult]:
        """Stage 3."""
        from .stages.scene import SceneSettings, run_scene

        asked = self._settings
        backend = self._backends["scene"]
        settings = SceneSettings(
            backend=backend,
            camera_kind=asked.camera if isinstance(asked.camera, str) else "auto",
            camera_file=asked.camera if isinstance(asked.camera, Path) else None,
            refine_camera=asked.refine,
            focal_px=self._known_focal(frames.result),
            device=self._device,
        )
        weights = asked.mast3r_weights if backend == "mast3r" else None
        return self._made(
            "scene",
            (people.key, *_identity_of(weights)),
            settings,
            SceneResult,
            lambda folder: with_preview(
                folder,
                run_scene(
                    frames.result, people.result, people.folder, settings, folder, self._report.progress, weights
                ),
                lambda result: scene_preview(frames.result, result),
            ),
        )

    def lens(self, frames: Made[FramesResult], people: Made[PeopleResult]) -> Made[SceneResult]:
        """JOSH3R's stage 3: the lens alone."""
        from .stages.lens import LensSettings, run_lens

        settings = LensSettings(focal_px=self._known_focal(frames.result), device=self._device)
        weights = self._network_files()
        return self._made(
            "lens",
            (people.key, *_identity_of(*weights)),
            settings,
            SceneResult,
            lambda folder: run_lens(frames.result, settings, weights, self._report.progress),
        )

    def bodies(
        self, frames: Made[FramesResult], people: Made[PeopleResult], scene: Made[SceneResult]
    ) -> Made[BodiesResult]:
        """Stage 4."""
        from .stages.bodies import BodiesSettings, run_bodies

        asked = self._settings
        settings = BodiesSettings(heights=asked.heights, body=asked.body, device=self._device)
        body = asked.body or default_body_path()

        def run(folder: Path) -> BodiesResult:
            result = run_bodies(frames.result, people.result, scene.result, settings, folder, self._report.progress)
            # A scene that is a lens only has nothing that could be shown around the people.
            if "motion" in self._stages:
                return result
            return with_preview(
                folder, result, lambda _: people_preview(frames.result, scene.result, result, load_body(body))
            )

        return self._made("bodies", (scene.key, content_key(body)), settings, BodiesResult, run)

    def motion(
        self,
        frames: Made[FramesResult],
        people: Made[PeopleResult],
        scene: Made[SceneResult],
        bodies: Made[BodiesResult],
    ) -> Made[MotionResult]:
        """JOSH3R: camera and people from pairs of frames."""
        from .stages.motion import MotionSettings, run_motion

        settings = MotionSettings(
            device=self._device, body=self._settings.body, refine=self._settings.mode == "josh3r+"
        )
        weights = self._network_files()
        return self._made(
            "motion",
            (bodies.key,),
            settings,
            MotionResult,
            lambda folder: run_motion(
                frames.result, people.result, people.folder, scene.result, bodies.result, settings, weights, folder,
                self._report.progress, lambda path: self._report.preview("motion", path),
            ),
        )  # fmt: skip

    def contact(
        self,
        frames: Made[FramesResult],
        people: Made[PeopleResult],
        scene: Made[SceneResult],
        bodies: Made[BodiesResult],
    ) -> Made[ContactResult]:
        """Stage 5."""
        from .stages.contact import ContactSettings, run_contact

        settings = ContactSettings(body=self._settings.body)
        return self._made(
            "contact",
            # JOSH3R's scene comes after the bodies.
            tuple(dict.fromkeys((bodies.key, scene.key))) if "motion" in self._stages else (bodies.key,),
            settings,
            ContactResult,
            lambda folder: run_contact(
                frames.result, people.result, scene.result, bodies.result, settings, folder, self._report.progress
            ),
        )

    def joint(
        self,
        frames: Made[FramesResult],
        people: Made[PeopleResult],
        scene: Made[SceneResult],
        bodies: Made[BodiesResult],
        contact: Made[ContactResult],
    ) -> Made[JointResult]:
        """Stage 6."""
        from .stages.joint import JointSettings, run_joint

        # Its matrices are small and many: a GPU computes it where somebody asks for one. Metal knows no float64.
        device = "cuda" if self._settings.device == "cuda" else "cpu"
        settings = JointSettings(heights=self._settings.heights, body=self._settings.body, device=device)
        return self._made(
            "joint",
            (contact.key,),
            settings,
            JointResult,
            lambda folder: run_joint(
                frames.result,
                people.result,
                scene.result,
                scene.folder,
                bodies.result,
                contact.result,
                settings,
                folder,
                self._report.progress,
            ),
        )

    def world(
        self,
        frames: Made[FramesResult],
        people: Made[PeopleResult],
        scene: Made[SceneResult],
        bodies: BodiesResult,
        joint: JointResult,
        licences: tuple[str, ...] = (),
    ) -> Path:
        """Stage 7: the scene's folder."""
        from .stages.world import WorldSettings, run_world

        self._report.stage("world", self._stages.index("world"), False)
        run_world(
            frames.result,
            people.result,
            people.folder,
            scene.result,
            scene.folder,
            bodies,
            joint,
            WorldSettings(stages=self.described, body=self._settings.body, licences=licences),
            self._work.scene,
            self._report.progress,
        )
        return self._work.scene

    def _known_focal(self, frames: FramesResult) -> float | None:
        source, lens = frames.source, self._settings.lens
        return self._settings.focal_px or (lens.focal_px(source.width, source.height) if lens else None)

    def _network_files(self) -> tuple[Path, Path | None]:
        assert self._settings.josh3r_weights is not None
        return self._settings.josh3r_weights, self._settings.mast3r_weights

    def _made(
        self,
        name: str,
        inputs: tuple[str, ...],
        settings: Any,
        result_type: type[Result],
        function: Callable[[Path], Result],
    ) -> Made[Result]:
        """Run or reuse a stage; ``inputs`` are the keys of what it reads."""
        key = content_key(name, code_version(*SOURCES[name]), settings, *inputs)
        self.described[name] = {"backend": self._backends.get(name, "josh3r"), "settings": describe(settings)}
        begun = False

        def run(folder: Path) -> Result:
            nonlocal begun
            begun = True
            self._report.stage(name, self._stages.index(name), False)
            return function(folder)

        outcome = self._cache.run(name, key, result_type, run)
        if not begun:
            self._report.stage(name, self._stages.index(name), True)
        for warning in getattr(outcome.result, "warnings", []):
            self._report.warning(warning)
        for preview in sorted(outcome.folder.glob("preview.*")):
            self._report.preview(name, preview)
        return Made(outcome.result, outcome.folder, key)


def describe(settings: Any) -> dict[str, Any]:
    """A settings dataclass as plain values for scene.json."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(settings).items()}


def _identity_of(*weights: Path | None) -> tuple[str, ...]:
    """Files of gigabytes count by their size and both ends."""
    return tuple(source_identity((path,)) for path in weights if path is not None)
