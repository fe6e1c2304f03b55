"""python -m bench.controlled: our joint solve against the first-order baseline on controlled inputs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from bench.sequences import names
from josh_blender.scene4d.body import load_default_body

from .compare import BASELINES, CHUNK, compare, prepare
from .inputs import Variation
from .rows import Row, table, write


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.controlled", description=__doc__)
    parser.add_argument("--sequences", nargs="+", default=list(names()), choices=names(), metavar="NAME")
    parser.add_argument("--levels", nargs="+", type=float, default=[1.0])
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--frames", type=int, default=CHUNK, help="of the beginning of each sequence, 0 for all of it")
    parser.add_argument("--quick", action="store_true", help="one small sequence, few frames")
    parser.add_argument(
        "--baselines", nargs="*", default=list(BASELINES), choices=list(BASELINES), help="none: only our solver"
    )
    parser.add_argument("--no-contacts", action="store_true", help="contact labels withheld")
    parser.add_argument("--no-landmarks", action="store_true", help="2D landmarks withheld")
    parser.add_argument("--flips", type=float, help="share of wrong contact labels, whatever the level")
    parser.add_argument("--unit", type=float, help="metres per unit of the input scene (the start scale)")
    parser.add_argument("--json", type=Path, help="write the rows there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_default_body()
    variation = Variation(
        without_contacts=arguments.no_contacts, unit=arguments.unit, flips=arguments.flips,
        without_landmarks=arguments.no_landmarks,
    )  # fmt: skip
    chosen, frames = (["straight"], 31) if arguments.quick else (arguments.sequences, arguments.frames)
    rows: list[Row] = []
    for name in chosen:
        prepared = prepare(name, model, frames, small=arguments.quick)
        for level in arguments.levels:
            for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
                new = compare(name, prepared, model, level, seed, variation, arguments.baselines)
                print(table(new).split("\nmean")[0], flush=True)
                rows += new
                if arguments.json:
                    write(rows, arguments.json)
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
