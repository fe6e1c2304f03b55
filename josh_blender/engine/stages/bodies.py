"""Stage 4: a body for every track, in the camera of each frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ...scene4d.body import BodyModel, default_body_path, load_body
from ...scene4d.errors import UserError
from ..fit.settings import FitSettings
from ..fit.track import Fitter
from ..results import BodiesResult, FramesResult, PeopleResult, PersonFit, SceneResult, Track
from ..threads import one_torch_thread

#: Mean height of the world's adults, used where the user gave none.
POPULATION_HEIGHT_M = 1.71
#: Heights of people who walk; beyond it is a typing error (178 for 1.78).
_HEIGHT_RANGE_M = (0.4, 2.6)
#: In `BodiesSettings.heights`: the height of everybody who has no own entry.
ANYBODY = 0


@dataclass(frozen=True)
class BodiesSettings:
    """backend: "landmarks". heights: person id -> metres, 0 for all others; body: its file, None for the CC0 body."""

    backend: str = "landmarks"
    device: str = "cpu"
    body: Path | None = None
    heights: dict[int, float] = field(default_factory=dict)
    fit: FitSettings = field(default_factory=FitSettings)


@one_torch_thread()
def run_bodies(
    frames: FramesResult,
    people: PeopleResult,
    scene: SceneResult,
    settings: BodiesSettings,
    folder: Path,
    progress: Callable[[int, int], None],
) -> BodiesResult:
    """Fits the body to the landmarks of every track, each track as one problem over all its frames.

    Raises:
        UserError: an unknown backend, a height that nobody has, or a body file that cannot be read.
    """
    if settings.backend != "landmarks":
        raise UserError("unknown_backend", f"There is no body backend called “{settings.backend}”.", "Use “landmarks”.")
    _check_heights(settings.heights)
    model = _load(settings.body)
    fitter = Fitter(model, settings.fit)
    fits: list[PersonFit] = []
    warnings: list[str] = []
    progress(0, len(people.tracks))
    for track in people.tracks:
        height = settings.heights.get(track.id, settings.heights.get(ANYBODY, POPULATION_HEIGHT_M))
        fit = fitter.fit(track, scene, frames.time, height)
        fits.append(fit)
        if track.reliable and not fit.reliable:
            warnings.append(f"Person {track.id} is marked as uncertain: {fit.reason}.")
        progress(len(fits), len(people.tracks))
    unknown = [
        person for person in settings.heights if person != ANYBODY and person not in {t.id for t in people.tracks}
    ]
    warnings += [f"A height was given for person {person}, but there is no such person." for person in unknown]
    known = bool(people.tracks) and any(_has_height(track, settings) for track in people.tracks)
    return BodiesResult(body_id=model.body_id, people=fits, height_known=known, warnings=warnings)


def _has_height(track: Track, settings: BodiesSettings) -> bool:
    return track.id in settings.heights or ANYBODY in settings.heights


def _check_heights(heights: dict[int, float]) -> None:
    for height in heights.values():
        if not _HEIGHT_RANGE_M[0] <= height <= _HEIGHT_RANGE_M[1]:
            raise UserError(
                "bad_height", f"A height of {height:g} m is not a person's.", "Give the height in metres, such as 1.78."
            )


def _load(path: Path | None) -> BodyModel:
    return load_body(default_body_path() if path is None else path)
