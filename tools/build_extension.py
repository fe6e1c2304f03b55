"""Builds and validates the extension zip in ``dist/`` with Blender's own packaging tool, found in a bpy environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOL = "*/bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py"


def main() -> int:
    """Build, then validate what was built; returns the exit code."""
    tools = sorted(ROOT.glob(f".venv-bpy*/lib/python*/{TOOL}"))
    if not tools:
        print("There is no bpy environment: run `make env` first.", file=sys.stderr)
        return 1
    tool, output = tools[-1], ROOT / "dist"
    output.mkdir(exist_ok=True)
    for old in output.glob("*.zip"):
        old.unlink()
    build = [sys.executable, str(tool), "build", "--source-dir", str(ROOT), "--output-dir", str(output)]
    if subprocess.run(build).returncode != 0:
        return 1
    return max(
        subprocess.run([sys.executable, str(tool), "validate", str(zip)]).returncode for zip in output.glob("*.zip")
    )


if __name__ == "__main__":
    sys.exit(main())
