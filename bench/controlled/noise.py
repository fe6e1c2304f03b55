"""The errors put into the inputs: pure functions of a random generator, each tested for its statistics.

Level 1 is what the stages before the joint solve are expected to leave; other levels scale every number of it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from josh_blender.scene4d.rotations import matrix_from_axis_angle

Array = NDArray[Any]


@dataclass(frozen=True)
class Noise:
    """Sizes of the errors; the defaults are level 1.

    depth_frame, depth_pixel: sigma of log depth per key frame and per pixel. match_px: sigma of a sighting, px of a
    picture 512 px long; match_outliers: share of wrong pairs of sightings. joint_degrees: RMS angle of the turn by
    which each of the 24 joints is off. root_bias, root_walk: relative error of a body's distance, constant per track
    and AR(1). height: relative error of height that the betas are worth. focal: relative error of the focal length.
    contact_flips: share of wrong contact labels. landmark: sigma of a landmark as a share of the person's height on
    the picture, half of its variance constant per track and landmark. Cameras follow from the matches.
    """

    depth_frame: float = 0.03
    depth_pixel: float = 0.02
    match_px: float = 0.7
    match_outliers: float = 0.10
    joint_degrees: float = 6.0
    root_bias: float = 0.04
    root_walk: float = 0.02
    height: float = 0.03
    focal: float = 0.05
    contact_flips: float = 0.10
    landmark: float = 0.01


#: Correlation time of the AR(1) errors of bodies and of landmarks, s.
BODY_SECONDS = 0.5
LANDMARK_SECONDS = 0.2
#: Wrong labels come in runs of at least so many frames.
SHORTEST_RUN = 3
_MEAN_RUN = 5


def at_level(level: float) -> Noise:
    """All errors times ``level``."""
    reference = Noise()
    return Noise(**{part.name: level * getattr(reference, part.name) for part in fields(Noise)})


def autoregressive(rng: np.random.Generator, time: Array, shape: tuple[int, ...], seconds: float) -> Array:
    """AR(1) noise (T, *shape) of unit variance at times (T,), whose correlation falls to 1/e in ``seconds``."""
    fresh = rng.standard_normal((len(time), *shape))
    result = np.empty_like(fresh)
    if not len(time):
        return result
    result[0] = fresh[0]
    for step in range(1, len(time)):
        keep = np.exp(-(time[step] - time[step - 1]) / seconds)
        result[step] = keep * result[step - 1] + np.sqrt(1.0 - keep**2) * fresh[step]
    return result


def depth_factors(rng: np.random.Generator, frames: int, noise: Noise) -> Array:
    """Factors (K,) on whole depth maps."""
    return np.exp(noise.depth_frame * rng.standard_normal(frames))


def pixel_factors(rng: np.random.Generator, shape: tuple[int, ...], noise: Noise) -> Array:
    """Independent factors on the depths of pixels."""
    return np.exp(noise.depth_pixel * rng.standard_normal(shape))


def sighting_errors(
    rng: np.random.Generator, pixels: Array, width: int, height: int, noise: Noise
) -> tuple[Array, Array]:
    """Sightings (M,2) with errors, and which (M,) are wrong: anywhere in the picture.

    A pair is wrong where either of its two sightings is, so sightings are wrong with 1 - sqrt(1 - p).
    """
    sigma = noise.match_px * max(width, height) / 512.0
    result = pixels + sigma * rng.standard_normal(pixels.shape)
    wrong = rng.random(len(pixels)) < 1.0 - np.sqrt(1.0 - noise.match_outliers)
    anywhere = rng.random(pixels.shape) * [width, height]
    return np.where(wrong[:, None], anywhere, result), wrong


def joint_turns(rng: np.random.Generator, time: Array, joints: int, noise: Noise) -> Array:
    """Rotations (T,J,3,3) to put behind each joint's."""
    axis_angle = autoregressive(rng, time, (joints, 3), BODY_SECONDS)
    return matrix_from_axis_angle(np.radians(noise.joint_degrees) / np.sqrt(3.0) * axis_angle)


def distance_factors(rng: np.random.Generator, time: Array, noise: Noise) -> Array:
    """Factors (T,) on a body's distance from the camera."""
    bias = noise.root_bias * rng.standard_normal()
    return np.exp(bias + noise.root_walk * autoregressive(rng, time, (), BODY_SECONDS))


def wrong_shape(rng: np.random.Generator, betas: Array, height: float, height_dirs: Array, noise: Noise) -> Array:
    """Betas (B,) whose error changes the height by ``noise.height`` RMS, in a random direction of the shape space.

    height in m of the true shape; height_dirs (B,) m per unit of each beta.
    """
    direction = rng.standard_normal(len(betas))
    rms = float(np.linalg.norm(height_dirs))
    return np.asarray(betas + direction * noise.height * height / rms)


def with_height(betas: Array, height: float, height_rest: float, height_dirs: Array) -> Array:
    """The nearest betas (B,) of a body of the given height, as a fit to a known height leaves them."""
    gap = height - (height_rest + float(height_dirs @ betas))
    return np.asarray(betas + height_dirs * gap / float(height_dirs @ height_dirs))


def flipped(rng: np.random.Generator, labels: Array, share: float) -> Array:
    """Boolean labels (T,) of which about ``share`` are wrong, in runs of at least `SHORTEST_RUN` frames."""
    count = len(labels)
    wanted = round(share * count)
    wrong = np.zeros(count, bool)
    # Too few labels for a run: the right share on average.
    if 0 < wanted < SHORTEST_RUN:
        wanted = SHORTEST_RUN if rng.random() < share * count / SHORTEST_RUN else 0
    for _ in range(100 * count):
        left = wanted - int(wrong.sum())
        if left < SHORTEST_RUN:
            break
        length = min(SHORTEST_RUN + rng.geometric(1.0 / (_MEAN_RUN - SHORTEST_RUN + 1)) - 1, left, count)
        start = int(rng.integers(0, count - length + 1))
        around = slice(max(0, start - 1), start + length + 1)
        if not wrong[around].any():
            wrong[start : start + length] = True
    return np.asarray(labels ^ wrong)


def landmark_errors(rng: np.random.Generator, time: Array, landmarks: int, noise: Noise) -> Array:
    """Errors (T,L,2) of landmarks as shares of the person's height on the picture."""
    lasting = rng.standard_normal((1, landmarks, 2))
    passing = autoregressive(rng, time, (landmarks, 2), LANDMARK_SECONDS)
    return np.asarray(noise.landmark * np.sqrt(0.5) * (lasting + passing))
