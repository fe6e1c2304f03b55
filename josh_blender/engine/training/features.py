"""What the frozen backbone says of every pair, computed once and kept on the disk, and where the scene puts its points.

Both are files, each under all that it was made of: scenes that are made again are learnt from anew, and the backbone is
not asked again for that.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...scene4d.arrays import read_npz, write_npz
from ...scene4d.camera import transform, unproject
from ...scene4d.errors import SceneFormatError
from ...scene4d.files import depth_path, read_depth
from ..networks.acceleration import Batches, half_precision
from ..networks.josh3r import Josh3r
from ..networks.mast3r import PATCH
from ..networks.pictures import PictureFit, network_picture, squeezed
from ..stage_cache import content_key
from ..stages.frames import FramesSettings, run_frames
from ..video.reader import open_frames
from ..video.recent import RecentPictures
from .labels import FEET, LabelledClip, PairLabel, PersonLabel
from .mirror import FLIP, mirrored_pair

Array = NDArray[Any]

#: Every so many pixels a point of the point maps is kept for the losses.
_STRIDE = 8


@dataclass(frozen=True)
class Sample:
    """One person in one pair: the files with the pair's features and with the scene's points (see `read_pair`), and the
    person's numbers (see `person_arrays`)."""

    features: Path
    known: Path
    person: dict[str, Array]
    clip: str


@dataclass(frozen=True)
class PictureShape:
    """Patches of the pictures of one shape: samples of one shape can be in one batch."""

    rows: int
    columns: int


def prepare(
    clip: LabelledClip,
    network: Josh3r,
    weights_identity: str,
    long_side: int,
    cache: Path,
    device: str,
    mirrored: bool = False,
    share: tuple[int, int] = (0, 1),
) -> tuple[PictureShape, list[Sample]]:
    """The samples of a clip, with ``mirrored`` also as a mirror shows them; files that are there already are not made
    again.

    share: number of this process and how many there are. Each makes the files of some of the pairs, in one row because
    pairs overlap, and gets the samples of all: they can be read once every process is done.

    Raises:
        UserError: the video cannot be read, or the graphics card has too little memory.
    """
    frames = run_frames(clip.video, FramesSettings(), cache, lambda done, total: None)
    index = {int(number): position for position, number in enumerate(frames.frame)}
    fit = squeezed(frames.source.width, frames.source.height, long_side=long_side)
    shape = PictureShape(fit.size[1] // PATCH, fit.size[0] // PATCH)
    folder = cache / content_key(weights_identity, frames.source.identity, long_side)
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    with open_frames(frames) as reader:
        # Pairs overlap, and a mirrored pair has the pictures of its own.
        recent = RecentPictures(reader)

        def pictures_of(pair: PairLabel, flipped: bool) -> list[Array]:
            pictures = [recent.read(index[number]) for number in (pair.first, pair.second)]
            return [np.ascontiguousarray(picture[:, ::-1]) for picture in pictures] if flipped else pictures

        for number, true_pair in enumerate(clip.pairs):
            ours = number * share[1] // len(clip.pairs) == share[0]
            known_key = _known_key(clip, true_pair)
            for flipped in (False, True) if mirrored else (False,):
                pair = mirrored_pair(true_pair, frames.source.width) if flipped else true_pair
                name = f"{pair.first:06d}-{pair.second:06d}{'-mirrored' * flipped}"
                path, known = folder / f"{name}.npz", folder / f"{name}-{known_key}.npz"
                if ours and not _is_whole(path):
                    _write(path, features_of(network, pictures_of(pair, flipped), fit, device))
                if ours and not _is_whole(known):
                    _write(known, _known_points(clip, true_pair, fit, flipped))
                samples += [
                    Sample(path, known, person_arrays(person, pair, fit), clip.scene.name) for person in pair.people
                ]
    return shape, samples


def read_pair(sample: Sample) -> dict[str, Array]:
    """last_1, last_2 (N,C): last decoder levels; points_1, points_2 (M,3): every eighth pixel's point in the first
    camera, in the network's unit; known_1, known_2 (M,3): where the scene's depth maps put it, nan where they do not
    say."""
    arrays = read_npz(sample.features) | read_npz(sample.known)
    return {name: np.asarray(value, np.float32) for name, value in arrays.items()}


def person_arrays(person: PersonLabel, pair: PairLabel, fit: PictureFit) -> dict[str, Array]:
    """Float32 arrays of a label: boxes (2,4) px of the network's picture; translation (3,); rotation (6,) its first two
    rows; facing (2,6) likewise; in_camera (2,3); feet (2,4,3); in_first (2,4,3) feet of both moments in the first
    camera."""
    in_first = np.stack([person.in_place[0], transform(pair.first_from_second, person.in_place[1])])
    values = {
        "boxes": fit.boxes(person.boxes),
        "translation": person.translation,
        "rotation": person.rotation[:2].reshape(6),
        "facing": person.facing[:, :2].reshape(2, 6),
        "in_camera": person.in_camera,
        "feet": person.feet,
        "in_first": in_first,
    }
    assert person.feet.shape[1] == len(FEET)
    return {name: np.asarray(value, np.float32) for name, value in values.items()}


def _is_whole(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        read_npz(path)
    except (SceneFormatError, OSError):
        return False
    return True


def _write(path: Path, arrays: dict[str, Array]) -> None:
    # Two trainings may share a cache.
    partial = path.with_suffix(f".{os.getpid()}.partial")
    write_npz(partial, arrays)
    partial.replace(path)


def features_of(network: Josh3r, pictures: Sequence[Array], fit: PictureFit, device: str) -> dict[str, Array]:
    """last_1, last_2, points_1, points_2 of `read_pair` in 16 bits, for two pictures (H,W,3) of the video.

    Raises:
        UserError: ``gpu_memory``.
    """
    return next(Batches(device, 1).run([pictures], lambda pairs: _pass(network, pairs[0], fit, device)))


@torch.inference_mode()
def _pass(network: Josh3r, pictures: Sequence[Array], fit: PictureFit, device: str) -> dict[str, Array]:
    mast3r = network.mast3r
    images = [network_picture(picture, fit, device)[None] for picture in pictures]
    with half_precision(device):
        first, second = (mast3r.encode(image) for image in images)
        levels1, levels2 = mast3r.decode(first, second)
        points1, _ = mast3r.points(1, levels1, first)
        points2, _ = mast3r.points(2, levels2, second)
    arrays = {"last_1": levels1[-1][0], "last_2": levels2[-1][0]}
    for name, points in (("points_1", points1), ("points_2", points2)):
        arrays[name] = points[0, _STRIDE // 2 :: _STRIDE, _STRIDE // 2 :: _STRIDE].reshape(-1, 3)
    return {name: value.float().cpu().numpy().astype(np.float16) for name, value in arrays.items()}


def _known_key(clip: LabelledClip, pair: PairLabel) -> str:
    """Of all that `_known_points` reads."""
    depths = [depth_path(clip.folder, number) for number in (pair.first, pair.second)]
    return content_key(
        clip.scene.camera.intrinsics[0].tolist(),
        pair.first_from_second.tolist(),
        *(path if path.is_file() else "" for path in depths),
    )


def _known_points(clip: LabelledClip, pair: PairLabel, fit: PictureFit, flipped: bool) -> dict[str, Array]:
    """Points of the scene's depth maps at the pixels whose points are kept, in the first camera; ``flipped``: for
    pictures in a mirror."""
    lens = fit.intrinsics(np.asarray(clip.scene.camera.intrinsics[0], np.float64))
    rows, columns = np.mgrid[_STRIDE // 2 : fit.size[1] : _STRIDE, _STRIDE // 2 : fit.size[0] : _STRIDE]
    across = fit.size[0] - (columns + 0.5) if flipped else columns + 0.5
    rays = unproject(np.stack([across, rows + 0.5], axis=-1).reshape(-1, 2), lens)
    arrays = {}
    for name, number, into in (
        ("known_1", pair.first, np.eye(4)),
        ("known_2", pair.second, pair.first_from_second),
    ):
        points = np.full(rays.shape, np.nan)
        if depth_path(clip.folder, number).is_file():
            known = read_depth(clip.folder, number)
            pixel = np.floor(rays[:, :2] * known.intrinsics[:2] + known.intrinsics[2:]).astype(int)
            height, width = known.depth.shape
            inside = (pixel >= 0).all(axis=1) & (pixel < [width, height]).all(axis=1)
            depth = np.zeros(len(rays))
            depth[inside] = known.depth[pixel[inside, 1], pixel[inside, 0]]
            points[depth > 0.0] = transform(into, rays * depth[:, None])[depth > 0.0]
        arrays[name] = (points * FLIP if flipped else points).astype(np.float32)
    return arrays
