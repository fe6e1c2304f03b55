"""One rendered sequence through the default pipeline, kept until the engine or the film changes."""

from __future__ import annotations

import hashlib
import json
import math
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from josh_blender.engine.evaluation import evaluate
from josh_blender.engine.stage_cache import content_key
from josh_blender.scene4d.files import read_scene

ROOT = Path(__file__).parents[2]
_PARTS = ("engine", "scene4d", "jobs")
_CODE = (".py", ".npz", ".json", ".tflite")


def engine_hash() -> str:
    """Changes whenever the code or data of the engine do."""
    digest = hashlib.sha256()
    for part in _PARTS:
        for path in sorted((ROOT / "josh_blender" / part).rglob("*")):
            if path.suffix in _CODE:
                digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _plain(value: Any) -> Any:
    """For JSON: four digits, and null where there is no number."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    return value


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def figures_of(
    name: str, rendered: Path, work: Path, options: Sequence[str] = (), true_lens: bool = False
) -> dict[str, Any]:
    """The figures of one sequence (`engine.evaluation.evaluate`) and ``processor_seconds``; ``error`` where it failed.

    ``rendered`` holds ``NAME.mp4`` and ``NAME_truth.scene4d`` of `bench.sequences`; results are kept in ``work``.
    options: further words of ``josh4d reconstruct``. true_lens: give it the true focal length.

    Raises:
        FileNotFoundError: the sequence has not been rendered.
    """
    video, truth = rendered / f"{name}.mp4", rendered / f"{name}_truth.scene4d"
    if not (rendered / f"{name}.made").is_file():
        raise FileNotFoundError(f"{name} is not rendered: python -m bench.sequences {name} --output {rendered}")
    film = hashlib.sha256(video.read_bytes()).hexdigest()[:16]
    words = list(options)
    if true_lens:
        words += ["--focal", str(float(read_scene(truth).camera.intrinsics[0, 0]))]
    folder = work / "-".join(
        (name, film, engine_hash(), *([content_key([Path(word) for word in words])] if words else []))
    )
    kept = folder / "figures.json"
    if kept.is_file():
        return dict(json.loads(kept.read_text()))
    folder.mkdir(parents=True, exist_ok=True)
    before = _processor_seconds()
    command = [sys.executable, "-m", "josh_blender.engine", "reconstruct", str(video), "--output", str(folder)]
    command += words
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    result: dict[str, Any]
    if outcome.returncode:
        said = (outcome.stdout + outcome.stderr).strip().splitlines()
        result = {"error": (said or ["no message"])[-1].removeprefix("josh4d: ")}
    else:
        result = _plain(evaluate(read_scene(folder / f"{name}.scene4d"), read_scene(truth)))
    result["processor_seconds"] = round(_processor_seconds() - before)
    kept.write_text(json.dumps(result, indent=1))
    return result
