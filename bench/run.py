"""Every measured comparison, one after the other (`make bench`)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    runs = [
        ("The default pipeline on the sample clip", [sys.executable, "bench/pipeline.py"]),
        ("The joint solve on random problems", [sys.executable, "bench/robustness.py"]),
        (
            "The joint solve against a first-order one, whole sequences",
            [sys.executable, "-m", "bench.controlled", "--frames", "0", "--baselines", "repaired"],
        ),
        ("How soon it is as good as the first-order one", [sys.executable, "-m", "bench.controlled.race"]),
        (
            "What wrong labels and an unknown height cost the joint solve",
            [sys.executable, "-m", "bench.controlled.studies", "labels", "height"],
        ),
        ("The joint solve of long videos", [sys.executable, "-m", "bench.controlled.length"]),
        ("A rendered pure pan", [sys.executable, "bench/pan.py"]),
        ("The fast mode's networks at full size, random weights", [sys.executable, "-m", "bench.networks"]),
        ("What a job costs Blender's interface", [sys.executable, "bench/job_tick.py"]),
    ]
    if sys.platform == "linux":
        runs.append(("How the engine ends and goes on", [sys.executable, "bench/reliability.py"]))
    else:
        print("How the engine ends and goes on: skipped, it looks processes up in /proc")
    for version, folder in (("4.5", ".venv-bpy45"), ("5.2", ".venv-bpy52")):
        python = ROOT / folder / "bin" / "python"
        if python.exists():
            runs.append((f"Import into Blender {version}", [str(python), "bench/import_speed.py"]))
        else:
            print(f"Import into Blender {version}: skipped, there is no {folder}")
    failed = 0
    for title, command in runs:
        print(f"\n=== {title}", flush=True)
        failed += subprocess.run(command, cwd=ROOT, check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
