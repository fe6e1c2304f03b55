"""What an artist chose, as the command line of the engine; and where the result goes. Pure functions."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ReconstructOptions:
    """A reconstruction as chosen in Blender; None and empty mean: find out.

    Attributes:
        source: the video, or one picture of an image sequence.
        output: the folder that gets ``NAME.scene4d``.
        mode, preset: how it is solved, and what each stage works with.
        start, end: first and last source frame number.
        fps, color_space: of an image sequence.
        people: keep at most so many. keep: ids of those who count.
        heights: metres by person id; 0 stands for everybody.
        camera: "auto", "moving", "static", "pan", or the path of a camera.npz.
        weights: files of network weights by the network's name.
        lens_mm, sensor_mm: a known lens. refine: start from the lens or camera instead of keeping it.
    """

    source: Path
    output: Path
    mode: str = "josh"
    preset: str = "preview"
    device: str = "auto"
    start: int | None = None
    end: int | None = None
    fps: float | None = None
    color_space: str | None = None
    people: int | None = None
    keep: tuple[int, ...] = ()
    heights: Mapping[int, float] = field(default_factory=dict)
    camera: str = "auto"
    lens_mm: float | None = None
    sensor_mm: float = 36.0
    refine: bool = False
    weights: Mapping[str, Path] = field(default_factory=dict)

    @property
    def scene_folder(self) -> Path:
        """Where the scene will be."""
        return self.output / f"{self.source.stem}.scene4d"

    @property
    def log(self) -> Path:
        """The log while the engine runs."""
        return self.scene_folder.with_name(self.scene_folder.name + ".log")


def reconstruct_arguments(options: ReconstructOptions, only_people: bool = False) -> list[str]:
    """The arguments of ``josh4d``; with ``only_people`` those that find out who is seen."""
    words = ["reconstruct", str(options.source), "--output", str(options.output)]
    words += ["--mode", options.mode, "--preset", options.preset, "--device", options.device]
    for name, value in (
        ("--start", options.start),
        ("--end", options.end),
        ("--fps", options.fps),
        ("--color-space", options.color_space),
        ("--people", options.people),
    ):
        if value is not None:
            words += [name, f"{value:.10g}" if isinstance(value, float) else str(value)]
    if only_people:
        return [*words, "--only-people"]
    if options.keep:
        words += ["--keep", ",".join(map(str, options.keep))]
    if options.heights:
        words += ["--height", ",".join(f"{person}={height:.4g}" for person, height in sorted(options.heights.items()))]
    if options.camera != "auto":
        words += ["--camera", options.camera]
    if options.lens_mm is not None:
        words += ["--lens", f"{options.lens_mm:.10g}:{options.sensor_mm:.10g}"]
    for name, path in sorted(options.weights.items()):
        words += [f"--{name}-weights", str(path)]
    if options.refine:
        words += ["--refine"]
    return words


def output_folder(chosen: Path | None, blend_file: Path | None, preferred: Path | None, source: Path) -> Path:
    """Where the scene goes: the chosen folder, else beside the saved file, else the preferred one, else beside the
    video."""
    if chosen is not None:
        return chosen
    if blend_file is not None:
        return blend_file.parent
    return preferred if preferred is not None else source.parent


def free_bytes(folder: Path) -> int | None:
    """Room on the disk of a folder that may not exist yet; None where that cannot be said."""
    for place in (folder, *folder.parents):
        if place.is_dir():
            try:
                return shutil.disk_usage(place).free
            except OSError:
                return None
    return None


#: What the engine advises on a command line, and where the same is set in Blender.
OPTIONS_IN_BLENDER = {
    "with --output": "under Output",
    "say --camera static or pan": "set Movement under Known to Static or Pan",
    "Use --device cpu": "Set Device to CPU in the preferences",
}


def in_blender(remedy: str) -> str:
    """An engine's advice with Blender's settings in the place of command line options."""
    for option, setting in OPTIONS_IN_BLENDER.items():
        remedy = remedy.replace(option, setting)
    return remedy


def time_text(seconds: float) -> str:
    """A duration as a person says it, rounded to what an estimate can know: ``about 4 min``."""
    if seconds < 8.0:
        return "a few seconds"
    if seconds < 55.0:
        return f"about {max(10, round(seconds / 10.0) * 10)} s"
    minutes = round(seconds / 60.0)
    if minutes < 60:
        return f"about {minutes} min"
    hours, tens = divmod(round(minutes / 10.0), 6)
    return f"about {hours} h {tens}0 min" if tens else f"about {hours} h"


def size_text(count: float) -> str:
    """Bytes as a person says them: ``1.4 GB``."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{max(1, round(count / 1e6))} MB"
