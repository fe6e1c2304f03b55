"""How many random joint problems crash or give no numbers: ``.venv/bin/python bench/robustness.py [--count N]``.

The problems are those of the tests (`tests/engine/random_walks.py`), of every length up to 300 frames.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "engine"))

import torch  # noqa: E402
from random_walks import fault, random_walk  # noqa: E402

from josh_blender.engine.stages.joint import JointSettings, run_joint  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    nowhere = Path("nowhere")
    faults = 0
    for seed in range(arguments.first, arguments.first + arguments.count):
        walk = random_walk(seed)
        try:
            result = run_joint(
                walk.frames, walk.people, walk.scene, nowhere, walk.bodies, walk.contact, JointSettings(), nowhere,
                lambda done, total: None,
            )  # fmt: skip
            said = fault(walk, result)
        except Exception:
            said = traceback.format_exc()
        if said:
            faults += 1
            print(f"seed {seed}: {said}", flush=True)
    print(f"{faults} of {arguments.count} random problems went wrong")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
