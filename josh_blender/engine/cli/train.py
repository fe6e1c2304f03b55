"""``josh4d train SCENE ...``: JOSH3R's motion head from 4D scenes, on top of a frozen MASt3R."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from ...scene4d.errors import UserError
from ...scene4d.source_identity import source_identity
from ..console import Console
from ..presets import choose_device
from ..settings import DEVICES
from .label import LIST_NAME


def add_parser(commands: Any) -> None:
    """Add the command's arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "train", help="train JOSH3R from 4D scenes", description="Train JOSH3R from 4D scenes; a killed run continues."
    )
    parser.add_argument(
        "scenes", metavar="SCENE", nargs="+", type=Path, help=f"scene4d folders, or the {LIST_NAME} of `josh4d label`"
    )
    parser.add_argument("--output", metavar="DIR", type=Path, required=True, help="folder for weights and checkpoints")
    parser.add_argument("--mast3r-weights", metavar="FILE", type=Path, help="MASt3R weights; see `josh4d weights`")
    parser.add_argument("--validation", metavar="SCENE", nargs="+", type=Path, default=[], help="scenes to measure on")
    parser.add_argument("--cache", metavar="DIR", type=Path, help="folder for features (default: OUTPUT/features)")
    parser.add_argument("--size", metavar="PX", type=int, default=512, help="longer side of the pictures (512)")
    parser.add_argument("--pair-seconds", metavar="S", type=float, default=0.1, help="time between two frames (0.1)")
    parser.add_argument("--steps", metavar="N", type=int, default=20_000, help="batches in all (20000)")
    parser.add_argument("--batch", metavar="N", type=int, default=32, help="persons in a batch (32)")
    parser.add_argument("--rate", metavar="RATE", type=float, default=1e-4, help="largest learning rate (0.0001)")
    parser.add_argument("--device", default="auto", choices=DEVICES, help="where torch computes")
    parser.add_argument("--json", action="store_true", help="JSON for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Compute the features, train, and say what was reached."""
    if importlib.util.find_spec("accelerate") is None:
        raise UserError(
            "missing_package",
            "Training needs the package accelerate, which the engine's environment does not have.",
            "Install it there: pip install accelerate.",
        )
    if min(arguments.steps, arguments.size // 16, arguments.batch) < 1 or arguments.pair_seconds <= 0.0:
        raise UserError("bad_training", "Steps, batch, size and time must be positive.", "See `josh4d train --help`.")
    from accelerate import PartialState

    from ..networks.josh3r import Josh3r
    from ..networks.weights import NetworkFile, check_weights, load_mast3r
    from ..training.features import PictureShape, Sample, prepare
    from ..training.labels import read_clip
    from ..training.loop import WEIGHTS_NAME, TrainSettings, train

    for note in check_weights("mast3r", arguments.mast3r_weights):
        _say(console, {"note": note}, note)
    device = own_device(choose_device(arguments.device))
    # Nobody is to give up on a process that has more to prepare.
    processes = PartialState(cpu=device == "cpu", timeout=timedelta(days=1))
    share = (processes.process_index, processes.num_processes)
    backbone = load_mast3r(arguments.mast3r_weights, device)
    sizes = backbone.sizes
    # The public head has a third of the decoder's width.
    about = NetworkFile(
        "josh3r", sizes, max(8, round(sizes.decoder_width / 3)), True, arguments.size, arguments.pair_seconds
    )
    network = Josh3r(sizes, about.roi_width)
    network.mast3r.load_state_dict(backbone.state_dict())
    network.start_at_rest()
    network.to(device).eval()
    identity = source_identity((arguments.mast3r_weights,))
    cache = arguments.cache or arguments.output / "features"
    groups: list[dict[PictureShape, list[Sample]]] = []
    for paths, mirrored in ((scenes_of(arguments.scenes), True), (scenes_of(arguments.validation), False)):
        group: dict[PictureShape, list[Sample]] = {}
        for path in paths:
            clip = read_clip(path, arguments.pair_seconds)
            shape, samples = prepare(clip, network, identity, arguments.size, cache, device, mirrored, share)
            group.setdefault(shape, []).extend(samples)
            _say(console, {"scene": str(path), "samples": len(samples)}, f"{path.name}: {len(samples)} pairs")
        groups.append(group)
    processes.wait_for_everyone()
    settings = TrainSettings(arguments.steps, arguments.batch, arguments.rate, every=max(1, arguments.steps // 40))
    history = train(
        network, about, groups[0], groups[1], settings, arguments.output, device,
        lambda step, steps, row: _say(console, row, as_text(step, steps, row)),
    )  # fmt: skip
    weights = arguments.output / WEIGHTS_NAME
    if _is_first():
        console.value({"weights": str(weights), "history": history.rows}, str(weights))
    return 0


def own_device(device: str) -> str:
    """The device of this process: each of several has a card of its own; launchers number them so."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if device == "cuda" else device


def scenes_of(paths: list[Path]) -> list[Path]:
    """Scene folders: those given, and the good ones of lists that `josh4d label` wrote.

    Raises:
        UserError: a list cannot be read, or holds no scene.
    """
    found: list[Path] = []
    for path in paths:
        if path.name != LIST_NAME:
            found.append(path)
            continue
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))["labels"]
            found += [Path(row["scene"]) for row in rows if not row["reason"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                "nothing_to_learn", f"{path} is no list of labels.", "Make it with `josh4d label`."
            ) from error
    if paths and not found:
        raise UserError("nothing_to_learn", "There is no scene to learn from.", "`josh4d label` makes scenes.")
    return found


def as_text(step: int, steps: int, row: dict[str, float]) -> str:
    """A checkpoint's figures for a person."""
    text = f"step {step}/{steps}: loss {sum(value for name, value in row.items() if _is_term(name)):.3f}"
    if "validation_translation" in row:
        text += (
            f", validation {1000.0 * row['validation_translation']:.0f} mm "
            f"({row['validation_translation_share']:.2f} of the mean motion's), "
            f"{row['validation_rotation_share']:.2f} of its turn"
        )
    return text


def _is_term(name: str) -> bool:
    return name != "step" and not name.startswith("validation")


def _say(console: Console, row: dict[str, Any], text: str) -> None:
    if _is_first() and not console.json_lines:
        console.value(row, text)


def _is_first() -> bool:
    """Whether this process speaks for all that were launched with it; launchers number them so."""
    return os.environ.get("RANK", "0") == "0"
