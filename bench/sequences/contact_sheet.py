"""``python -m bench.sequences.contact_sheet PICTURE.jpg``: a picture of every sequence, for docs/benchmark.md."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from bench.sample.sequence import prepare, render_frames
from bench.sample.shots import Shot, compose
from josh_blender.scene4d.body import load_default_body

from .definitions import SEQUENCES

_COLUMNS, _WIDTH, _HEIGHT = 4, 272, 153


def _picture(shot: Shot, work: Path, blender_python: Path) -> np.ndarray:
    """The first frame (H, W, 3) uint8 BGR, fitted into a tile."""
    body = load_default_body()
    prepare(shot, compose(shot, body), body, work)
    render_frames(work, blender_python, "workbench")
    picture = cv2.imread(str(work / "frames" / "000000.png"))
    factor = min(_WIDTH / picture.shape[1], _HEIGHT / picture.shape[0])
    picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    tile = np.full((_HEIGHT, _WIDTH, 3), 40, np.uint8)
    top, left = (_HEIGHT - picture.shape[0]) // 2, (_WIDTH - picture.shape[1]) // 2
    tile[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    cv2.putText(tile, shot.name, (6, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 20), 3, cv2.LINE_AA)
    cv2.putText(tile, shot.name, (6, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return tile


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sequences.contact_sheet", description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--blender-python", type=Path, default=Path(".venv-bpy45/bin/python"))
    arguments = parser.parse_args()
    tiles = []
    for sequence in SEQUENCES.values():
        whole = sequence.shot
        shot = replace(whole, first=sequence.highlight, frames=1, timeline=whole.frames)
        with tempfile.TemporaryDirectory() as work:
            tiles.append(_picture(shot, Path(work), arguments.blender_python))
    rows = [np.concatenate(tiles[start : start + _COLUMNS], axis=1) for start in range(0, len(tiles), _COLUMNS)]
    cv2.imwrite(str(arguments.picture), np.concatenate(rows), [cv2.IMWRITE_JPEG_QUALITY, 82])


if __name__ == "__main__":
    main()
