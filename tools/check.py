"""Runs the project's checks and says at the end which passed: ``python tools/check.py [--quick]``.

Every step has a time limit and its own process group, which is ended with it: a hanging Blender must not hang a build.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENGINE = ".venv/bin/"
#: What runs inside Blender, with Blender's own Python and numpy.
INSIDE_BLENDER = ("tests/scene4d", "tests/jobs", "tests/blend")
BLENDERS = {"4.5": ".venv-bpy45", "5.2": ".venv-bpy52"}


@dataclass(frozen=True)
class Step:
    """A command with a time limit in seconds; skipped with a reason where ``missing`` says so."""

    name: str
    command: list[str]
    limit: int
    missing: str = ""
    variables: dict[str, str] = field(default_factory=dict)


def steps(quick: bool) -> list[Step]:
    """The checks in their order, the cheap ones first."""
    python = f"{ENGINE}python"
    workers = str(min(os.cpu_count() or 1, 4))
    engine_tests = [python, "-m", "pytest", "-q", "--ignore", "tests/blend", "-n", workers, "--dist", "loadfile"]
    single_thread = {"OMP_NUM_THREADS": "1"}
    result = [
        Step("ruff check", [f"{ENGINE}ruff", "check", "."], 60),
        Step("ruff format", [f"{ENGINE}ruff", "format", "--check", "."], 60),
        Step("mypy", [f"{ENGINE}mypy"], 300),
    ]
    if quick:
        return [*result, Step("fast tests", [*engine_tests, "-m", "not slow"], 300, "", single_thread)]
    result.append(Step("engine tests", engine_tests, 1500, "", single_thread))
    for version, folder in BLENDERS.items():
        blender_python = f"{folder}/bin/python"
        missing = "" if (ROOT / blender_python).exists() else f"there is no {folder}"
        tests = [blender_python, "-m", "pytest", "-q", *INSIDE_BLENDER]
        result.append(Step(f"Blender {version} tests", tests, 900, missing, single_thread))
    return result


def run(step: Step) -> str:
    """Run a step with its output on ours; returns ``passed``, ``FAILED ...`` or ``skipped ...``."""
    if step.missing:
        return f"skipped: {step.missing}"
    print(f"\n=== {step.name}: {' '.join(step.command)}", flush=True)
    begun = time.monotonic()
    child = subprocess.Popen(
        step.command,
        cwd=ROOT,
        env={**os.environ, **step.variables},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        code = child.wait(step.limit)
    except subprocess.TimeoutExpired:
        return f"FAILED: it did not end within {step.limit} s"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    seconds = time.monotonic() - begun
    return f"passed ({seconds:.0f} s)" if code == 0 else f"FAILED with exit code {code} ({seconds:.0f} s)"


def main() -> int:
    """Run all steps, print the summary, return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="lint, types, layers and the fast tests")
    results = {step.name: run(step) for step in steps(parser.parse_args().quick)}
    print("\n=== summary")
    for name, outcome in results.items():
        print(f"  {name:<20} {outcome}")
    failed = [name for name, outcome in results.items() if outcome.startswith("FAILED")]
    print(f"{len(failed)} of {len(results)} checks failed: {', '.join(failed)}" if failed else "All checks passed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
