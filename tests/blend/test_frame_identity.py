"""The picture that Blender shows for a number is the one that the engine read under it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("bpy")

from shown_pictures import shown

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "engine"))
import barcode_clips  # noqa: E402

ENGINE = next((p for p in (ROOT / ".venv/bin/python", ROOT / ".venv/Scripts/python.exe") if p.exists()), None)
KINDS = (
    "constant", "variable", "b_frames", "offset", "offset_mkv", "offset_ts", "film", "film_mkv", "ntsc_avi", "vertical",
    "turned_90", "turned_180", "turned_270",
)  # fmt: skip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict:
    if ENGINE is None:
        pytest.skip("the engine's environment .venv is missing, which makes the clips")
    folder = tmp_path_factory.mktemp("clips")
    subprocess.run([str(ENGINE), str(ROOT / "tests/engine/barcode_clips.py"), str(folder)], check=True)
    return json.loads((folder / "clips.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("by", ["clip", "image", "strip"])
@pytest.mark.parametrize("kind", KINDS)
def test_blender_shows_what_the_engine_read(kind, by, clips, tmp_path, empty_file):
    told = clips[kind]
    assert told["numbers"] == list(range(barcode_clips.COUNT))
    order = list(range(barcode_clips.COUNT))
    random.Random(1).shuffle(order)
    if by != "clip":
        # All three read through the same code of Blender: a sample is enough for the other two.
        order = order[:10]
    pictures = shown(Path(told["shown"]), by, order, tmp_path)
    assert [barcode_clips.read(picture) for picture in pictures] == order
    assert [pictures[0].shape[1], pictures[0].shape[0]] == told["size"]


def test_a_variable_rate_needs_the_plate(clips, tmp_path, empty_file):
    """The engine knows beforehand which wrong pictures Blender would show."""
    told = clips["variable"]
    assert told["reasons"] == ["variable frame rate"]
    numbers = list(range(barcode_clips.COUNT))
    pictures = shown(Path(told["source"]), "clip", numbers, tmp_path)
    assert [barcode_clips.read(picture) for picture in pictures] == told["shown_by_blender"] != numbers
