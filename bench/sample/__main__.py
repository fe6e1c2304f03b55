"""``python -m bench.sample SHOT --output DIR``: renders a shot, encodes it and writes its truth (docs/sample.md)."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from josh_blender.scene4d.body import load_default_body
from josh_blender.scene4d.source_identity import source_identity

from .sequence import encode, prepare, render_frames
from .shots import SHOTS, compose
from .truth import write_truth


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sample", description=__doc__)
    parser.add_argument("shot", choices=sorted(SHOTS))
    parser.add_argument("--output", type=Path, required=True, help="folder of SHOT.mp4 and SHOT_truth.scene4d")
    parser.add_argument("--work", type=Path, help="folder of the rendered pictures (default: OUTPUT/SHOT_work)")
    parser.add_argument("--engine", choices=("workbench", "cycles"), default="workbench")
    parser.add_argument("--samples", type=int, default=8, help="Cycles samples per pixel before denoising")
    parser.add_argument("--blender-python", type=Path, default=Path(".venv-bpy45/bin/python"))
    parser.add_argument("--frames", type=int)
    parser.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--fps", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--megabits", type=float, help="bit rate in Mbit/s (default: constant quality)")
    arguments = parser.parse_args()
    shot = SHOTS[arguments.shot]
    width, height = arguments.size or (shot.width, shot.height)
    shot = replace(
        shot,
        frames=arguments.frames or shot.frames,
        width=width,
        height=height,
        fps=arguments.fps or shot.fps,
        seed=shot.seed if arguments.seed is None else arguments.seed,
    )
    arguments.output.mkdir(parents=True, exist_ok=True)
    work = arguments.work or arguments.output / f"{shot.name}_work"
    body = load_default_body()
    composition = compose(shot, body)
    prepare(shot, composition, body, work)
    render_frames(work, arguments.blender_python, arguments.engine, arguments.samples)
    video = arguments.output / f"{shot.name}.mp4"
    encode(work, video, shot.fps, arguments.megabits)
    folder = arguments.output / f"{shot.name}_truth.scene4d"
    write_truth(shot, composition, body, video, source_identity([video]), folder)
    print(f"{video}\n{folder}")


if __name__ == "__main__":
    main()
