"""How long the default pipeline takes and how much memory: ``.venv/bin/python bench/pipeline.py [VIDEO]``.

Runs `josh4d reconstruct` as a whole process in a fresh folder, and times decoding the same video alone as the baseline.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "bench" / "sample" / "data" / "sample.mp4"
_DECODE = "import av, sys; print(sum(1 for _ in av.open(sys.argv[1]).decode(video=0)))"


def _children() -> tuple[float, float]:
    """CPU seconds of all finished children, and the largest memory of one of them in MB."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path, nargs="?", default=SAMPLE)
    video = parser.parse_args().video.absolute()
    begun = time.monotonic()
    outcome = subprocess.run([sys.executable, "-c", _DECODE, str(video)], capture_output=True, text=True, check=True)
    frames, decoding = int(outcome.stdout), time.monotonic() - begun
    before, _ = _children()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "josh_blender.engine", "reconstruct", str(video), "--output", folder]
        subprocess.run(command, cwd=ROOT, check=True)
    wall = time.monotonic() - begun
    after, memory = _children()
    print(f"frames                {frames}")
    print(f"wall                  {wall:.1f} s, {wall / frames:.2f} s a frame, {wall / decoding:.0f} x decoding alone")
    print(f"processor             {after - before:.1f} s, {(after - before) / frames:.2f} s a frame")
    print(f"peak memory           {memory:.0f} MB")


if __name__ == "__main__":
    main()
