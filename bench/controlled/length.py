"""python -m bench.controlled.length: time and memory of the joint solve against the length of the video.

Beginnings of one long sequence, each solved in a process of its own, so that the most memory of that process is what
the solve needed, Python and torch included.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch

from josh_blender.scene4d.body import load_default_body

from . import ours
from .compare import prepare
from .inputs import Inputs, make_inputs
from .truth import Truth

LENGTHS = (101, 201, 401, 900)


def solved_apart(truth: Truth, inputs: Inputs) -> tuple[ours.Solved, float, float]:
    """The result, the processor's seconds, and the most memory of this process in GB."""
    torch.set_num_threads(1)
    began = process_time()
    solved = ours.solve(truth, inputs, load_default_body())
    # Kilobytes on Linux, bytes on macOS.
    unit = 1e9 if sys.platform == "darwin" else 1e6
    return solved, process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def gap_percent(centres: Any) -> float:
    """Distance from the first to the last of the camera's centres (F,3), % of the path between."""
    return 100.0 * float(
        np.linalg.norm(centres[-1] - centres[0]) / np.linalg.norm(np.diff(centres, axis=0), axis=1).sum()
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.controlled.length", description=__doc__)
    parser.add_argument("--sequence", default="return")
    parser.add_argument("--lengths", type=int, nargs="+", default=list(LENGTHS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_default_body()
    print("| frames | time a frame | memory | scale error | ATE | WA-MPJPE | start to end, of the path (truth) |")
    print("|---|---|---|---|---|---|---|")
    first = 0.0
    for frames in arguments.lengths:
        prepared = prepare(arguments.sequence, model, frames)
        truth, views = prepared.truth, prepared.views
        with tempfile.TemporaryDirectory() as folder:
            inputs = make_inputs(truth, views, prepared.sightings, model, 1.0, 0, Path(folder))
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                solved, seconds, memory = pool.apply(solved_apart, (truth, inputs))
        figures = ours.figures(truth, views, inputs, solved.scene, solved.joint.scale, model)
        each = seconds / frames
        first = first or each
        own, true = (
            gap_percent(solved.scene.camera.world_from_camera[:, :3, 3]),
            gap_percent(truth.world_from_camera[:, :3, 3]),
        )
        print(
            f"| {frames} | {1000 * each:.0f} ms ({each / first:.2f} x) | {memory:.2f} GB "
            f"| {figures['scale']['error_percent']:.2f} % | {1000 * figures['camera']['ate_m']:.0f} mm "
            f"| {figures['people']['wa_mpjpe_mm']:.0f} mm | {own:.2f} % ({true:.2f} %) |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
