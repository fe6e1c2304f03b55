"""Build and validate the extension's zip: ``python tools/build_extension.py [--output dist]``.

Blender's own command is a plain Python file that travels with every Blender and bpy wheel; it needs no Blender to run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_COMMAND = "scripts/addons_core/bl_pkg/cli/blender_ext.py"


def find_blender_ext(root: Path = ROOT) -> Path | None:
    """Blender's extension command in a bpy environment of the repository or in the running Python."""
    places = [*sorted(root.glob(".venv-bpy*"), reverse=True), Path(sys.prefix)]
    for place in places:
        for found in sorted(place.glob(f"lib/python*/site-packages/bpy/*/{_COMMAND}")):
            return found
        for found in sorted(place.glob(f"Lib/site-packages/bpy/*/{_COMMAND}")):
            return found
    return None


def build(output: Path, root: Path = ROOT) -> Path:
    """Build the zip into a folder and validate it; returns its path.

    Raises:
        FileNotFoundError: no bpy environment.
        subprocess.CalledProcessError: Blender refuses the manifest or the archive.
    """
    command = find_blender_ext(root)
    if command is None:
        raise FileNotFoundError("no bpy environment was found; run `make` first")
    output.mkdir(parents=True, exist_ok=True)
    for stale in output.glob("josh4d-*.zip"):
        stale.unlink()
    # Without -B the command would leave its bytecode in the bpy environment.
    run = [sys.executable, "-B", str(command)]
    subprocess.run([*run, "build", "--source-dir", str(root), "--output-dir", str(output)], check=True)
    (archive,) = output.glob("josh4d-*.zip")
    subprocess.run([*run, "validate", str(archive)], check=True)
    return archive


def main() -> int:
    """Command line; exit code 0 or one line that says what is wrong."""
    parser = argparse.ArgumentParser(description="Build and validate the Blender extension.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    settings = parser.parse_args()
    try:
        print(build(settings.output))
    except FileNotFoundError as error:
        print(f"Cannot build the extension: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return int(error.returncode) or 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
