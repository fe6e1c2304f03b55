"""Makes the files of a sequence, and nothing again that has not changed."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from bench.sample.sequence import encode, prepare, render_frames
from bench.sample.shots import Shot, compose
from bench.sample.truth import TruthSettings, source_of, truth_scene, write_truth
from josh_blender.scene4d.body import default_body_path, load_default_body
from josh_blender.scene4d.files import write_scene
from josh_blender.scene4d.source_identity import source_identity

from .recorded import Recording

_SOURCES = Path(__file__).parents[1] / "sample"


def fingerprint(shot: Shot, truth_only: bool, recorded: str = "") -> str:
    """Changes whenever the parameters, the generator, the body or what was recorded do."""
    digest = hashlib.sha256(repr((shot, truth_only)).encode() + recorded.encode())
    for path in (*sorted(_SOURCES.glob("*.py")), default_body_path()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def truth_settings(shot: Shot) -> TruthSettings:
    """Depth and masks at half the size of the pictures."""
    half = (shot.width // 2, shot.height // 2)
    return TruthSettings(depth_size=half, mask_size=half)


def make(
    shot: Shot, output: Path, blender_python: Path, truth_only: bool = False, recording: Recording | None = None
) -> bool:
    """Write ``NAME.mp4`` and ``NAME_truth.scene4d`` into ``output``; returns whether there was anything to do.

    An interrupted rendering continues where it was. With ``truth_only`` there is no video, no depth and no mask.
    recording: whose movement it is, instead of the shot's own.

    Raises:
        BvhError: the recording cannot be used.
        subprocess.CalledProcessError: Blender failed.
    """
    output.mkdir(parents=True, exist_ok=True)
    wanted = fingerprint(shot, truth_only, recording.digest() if recording is not None else "")
    done, work = output / f"{shot.name}.made", output / f"{shot.name}_work"
    video, folder = output / f"{shot.name}.mp4", output / f"{shot.name}_truth.scene4d"
    if done.is_file() and done.read_text() == wanted and folder.is_dir() and (truth_only or video.is_file()):
        return False
    done.unlink(missing_ok=True)
    body = load_default_body()
    composition = recording.compose(shot, body) if recording is not None else compose(shot, body)
    if truth_only:
        write_scene(truth_scene(shot, composition, body, source_of(shot), TruthSettings(points=0)), folder)
    else:
        begun = work / "begun"
        if not (begun.is_file() and begun.read_text() == wanted):
            shutil.rmtree(work, ignore_errors=True)
            prepare(shot, composition, body, work)
            begun.write_text(wanted)
        render_frames(work, blender_python, "workbench")
        encode(work, video, shot.fps)
        write_truth(shot, composition, body, video, source_identity([video]), folder, truth_settings(shot))
        shutil.rmtree(work)
    done.write_text(wanted)
    return True
