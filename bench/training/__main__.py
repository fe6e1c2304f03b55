"""What a tiny JOSH3R learns from rendered pairs: ``.venv/bin/python -m bench.training --films FOLDER``.

Its backbone is random and frozen, so it knows nothing of the world but what the rendered films teach its head. Asked of
films that it never saw, of people who turn and who stop, against the mean motion of the films it was trained on.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import torch

from bench.sequences.make import make
from bench.training.films import Kind, film
from josh_blender.engine.networks.josh3r import Josh3r
from josh_blender.engine.networks.mast3r import Mast3rSizes
from josh_blender.engine.networks.weights import NetworkFile, save_josh3r
from josh_blender.engine.training.features import PictureShape, Sample, prepare
from josh_blender.engine.training.labels import read_clip
from josh_blender.engine.training.loop import TrainSettings, mean_motion, train, validate, whole_motion
from josh_blender.engine.training.losses import LossWeights

ROOT = Path(__file__).resolve().parents[2]
SIZES = Mast3rSizes(
    encoder_width=256, encoder_depth=1, encoder_heads=8, decoder_width=128, decoder_depth=2, decoder_heads=4,
    dpt_levels=(8, 8, 8, 8), dpt_width=8, dpt_last=4,
)  # fmt: skip
# What a random backbone takes for points says nothing about the place.
LOSS_WEIGHTS = LossWeights(rotation=20.0, facing=5.0, contact=0.0, points=0.0)
ROI_WIDTH, LONG_SIDE, PAIR_SECONDS = 64, 320, 0.5
TRAIN_SEEDS: dict[Kind, range] = {"turn": range(8), "stop": range(20)}
HELD_OUT_SEEDS: dict[Kind, range] = {"turn": range(1000, 1002), "stop": range(1000, 1002)}
Group = dict[PictureShape, list[Sample]]


def samples(films: Path, seeds: dict[Kind, range], network: Josh3r, cache: Path, mirrored: bool) -> Group:
    """The samples of films, with ``mirrored`` also as a mirror shows them. What is not there yet is rendered."""
    group: Group = {}
    for kind, numbers in seeds.items():
        for seed in numbers:
            shot = film(kind, seed)
            make(shot, films, ROOT / ".venv-bpy52" / "bin" / "python")
            clip = read_clip(films / f"{shot.name}_truth.scene4d", PAIR_SECONDS)
            shape, found = prepare(clip, network, "random", LONG_SIDE, cache, "cpu", mirrored)
            group.setdefault(shape, []).extend(found)
    return group


def fresh() -> tuple[Josh3r, NetworkFile]:
    """A network with a random backbone whose head says that nobody moves."""
    torch.manual_seed(0)
    about = NetworkFile("josh3r", SIZES, ROI_WIDTH, True, LONG_SIDE, PAIR_SECONDS)
    network = Josh3r(SIZES, about.roi_width).eval()
    network.start_at_rest()
    with torch.no_grad():
        # Random blocks only blur what the patches show.
        for name, value in network.mast3r.named_parameters():
            if "blocks" in name and name.endswith(("proj.weight", "fc2.weight")):
                value.mul_(0.1)
    return network, about


def in_words(row: dict[str, float]) -> str:
    """What `validate` found."""
    share, turn = row["validation_translation_share"], row["validation_rotation_share"]
    length, angle = 1000.0 * row["validation_translation"], math.degrees(row["validation_rotation"])
    return f"translation {share:.2f} ({length:.0f} mm), rotation {turn:.2f} ({angle:.1f} degrees)"


def shares_of(network: Josh3r, group: Group, mean: tuple[torch.Tensor, torch.Tensor]) -> str:
    """A network's errors on samples."""
    return in_words(validate(whole_motion(network), group, mean, 64, torch.device("cpu")))


def main() -> None:
    """Train twice, and print what was reached."""
    parser = argparse.ArgumentParser(description="What a tiny JOSH3R learns from rendered pairs.")
    parser.add_argument("--films", type=Path, default=ROOT / "demo" / "films", help="where the films are, or will be")
    parser.add_argument("--steps", type=int, default=2500, help="batches of the training")
    parser.add_argument("--weights", type=Path, help="file to keep the trained weights in, with the backbone")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network, about = fresh()
        cache = folder / "features"
        learnt = samples(arguments.films, TRAIN_SEEDS, network, cache, mirrored=True)
        held = samples(arguments.films, HELD_OUT_SEEDS, network, cache, mirrored=False)

        few = {shape: some[:: max(1, len(some) // 64)][:64] for shape, some in learnt.items()}
        overfit, _ = fresh()
        settings = TrainSettings(500, 64, 2e-3, dropout=0.0, every=500, weights=LOSS_WEIGHTS)
        train(overfit, about, few, {}, settings, folder / "few", "cpu", lambda *_: None)
        mean = mean_motion([sample for some in few.values() for sample in some])
        print("64 pairs, trained on and asked again, error as a share of the mean motion's:")
        print(f"  {shares_of(overfit, few, mean)}", flush=True)

        every = max(1, arguments.steps // 5)
        settings = TrainSettings(arguments.steps, 32, 1e-3, every=every, weights=LOSS_WEIGHTS)
        print("Held-out films of people who turn and stop, error as a share of the mean motion's:")

        def report(step: int, steps: int, row: dict[str, float]) -> None:
            print(f"  step {step}/{steps}: {in_words(row)}", flush=True)

        train(network, about, learnt, held, settings, folder / "run", "cpu", report)
        mean = mean_motion([sample for some in learnt.values() for sample in some])
        for kind, seeds in HELD_OUT_SEEDS.items():
            group = samples(arguments.films, {kind: seeds}, network, cache, mirrored=False)
            print(f"  those of people who {kind}: {shares_of(network, group, mean)}")
        if arguments.weights is not None:
            save_josh3r(arguments.weights, network, about, with_backbone=True)


if __name__ == "__main__":
    main()
