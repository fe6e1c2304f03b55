"""Build and validate the extension's zip and its repository: ``python tools/build_extension.py [--output dist]``.

Blender's own command is a plain Python file that travels with every Blender and bpy wheel; it needs no Blender to run.
The zip is made by one Blender and validated by each that is there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.help_pages import help_files  # noqa: E402

_COMMAND = "scripts/addons_core/bl_pkg/cli/blender_ext.py"
_SAMPLE = "bench/sample/data/sample.mp4"

#: The date of every file in the zip, so that the same source gives the same bytes; the earliest a zip can hold.
_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644


def blender_commands(root: Path = ROOT) -> list[Path]:
    """Blender's extension command in the bpy environments here and in the running Python, oldest first."""
    places = [*sorted(root.glob(".venv-bpy*")), Path(sys.prefix)]
    found = [
        command.resolve()
        for place in places
        for packages in ("lib/python*/site-packages", "Lib/site-packages")
        for command in sorted(place.glob(f"{packages}/bpy/*/{_COMMAND}"))
    ]
    return list(dict.fromkeys(found))


def build(output: Path, root: Path = ROOT) -> Path:
    """Build the zip into a folder, validate it and list it in the folder's ``index.json``; returns the zip's path.

    Raises:
        FileNotFoundError: no bpy environment.
        subprocess.CalledProcessError: Blender refuses the manifest or the archive.
    """
    commands = blender_commands(root)
    if not commands:
        raise FileNotFoundError("no bpy environment was found; run `make` first")
    output.mkdir(parents=True, exist_ok=True)
    for stale in output.glob("josh4d-*.zip"):
        stale.unlink()
    _run(commands[-1], "build", "--source-dir", str(root), "--output-dir", str(output))
    (archive,) = output.glob("josh4d-*.zip")
    add_help(archive, root)
    make_reproducible(archive)
    for command in commands:
        _run(command, "validate", str(archive))
    _run(commands[-1], "server-generate", "--repo-dir", str(output))
    return archive


def _run(command: Path, *words: str) -> None:
    # Without -B the command would leave its bytecode in the bpy environment.
    subprocess.run([sys.executable, "-B", str(command), *words], check=True)


def add_help(archive: Path, root: Path) -> None:
    """Put the pages of help and the sample clip into a zip, in its folder ``help``."""
    files = {**help_files(root / "docs"), "sample.mp4": (root / _SAMPLE).read_bytes()}
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as target:
        for name, data in files.items():
            target.writestr(f"help/{name}", data)


def make_reproducible(archive: Path) -> None:
    """Write a zip anew with its files in order, of one date and mode: its bytes then follow from its contents."""
    partial = archive.with_name(archive.name + ".partial")
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        for member in sorted(old.infolist(), key=lambda member: member.filename):
            entry = zipfile.ZipInfo(member.filename, _DATE)
            entry.compress_type = member.compress_type
            entry.create_system = 3
            entry.external_attr = _MODE << 16
            new.writestr(entry, old.read(member), compresslevel=9)
    partial.replace(archive)


def main() -> int:
    """Command line; exit code 0 or one line that says what is wrong."""
    parser = argparse.ArgumentParser(description="Build and validate the Blender extension.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    settings = parser.parse_args()
    try:
        archive = build(settings.output.absolute())
        print(f"{archive} ({archive.stat().st_size / 1e6:.2f} MB), {archive.parent / 'index.json'}")
    except FileNotFoundError as error:
        print(f"Cannot build the extension: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return int(error.returncode) or 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
