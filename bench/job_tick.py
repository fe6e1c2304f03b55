"""What a job costs Blender's interface: ``python bench/job_tick.py [--seconds 5] [--lines 10000]``; needs no package.

A child prints so many lines a second, half of them messages of the protocol; the queue is ticked as Blender's timer
ticks it, and each tick is measured: by the clock, and in processor time, which tells the work of a tick from waiting
for a core that other programs hold. The last rows are a child that prints as fast as it can.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from josh_blender.jobs.job import engine_environment  # noqa: E402
from josh_blender.jobs.queue import JobQueue, JobRequest  # noqa: E402

#: As in operators/job_queue.py.
_BUDGET, _INTERVAL, _INTERVAL_BEHIND = 0.002, 0.1, 0.01
_ALLOWED = 0.005

#: Arguments: lines a second, 0 for as many as go; seconds; what to print: progress, warnings or noise.
CHILD = """
import json, sys, time
rate, seconds, kind = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
print(json.dumps({"type": "start", "stages": ["frames", "people"], "scene": "", "log": ""}))
print(json.dumps({"type": "stage", "name": "people", "index": 1, "reused": False}))
noise = "W20260101 00:00:00.000 1234 mapper.cc:42] something that a library prints about its own work\\n"
said = {"progress": json.dumps({"type": "progress", "done": 5, "total": 9, "detail": "frame 5"}) + "\\n",
        "warnings": json.dumps({"type": "warning", "message": "the same as ever " * 4}) + "\\n", "noise": noise}[kind]
begun, printed = time.monotonic(), 0
while (passed := time.monotonic() - begun) < seconds:
    count = int(rate * passed) - printed if rate else 200
    sys.stdout.write((said + noise) * (count // 2))
    sys.stdout.flush()
    printed += count // 2 * 2
    if rate:
        time.sleep(0.002)
print(json.dumps({"type": "done", "scene": str(printed)}))
"""


def measure(rate: int, seconds: float, kind: str) -> tuple[float, float]:
    """The longest tick of the queue while a child prints, s: by the clock and in processor time.

    The first tick, which starts the child, is left out.
    """
    queue = JobQueue()
    entry = queue.add(
        JobRequest(kind, (sys.executable, "-c", CHILD, str(rate), str(seconds), kind), engine_environment())
    )
    queue.tick(_BUDGET)
    times, work = [], []
    begun = time.monotonic()
    while not entry.ended:
        before, worked = time.perf_counter(), time.thread_time()
        behind = queue.tick(_BUDGET)
        times.append(time.perf_counter() - before)
        work.append(time.thread_time() - worked)
        time.sleep(_INTERVAL_BEHIND if behind else _INTERVAL)
    late = time.monotonic() - begun - seconds
    name = f"{rate} lines/s" if rate else "as fast as it can"
    print(
        f"{name:<18} {kind:<9} {int(str(entry.result)):>8} lines {len(times):>5} ticks"
        f"  median {1e3 * statistics.median(times):5.2f} ms  longest {1e3 * max(times):5.2f} ms"
        f"  processor {1e3 * max(work):5.2f} ms  read {late:.1f} s after the last line"
    )
    return max(times), max(work)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--lines", type=int, default=10_000)
    settings = parser.parse_args()
    rates = (10, settings.lines, 0)
    ticks = [measure(rate, settings.seconds, kind) for rate in rates for kind in ("progress", "warnings", "noise")]
    clock, work = (max(values) for values in zip(*ticks, strict=True))
    print(
        f"longest tick {1e3 * clock:.2f} ms, its work at most {1e3 * work:.2f} ms; {1e3 * _ALLOWED:.0f} ms are allowed"
    )
    return 0 if work <= _ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main())
