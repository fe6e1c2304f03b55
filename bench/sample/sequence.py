"""From a shot to pictures and a video: prepares the files that `render` reads, starts Blender's Python, encodes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from josh_blender.scene4d.body import BodyModel

from .clothes import OUTFITS, PARTS, part_color, triangle_parts
from .shots import Composition, Shot
from .textures import draw

Array = NDArray[Any]


def person_vertices(body: BodyModel, composition: Composition, number: int, frames: Array | None = None) -> Array:
    """World vertices (T, V, 3) float32 of a person on the given frames (all by default)."""
    motion = composition.people[number]
    chosen = np.arange(len(motion.poses)) if frames is None else frames
    return np.stack([body.skin(motion.betas, motion.poses[k], motion.trans[k])[0] for k in chosen]).astype(np.float32)


def prepare(shot: Shot, composition: Composition, body: BodyModel, work: Path) -> None:
    """Write ``shot.npz`` and ``textures/`` into the work folder."""
    textures = work / "textures"
    textures.mkdir(parents=True, exist_ok=True)
    quads = composition.place.quads
    for texture in sorted({quad.texture for quad in quads}):
        picture = draw(texture, composition.place.seed)
        cv2.imwrite(str(textures / (texture.replace(":", "_") + ".png")), picture[..., ::-1])
    arrays: dict[str, Array] = {
        "size": np.array([shot.width, shot.height]),
        "people": np.array(len(composition.people)),
        "world_from_camera": composition.world_from_camera,
        "intrinsics": composition.intrinsics,
        "sun": np.array(composition.place.sun),
        "sky": np.array(composition.place.sky),
        "triangles": body.f,
        "part_names": np.array(PARTS),
        "quad_origin": np.array([quad.origin for quad in quads]),
        "quad_u": np.array([quad.edge_u for quad in quads]),
        "quad_v": np.array([quad.edge_v for quad in quads]),
        "quad_uv_origin": np.array([quad.uv_origin for quad in quads]),
        "quad_uv_size": np.array([quad.uv_size for quad in quads]),
        "quad_texture": np.array([quad.texture for quad in quads]),
    }
    for number, person in enumerate(shot.people):
        outfit = OUTFITS[person.outfit]
        arrays[f"vertices{number}"] = person_vertices(body, composition, number)
        arrays[f"parts{number}"] = triangle_parts(body, composition.people[number].betas, outfit)
        arrays[f"part_colors{number}"] = np.array([part_color(outfit, part) for part in PARTS])
    np.savez(work / "shot.npz", **arrays)  # type: ignore[arg-type]


def render_frames(
    work: Path, blender_python: Path, engine: str, samples: int = 16, only: list[int] | None = None
) -> None:
    """Run `render` in a Python that has bpy; frames that exist are kept.

    Raises:
        subprocess.CalledProcessError: Blender failed.
    """
    command = [str(blender_python), str(Path(__file__).with_name("render.py")), str(work)]
    command += ["--engine", engine, "--samples", str(samples)]
    if only is not None:
        command += ["--only", *map(str, only)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def encode(work: Path, target: Path, fps: int, megabits: float | None = None, crf: int = 19) -> None:
    """H.264, yuv420p, BT.709, constant rate, from ``WORK/frames``; by quality (``crf``) or by rate (``megabits``)."""
    pictures = sorted((work / "frames").glob("??????.png"))
    with av.open(str(target), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps)
        first = cv2.imread(str(pictures[0]))
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1
        stream.codec_context.color_primaries, stream.codec_context.color_trc = 1, 1
        stream.options = {"preset": "slow", "crf": str(crf)}
        if megabits is not None:
            stream.options = {"preset": "slow"}
            stream.bit_rate = int(megabits * 1e6)
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(cv2.imread(str(picture)), format="bgr24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
