"""Stage 4 as the pipeline calls it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fit_helpers import seen_walk
from synthetic_walk import Walk

from josh_blender.engine.results import BodiesResult
from josh_blender.engine.stages.bodies import POPULATION_HEIGHT_M, BodiesSettings, run_bodies
from josh_blender.scene4d.body import load_default_body
from josh_blender.scene4d.errors import UserError


def run(walk: Walk, settings: BodiesSettings | None = None) -> BodiesResult:
    calls: list[tuple[int, int]] = []
    result = run_bodies(
        walk.frames, walk.people, walk.scene, settings or BodiesSettings(), Path(), lambda *step: calls.append(step)
    )
    assert calls[-1] == (len(walk.people.tracks),) * 2
    return result


def heights(result: BodiesResult) -> list[float]:
    model = load_default_body()
    return [float(model.height(person.betas)) for person in result.people]


def test_each_person_gets_the_height_meant_for_them() -> None:
    walk = seen_walk(seconds=0.2, people=2)
    given = run(walk, BodiesSettings(heights={0: 1.80, 2: 1.62}))
    assert given.height_known
    assert heights(given) == pytest.approx([1.80, 1.62], abs=1e-6)
    assumed = run(walk)
    assert not assumed.height_known
    assert heights(assumed) == pytest.approx([POPULATION_HEIGHT_M] * 2, abs=1e-6)


def test_nobody_is_a_valid_result() -> None:
    walk = seen_walk(seconds=0.2)
    walk.people.tracks.clear()
    result = run(walk, BodiesSettings(heights={0: 1.8}))
    assert result.people == []
    assert result.body_id == load_default_body().body_id


def test_an_unreliable_track_stays_unreliable_and_keeps_its_reason() -> None:
    walk = seen_walk(seconds=0.2)
    walk.people.tracks[0].reliable = False
    walk.people.tracks[0].reason = "merged with another person"
    person = run(walk).people[0]
    assert not person.reliable
    assert person.reason == "merged with another person"


def test_landmarks_that_no_body_makes_are_not_trusted() -> None:
    walk = seen_walk(seconds=0.3)
    track = walk.people.tracks[0]
    track.landmarks[:] += np.random.default_rng(0).normal(0.0, 80.0, track.landmarks.shape)
    result = run(walk)
    assert not result.people[0].reliable
    assert len(result.warnings) == 1


@pytest.mark.parametrize("height", [178.0, 0.0, float("nan")])
def test_impossible_heights_are_refused(height: float) -> None:
    with pytest.raises(UserError) as caught:
        run(seen_walk(seconds=0.1), BodiesSettings(heights={0: height}))
    assert caught.value.kind == "bad_height"
    assert "metres" in caught.value.remedy


def test_a_height_for_nobody_is_reported() -> None:
    result = run(seen_walk(seconds=0.1), BodiesSettings(heights={7: 1.8}))
    assert any("person 7" in warning for warning in result.warnings)
    assert not result.height_known
