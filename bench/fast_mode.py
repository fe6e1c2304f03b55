"""What the joint solve after the fast mode gains: ``python -m bench.fast_mode --rendered DIR [--sequences NAME ...]``.

There are no trained weights to measure with, so an oracle stands in for the network: the true motion of bodies and the
true place, with errors of about the size that JOSH3R is published to have. Everything else is the pipeline. The
network's own time is not in the seconds.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from bench.controlled.truth import Truth, truth_of_shot
from bench.controlled.views import place_depth
from bench.sample.shots import compose
from bench.sequences import shot_of
from josh_blender.engine.cli import main as josh4d
from josh_blender.engine.evaluation import evaluate
from josh_blender.engine.feedforward.load import FastNetwork
from josh_blender.engine.feedforward.runner import PairSeen
from josh_blender.engine.networks.pictures import PictureFit, squeezed
from josh_blender.engine.results import Track
from josh_blender.scene4d.body import load_default_body
from josh_blender.scene4d.camera import invert_rigid, project, rigid, unproject
from josh_blender.scene4d.files import read_scene
from josh_blender.scene4d.rotations import matrix_from_axis_angle

Array = NDArray[Any]

#: Seconds between the frames of a pair, and the longer side of the pictures.
_PAIR_SECONDS, _LONG_SIDE = 0.1, 128
#: Errors: every motion too long by this share; of each motion, m and radians; of each depth map, relative.
_TOO_LONG, _SHIFT_M, _TURN, _DEPTH = 0.08, 0.012, 0.008, 0.03
#: The network's unit in metres.
_UNIT = 0.7


class Oracle:
    """Stands where `PairRunner` does."""

    def __init__(self, truth: Truth, fit: PictureFit, seed: int = 0) -> None:
        self._truth, self._fit, self._random = truth, fit, np.random.default_rng(seed)
        model = load_default_body()
        self._bodies = []
        for body in truth.people:
            pelvis = body.trans + model.joints(body.betas)[0]
            self._bodies.append(rigid(matrix_from_axis_angle(body.poses[:, :3]), pelvis))

    def run(
        self, steps: Sequence[int], read: Callable[[int], Array], tracks: Sequence[Track], intrinsics: Array
    ) -> Iterator[PairSeen]:
        """The pairs of consecutive ``steps``."""
        del read, intrinsics
        for first, second in itertools.pairwise(steps):
            motions = {
                track.id: self._motion(self._body_of(track, first), first, second)
                for track in tracks
                if track.seen_on(first) and track.seen_on(second)
            }
            points, confidence = self._points(first)
            yield PairSeen(first, second, motions, (1.0 + _TOO_LONG) * _UNIT, points, confidence)

    def _motion(self, body: Array, first: int, second: int) -> Array:
        true = invert_rigid(body[first]) @ body[second]
        turn = matrix_from_axis_angle(self._random.normal(0.0, _TURN, 3))
        shift = (1.0 + _TOO_LONG) * true[:3, 3] + self._random.normal(0.0, _SHIFT_M, 3)
        return rigid(true[:3, :3] @ turn, shift)

    def _body_of(self, track: Track, frame: int) -> Array:
        """The body whose pelvis is nearest to the middle of the track's box."""
        box = track.box_on(frame)
        from_world = invert_rigid(self._truth.world_from_camera[frame])
        pelvis = np.array([(from_world @ body[frame])[:3, 3] for body in self._bodies])
        pixel = project(pelvis, self._truth.intrinsics[frame])
        return self._bodies[int(np.linalg.norm(pixel - 0.5 * (box[:2] + box[2:]), axis=1).argmin())]

    def _points(self, frame: int) -> tuple[Array, Array]:
        """The place as the first picture's pixels show it, in the network's unit, and how sure it is."""
        width, height = self._fit.size
        rows, columns = np.mgrid[:height, :width]
        pixels = np.stack([columns.ravel(), rows.ravel()], -1) + 0.5
        lens = self._fit.intrinsics(self._truth.intrinsics[frame])
        depth = place_depth(self._truth.place, self._truth.world_from_camera[frame], lens, pixels)
        known = np.isfinite(depth)
        depth = np.where(known, depth, 1.0) * (1.0 + self._random.normal(0.0, _DEPTH)) / _UNIT
        points = (unproject(pixels, lens) * depth[:, None]).reshape(height, width, 3)
        return points, np.where(known, 4.0, 1.0).reshape(height, width)


def measure(name: str, rendered: Path, work: Path, mode: str) -> tuple[dict[str, Any], float]:
    """The figures of one mode on one sequence, and the seconds it took."""
    shot = shot_of(name, False)
    truth = truth_of_shot(shot, compose(shot, load_default_body()))
    fit = squeezed(truth.width, truth.height, long_side=_LONG_SIDE)
    words = ["reconstruct", str(rendered / f"{name}.mp4"), "--output", str(work), "--device", "cpu"]
    words += ["--focal", str(float(truth.intrinsics[0, 0])), "--mode", mode]
    if mode != "josh":
        stand_in = work / "oracle.safetensors"
        stand_in.write_bytes(b"")
        words += ["--josh3r-weights", str(stand_in)]
    began = time.perf_counter()
    with (
        patch("josh_blender.engine.networks.weights.check_weights", lambda *_: []),
        patch("josh_blender.engine.stages.motion.PairRunner", lambda *_: Oracle(truth, fit)),
        patch("josh_blender.engine.stages.motion.load_network", lambda *_: FastNetwork(None, fit, _PAIR_SECONDS)),  # type: ignore[arg-type]
    ):
        if josh4d(words):
            raise RuntimeError(f"{name} failed in the mode {mode}")
    scene = read_scene(work / f"{name}.scene4d")
    return evaluate(scene, read_scene(rendered / f"{name}_truth.scene4d")), time.perf_counter() - began


def main() -> None:
    """Run the modes one after the other, each from nothing, and print a table."""
    parser = argparse.ArgumentParser(description="What the joint solve after the fast mode gains.")
    parser.add_argument("--rendered", type=Path, required=True, help="folder that bench.sequences wrote")
    parser.add_argument("--sequences", nargs="+", default=["straight", "orbit"], metavar="NAME")
    arguments = parser.parse_args()
    print("| sequence | mode | seconds | scale error | ATE | WA-MPJPE | W-MPJPE | foot sliding |")
    print("|---|---|---|---|---|---|---|---|")
    for name, mode in itertools.product(arguments.sequences, ("josh3r", "josh3r+", "josh")):
        # The engine's console takes a process's output over for good.
        with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn")) as pool:
            found, seconds = pool.submit(measure, name, arguments.rendered, Path(folder), mode).result()
        people, camera, scale = found["people"], found["camera"], found["scale"]
        print(
            f"| `{name}` | `{mode}` | {seconds:.0f} | {scale['error_percent']:.1f} % | {camera['ate_m']:.3f} m | "
            f"{people['wa_mpjpe_mm']:.0f} mm | {people['w_mpjpe_mm']:.0f} mm | {people['foot_sliding_mm']:.1f} mm |",
            flush=True,
        )


if __name__ == "__main__":
    main()
