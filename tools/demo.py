"""The whole way on the sample clip: video, 4D scene, .blend, composite, FBX and USD, and how far it is from the truth.

Run by `make demo` in the engine's environment; everything goes to `demo/`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "bench" / "sample" / "data"
#: True heights of the sample's people by the number that the reconstruction gives them, metres.
HEIGHTS = "1=1.80,2=1.66"


def _run(title: str, command: list[str]) -> None:
    print(f"\n== {title}", flush=True)
    started = time.monotonic()
    outcome = subprocess.run(command, cwd=ROOT, check=False)
    if outcome.returncode != 0:
        raise SystemExit(f"The demo stopped: '{title}' failed. Its own message is above.")
    print(f"   ({time.monotonic() - started:.0f} s)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "demo", help="folder for the results")
    parser.add_argument("--fresh", action="store_true", help="forget the results of an earlier run")
    arguments = parser.parse_args()
    output: Path = arguments.output
    if arguments.fresh:
        shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True, exist_ok=True)
    josh4d = [sys.executable, "-m", "josh_blender.engine"]
    scene = output / "sample.scene4d"
    video = DATA / "sample.mp4"
    _run(
        "Reconstruct the sample clip",
        [*josh4d, "reconstruct", str(video), "--output", str(output), "--height", HEIGHTS],
    )
    _run("What the scene holds", [*josh4d, "inspect", str(scene)])
    exports = {"--save": "sample.blend", "--fbx": "sample.fbx", "--usd": "sample.usd", "--render": "sample.png"}
    composites = {"--composite": "composite.png", "--movie": "composite.mp4"}
    files = [part for flag, name in {**exports, **composites}.items() for part in (flag, str(output / name))]
    _run("Blender: import, save, export, composite", [*josh4d, "blend", str(scene), *files])
    _run(
        "Against the sample's known truth",
        [*josh4d, "evaluate", str(scene), "--truth", str(DATA / "sample_truth.scene4d")],
    )
    print(f"\nEverything is in {output}:")
    for path in sorted(output.iterdir()):
        size = sum(file.stat().st_size for file in path.rglob("*")) if path.is_dir() else path.stat().st_size
        print(f"  {path.name:24s} {size / 1e6:8.1f} MB")


if __name__ == "__main__":
    main()
