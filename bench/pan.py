"""A rendered pure pan: is it called one, and how far is its centre? ``.venv/bin/python bench/pan.py``.

The clip is rendered once into ``build/bench``; distances are between camera centres in worlds whose origin is on the
ground under the first camera, so they show the camera's height and whether its centre stays in place.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from josh_blender.scene4d.files import read_scene  # noqa: E402

FOLDER = ROOT / "build" / "bench"
#: The true height of the person who walks there, m.
_HEIGHT = "1.74"


def main() -> None:
    video, truth = FOLDER / "pan.mp4", FOLDER / "pan_truth.scene4d"
    if not truth.is_dir():
        blender = next(path for name in ("52", "45") if (path := ROOT / f".venv-bpy{name}/bin/python").exists())
        command = [
            sys.executable,
            "-m",
            "bench.sample",
            "pan",
            "--output",
            str(FOLDER),
            "--blender-python",
            str(blender),
        ]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    output = FOLDER / "pan"
    command = [sys.executable, "-m", "josh_blender.engine", "reconstruct", str(video), "--output", str(output)]
    subprocess.run([*command, "--height", _HEIGHT], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    found, true = read_scene(output / "pan.scene4d"), read_scene(truth)
    centres, expected = (scene.camera.world_from_camera[:, :3, 3] for scene in (found, true))
    distance = np.linalg.norm(centres - expected, axis=1).max()
    print(f"called                {found.camera_kind}")
    print(f"centre                {100 * distance:.1f} cm from the true one (5 cm allowed)")
    print(f"focal length          {100 * (found.camera.intrinsics[0, 0] / true.camera.intrinsics[0, 0] - 1):+.2f} %")


if __name__ == "__main__":
    main()
