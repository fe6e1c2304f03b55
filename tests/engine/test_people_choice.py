"""Detect First: who is seen, with pictures, and only those who count afterwards."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from josh_blender.engine.cli.reconstruct import parse_people
from josh_blender.engine.people_choice import keep_people, write_sightings
from josh_blender.engine.results import PeopleResult, Track
from josh_blender.engine.stages.frames import FramesSettings, run_frames
from josh_blender.jobs.sightings import read_sightings
from josh_blender.scene4d.errors import UserError

#: BGR colours of two people of 20 x 40 px on grey.
COLORS = {1: (0, 0, 255), 2: (0, 255, 0)}


def track(number: int, left: float, count: int, covered: int | None = None) -> Track:
    overlap = np.full(count, 1.0 if covered is not None else 0.0, np.float32)
    if covered is not None:
        overlap[covered] = 0.0
    box = np.tile(np.array([left, 10.0, left + 20.0, 50.0], np.float32), (count, 1))
    return Track(
        number, number, np.arange(count, dtype=np.int32), box, np.zeros((count, 33, 2), np.float32),
        np.zeros((count, 33), np.float32), np.zeros((count, 33, 3), np.float32), np.ones(count, bool), overlap,
        reliable=number == 1, reason="" if number == 1 else "hidden",
    )  # fmt: skip


def people() -> PeopleResult:
    return PeopleResult([track(1, 10.0, 4), track(2, 70.0, 3, covered=1)])


def write_pictures(folder: Path) -> Path:
    """Four pictures numbered from 7; person 2 is green only in the second."""
    for number in range(7, 11):
        picture = np.full((60, 100, 3), 90, np.uint8)
        picture[10:50, 10:30] = COLORS[1]
        if number == 8:
            picture[10:50, 70:90] = COLORS[2]
        cv2.imwrite(str(folder / f"p{number:03d}.png"), picture)
    return folder / "p009.png"


def test_people_are_listed_with_their_best_pictures(tmp_path: Path) -> None:
    frames = run_frames(write_pictures(tmp_path), FramesSettings(), tmp_path, lambda done, total: None)
    path = write_sightings(frames, people(), tmp_path / "seen" / "people.json")
    first, second = read_sightings(path)
    assert (first.id, first.first_frame, first.last_frame, first.reliable) == (1, 7, 10, True)
    assert (second.first_frame, second.last_frame, second.reason) == (7, 9, "hidden")
    for sighting in (first, second):
        assert sighting.picture is not None
        picture = cv2.imread(str(sighting.picture))
        middle = picture[picture.shape[0] // 2, picture.shape[1] // 2]
        assert middle.tolist() == list(COLORS[sighting.id])
    assert json.loads(path.read_text())["people"][0]["height_px"] == 40.0


def test_only_who_counts_is_kept() -> None:
    everybody = people()
    assert [one.id for one in keep_people(everybody, (2,)).tracks] == [2]
    assert [one.id for one in everybody.tracks] == [1, 2]
    with pytest.raises(UserError, match=r"no person 5 in this range; seen: 1, 2"):
        keep_people(everybody, (1, 5))


def test_ids_on_the_command_line() -> None:
    assert parse_people("3,1,3") == (1, 3)
    with pytest.raises(argparse.ArgumentTypeError):
        parse_people("1,b")
