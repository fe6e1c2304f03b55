"""What a user decides about a reconstruction, and the checks that need no picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..scene4d.errors import UserError

CAMERA_KINDS = ("auto", "moving", "static", "pan")
COLOR_SPACES = ("srgb", "linear")
DEVICES = ("auto", "cpu", "cuda", "mps")

#: Standing heights that a person can have, m.
_HEIGHTS = (0.4, 2.6)


@dataclass(frozen=True)
class Lens:
    """A focal length in mm on a sensor whose longer side is ``sensor_mm`` wide."""

    focal_mm: float
    sensor_mm: float = 36.0

    def focal_px(self, width: int, height: int) -> float:
        """Focal length in px of a displayed video of that size, whose longer side covers the sensor's."""
        return self.focal_mm / self.sensor_mm * max(width, height)


@dataclass(frozen=True)
class ReconstructSettings:
    """A reconstruction as asked for. None and empty mean: find out.

    video: a video file or one picture of an image sequence. output: the folder that gets ``NAME.scene4d``.
    people: keep at most so many. heights: metres by person id; 0 stands for everybody. camera: a kind, or a
    ``camera.npz`` of a known camera. focal_px, lens: a known focal length. refine: start from the given camera or focal
    length instead of keeping it. start, end: first and last source frame number. fps,
    color_space: of an image sequence. body: a file of the user's own body model. only_people: end when it is known who
    is seen. keep: the ids of those who count, everybody where it is empty. mast3r_weights, josh3r_weights: files of
    network weights that the user brought.
    """

    video: Path
    output: Path
    preset: str = "preview"
    mode: str = "josh"
    device: str = "auto"
    people: int | None = None
    heights: dict[int, float] = field(default_factory=dict)
    camera: str | Path = "auto"
    focal_px: float | None = None
    lens: Lens | None = None
    refine: bool = False
    start: int | None = None
    end: int | None = None
    fps: float | None = None
    color_space: str | None = None
    body: Path | None = None
    only_people: bool = False
    keep: tuple[int, ...] = ()
    mast3r_weights: Path | None = None
    josh3r_weights: Path | None = None

    @property
    def scene_folder(self) -> Path:
        """Where the scene will be."""
        name = self.video.stem if self.video.suffix else self.video.name
        return self.output / f"{name}.scene4d"


def check_settings(settings: ReconstructSettings) -> None:
    """Refuse what cannot work before any work is done.

    Raises:
        UserError: a value is out of range, or two contradict each other.
    """
    low, high = _HEIGHTS
    for height in settings.heights.values():
        if not low <= height <= high:
            raise UserError("bad_height", f"A height of {height:g} m is not a person's.", "Give metres, such as 1.78.")
    if settings.people is not None and settings.people < 1:
        raise UserError("bad_people", "The number of people must be at least 1.", "Leave --people out to keep all.")
    if settings.start is not None and settings.end is not None and settings.start > settings.end:
        raise UserError(
            "empty_range", f"The range {settings.start} to {settings.end} is empty.", "Let --end be at least --start."
        )
    if settings.focal_px is not None and settings.lens is not None:
        raise UserError("two_lenses", "Both a focal length in pixels and a lens are given.", "Give one of them.")
    focal = settings.lens.focal_mm / settings.lens.sensor_mm if settings.lens else settings.focal_px
    if focal is not None and not 0 < focal < 1e6:
        raise UserError("bad_focal", "The focal length must be positive.", "Give pixels, or millimetres with --lens.")
    known = settings.focal_px or settings.lens or isinstance(settings.camera, Path)
    if settings.refine and not known:
        raise UserError("nothing_to_refine", "There is no camera or lens to refine.", "Give --camera FILE or --lens.")
    for path, what in ((settings.camera, "camera file"), (settings.body, "body file")):
        if isinstance(path, Path) and not path.is_file():
            raise UserError("missing_file", f"There is no {what} “{path}”.", "Check the path.")
