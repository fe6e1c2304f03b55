"""``josh4d label FOLDER``: pseudo-labels for training, a 4D scene for every video of a folder."""

from __future__ import annotations

import argparse
import json
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...scene4d.errors import UserError
from ...scene4d.files import read_scene
from ...scene4d.locate import VIDEO_SUFFIXES
from ...scene4d.scene import Scene4D
from ...scene4d.source_identity import is_source
from ..console import Console
from ..pipeline import reconstruct
from ..presets import PRESETS
from ..reporter import Reporter
from ..settings import DEVICES, ReconstructSettings
from ..system_failures import explain_system_failure
from ..training.label_filters import LabelLimits, reason_against

LIST_NAME = "labels.json"
#: What stops one video stops them all.
_STOPS_ALL = ("disk_full", "no_room", "permission_denied", "missing_weights", "wrong_weights", "missing_package")


def add_parser(commands: Any) -> None:
    """Add the command's arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "label", help="make training labels from a folder of videos", description="Make labels for `josh4d train`."
    )
    parser.add_argument("videos", metavar="FOLDER", type=Path, help="a folder with videos, and folders in it")
    parser.add_argument("--output", metavar="DIR", type=Path, required=True, help="folder for scenes and labels.json")
    parser.add_argument("--preset", default="preview", choices=tuple(PRESETS), help="a backend for each stage")
    parser.add_argument("--mast3r-weights", metavar="FILE", type=Path, help="MASt3R weights; see `josh4d weights`")
    parser.add_argument("--device", default="auto", choices=DEVICES, help="where torch computes")
    parser.add_argument("--json", action="store_true", help="JSON for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Reconstruct video after video; what is there already is only judged."""
    videos = find_videos(arguments.videos)
    settings = ReconstructSettings(
        video=videos[0],
        output=arguments.output.absolute(),
        preset=arguments.preset,
        device=arguments.device,
        mast3r_weights=arguments.mast3r_weights.absolute() if arguments.mast3r_weights else None,
    )
    rows: list[dict[str, str]] = []
    for number, (video, output) in enumerate(zip(videos, _outputs(videos, arguments.videos, settings), strict=True)):
        relative = video.relative_to(arguments.videos.absolute())
        row = label(replace(settings, video=video, output=output))
        rows.append({"video": str(relative), **row})
        _write(settings.output / LIST_NAME, rows)
        if not console.json_lines:
            console.value(row, f"({number + 1}/{len(videos)}) {relative}: {row['reason'] or 'good'}")
    good = [row["scene"] for row in rows if not row["reason"]]
    console.value({"labels": rows}, f"{len(good)} of {len(rows)} videos are good labels: {settings.output / LIST_NAME}")
    if not good:
        raise UserError("nothing_to_learn", "No video became a good label.", f"{LIST_NAME} says why for each.")
    return 0


def find_videos(folder: Path) -> list[Path]:
    """The videos in a folder and below it, in order.

    Raises:
        UserError: there is none.
    """
    found = sorted(path for path in folder.absolute().rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    if not found:
        raise UserError("no_videos", f"There is no video in {folder}.", "Choose a folder with videos.")
    return found


def label(settings: ReconstructSettings) -> dict[str, str]:
    """Make the scene of a video unless it is there; where it is, and why it is no label (empty where it is one).

    Raises:
        UserError: what stops every other video as well.
    """
    try:
        scene = _scene_of(settings)
        if scene is None:
            reconstruct(settings, Reporter(lambda message: None))
            scene = read_scene(settings.scene_folder)
        return {"scene": str(settings.scene_folder), "reason": reason_against(scene, LabelLimits())}
    except UserError as error:
        return _failed(error)
    except Exception as error:
        known = explain_system_failure(error)
        if known is not None:
            return _failed(known)
        traceback.print_exc()
        text = ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])
        return {"scene": "", "reason": f"something unexpected went wrong: {text.rstrip('.')}"}


def _failed(error: UserError) -> dict[str, str]:
    if error.kind in _STOPS_ALL:
        raise error
    return {"scene": "", "reason": error.message.rstrip(".")}


def _scene_of(settings: ReconstructSettings) -> Scene4D | None:
    """The scene that an earlier run made of this video in this way."""
    try:
        scene = read_scene(settings.scene_folder)
    except UserError:
        return None
    backends = {name: stage.get("backend") for name, stage in scene.stages.items()}
    # A scene does not describe the stage that wrote it.
    same = bool(backends) and backends.items() <= PRESETS[settings.preset].items()
    return scene if same and is_source(settings.video, scene.source.identity) else None


def _outputs(videos: Sequence[Path], folder: Path, settings: ReconstructSettings) -> Iterator[Path]:
    """Where the scene of each video belongs: as the videos lie, and a folder more for each that shares its name.

    Some disks do not tell capitals from small letters.
    """
    names = [str(video.with_suffix("")).lower() for video in videos]
    shared = Counter(names)
    for video, name in zip(videos, names, strict=True):
        place = settings.output / video.relative_to(folder.absolute()).parent
        yield place / video.name.replace(".", "-") if shared[name] > 1 else place


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps({"labels": rows}, indent=1, ensure_ascii=False), encoding="utf-8")
    partial.replace(path)
