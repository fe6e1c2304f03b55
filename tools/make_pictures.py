"""Pictures of a reconstructed scene for the documentation: bodies on the plate, and three views of the scene.

.venv/bin/python tools/make_pictures.py SCENE FRAME PICTURE.jpg [--blender .venv-bpy52/bin/python]
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np

from josh_blender.engine.stages.frames import FramesSettings, run_frames
from josh_blender.engine.video.reader import open_frames
from josh_blender.scene4d.camera import opencv_matrix
from josh_blender.scene4d.files import find_source, read_scene

ROOT = Path(__file__).resolve().parents[1]
_OPACITY = 0.8
_QUALITY = 78
_LONGER_SIDE = 1280


def _plate(scene_path: Path, offset: int, folder: Path) -> np.ndarray:
    """The undistorted plate (H,W,3) BGR of a solved frame."""
    scene = read_scene(scene_path)
    source = find_source(scene)
    if source is None:
        raise SystemExit(f"The video {scene.source.name} was not found.")
    frames = run_frames(source, FramesSettings(), folder, lambda done, total: None)
    with open_frames(frames) as reader:
        picture = reader.read(int(scene.camera.frame[offset]))
    matrix = opencv_matrix(scene.camera.intrinsics[offset])
    return cv2.cvtColor(cv2.undistort(picture, matrix, scene.camera.distortion), cv2.COLOR_RGB2BGR)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", type=Path)
    parser.add_argument("frame", type=int, help="row of the solved frames")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--blender", default=str(ROOT / ".venv-bpy52/bin/python"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        views = [
            arguments.blender,
            str(ROOT / "tools/scene_views.py"),
            str(arguments.scene),
            str(arguments.frame),
            name,
        ]
        subprocess.run(views, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        people = cv2.imread(str(folder / "people.png"), cv2.IMREAD_UNCHANGED).astype(np.float64)
        others = [cv2.imread(str(folder / f"{view}.png")) for view in ("oblique", "side", "top")]
        plate = _plate(arguments.scene.absolute(), arguments.frame, folder)
    plate = cv2.resize(plate, people.shape[1::-1], interpolation=cv2.INTER_AREA)
    alpha = people[..., 3:] / 255.0 * _OPACITY
    overlay = (people[..., :3] * alpha + plate * (1.0 - alpha)).astype(np.uint8)
    grid = np.vstack([np.hstack([overlay, others[0]]), np.hstack(others[1:])])
    factor = _LONGER_SIDE / max(grid.shape)
    grid = cv2.resize(grid, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(arguments.picture), grid, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])


if __name__ == "__main__":
    main()
