"""Time per pair of JOSH3R at its full size, with random weights: ``.venv/bin/python -m bench.networks``.

Compared, in the same run, with the way of the public code: pair by pair, both pictures encoded anew, in float32. With
``--file`` the weights also go through a file of the public layout.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from josh_blender.engine.feedforward.runner import PairRunner
from josh_blender.engine.networks.josh3r import Josh3r
from josh_blender.engine.networks.mast3r import Mast3rSizes
from josh_blender.engine.networks.pictures import network_picture, squeezed
from josh_blender.engine.networks.weights import NetworkFile, load_josh3r, save_josh3r
from josh_blender.engine.results import Track

WIDTH, HEIGHT = 1280, 720
#: Pictures that differ; a clip goes round them.
_PICTURES = 4


def walker(frames: int) -> Track:
    """Somebody who is seen in the middle of every frame."""
    box = np.tile(np.array([540.0, 160.0, 740.0, 640.0], np.float32), (frames, 1))
    nothing = np.zeros((frames, 33, 3), np.float32)
    return Track(
        id=1, mask_value=1, index=np.arange(frames, dtype=np.int32), box=box, landmarks=nothing[..., :2],
        visibility=nothing[..., 0], world_landmarks=nothing, detected=np.ones(frames, bool),
        overlap=np.zeros(frames, np.float32),
    )  # fmt: skip


def per_pair(work: Callable[[], None], pairs: int, device: str) -> float:
    """Seconds per pair of a piece of work."""
    start = time.perf_counter()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / pairs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time per pair of JOSH3R at its full size.")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--pairs", type=int, default=0, help="pairs to measure (4 on a CPU, 240 on a card)")
    parser.add_argument("--file", action="store_true", help="also write and load a file of 3 GB")
    arguments = parser.parse_args()
    device = arguments.device
    pairs = arguments.pairs or (240 if device.startswith("cuda") else 4)

    torch.manual_seed(0)
    network = Josh3r(Mast3rSizes()).eval()
    network.start_at_rest()
    numbers = sum(value.numel() for value in network.parameters())
    print(f"JOSH3R with {numbers / 1e6:.0f} million numbers, random weights, on {name_of(device)}")
    if arguments.file:
        network = through_a_file(network)
    network.to(device)

    random = np.random.default_rng(0)
    pictures = [random.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(_PICTURES)]
    fit = squeezed(WIDTH, HEIGHT)
    track, lens = walker(pairs + 1), np.array([1000.0, 1000.0, WIDTH / 2, HEIGHT / 2])

    def ours(count: int) -> None:
        runner = PairRunner(network, fit, device)
        for _ in runner.run(range(count + 1), lambda frame: pictures[frame % _PICTURES], [track], lens):
            pass

    boxes = torch.as_tensor(fit.boxes(np.stack([track.box[:2]]))).to(device)

    @torch.inference_mode()
    def one_by_one(count: int) -> None:
        for frame in range(count):
            pair = [network_picture(pictures[(frame + after) % _PICTURES], fit, device)[None] for after in range(2)]
            network(*pair, boxes)

    ours(min(pairs, 16))
    one_by_one(1)
    fast, slow = per_pair(lambda: ours(pairs), pairs, device), per_pair(lambda: one_by_one(pairs), pairs, device)
    print(f"picture {fit.size[0]} x {fit.size[1]}, {pairs} pairs, one person")
    print(f"  ours          {fast:8.3f} s per pair, {1.0 / fast:6.2f} pairs per second")
    print(f"  one by one    {slow:8.3f} s per pair, {1.0 / slow:6.2f} pairs per second")
    print(f"  ratio         {slow / fast:8.2f}")
    print(f"  memory        {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:8.1f} GB at most")
    if device.startswith("cuda"):
        print(f"  on the card   {torch.cuda.max_memory_allocated() / 1e9:8.1f} GB at most")


def name_of(device: str) -> str:
    """The card's name, or how many threads."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} threads of the CPU"


def through_a_file(network: Josh3r) -> Josh3r:
    """The network after it was written to a file and read again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "josh3r.safetensors"
        about = replace(NetworkFile("josh3r", network.mast3r.sizes), whole_picture=True)
        save_josh3r(path, network, about, with_backbone=True)
        start = time.perf_counter()
        loaded, _ = load_josh3r(path, "cpu")
        print(f"a file of {path.stat().st_size / 1e9:.1f} GB was read in {time.perf_counter() - start:.1f} s")
    return loaded


if __name__ == "__main__":
    main()
