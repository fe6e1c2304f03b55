"""``josh4d`` with six stages that are made up and fast, for tests of everything around them.

``python -m``-less script: ``python fake_stages.py COMMAND ...``. Environment variables direct it:
``FAKE_LOG`` a file that gets the name of every stage that runs; ``FAKE_KILL`` a stage in whose middle the process is
killed; ``FAKE_FAIL`` ``STAGE:KIND`` a stage that fails: ``unexpected``, ``full``, ``memory``, ``user``, ``import``,
``permission``, ``torch`` (out of memory as torch says it),
``fill`` (writes until the disk is full);
``FAKE_HOLD`` ``STAGE:FILE`` a stage that waits until the file is gone. ``FAKE_FRAMES`` makes the first stage up too.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from josh_blender.engine import stage_runs
from josh_blender.engine.results import (
    BodiesResult,
    ContactResult,
    FramesResult,
    JointResult,
    PeopleResult,
    SceneResult,
    VideoSource,
)
from josh_blender.scene4d.errors import UserError
from josh_blender.scene4d.files import write_scene
from josh_blender.scene4d.scene import CameraPath, PointCloud, Scale, Scene4D, Source

FRAMES = 5


@dataclass(frozen=True)
class FakeSettings:
    values: dict[str, Any] = field(default_factory=dict)


def fake_settings(**values: Any) -> FakeSettings:
    return FakeSettings({key: str(value) for key, value in values.items()})


def enter(stage: str, folder: Path) -> None:
    """What every stage does first: note that it runs, print as C++ libraries do, leave half a file, maybe die."""
    with Path(os.environ["FAKE_LOG"]).open("a") as log:
        log.write(stage + "\n")
    os.write(1, b"I0101 library noise on descriptor 1\n")
    print("python noise", file=sys.stderr)
    (folder / "half").write_text("half a file")
    if os.environ.get("FAKE_KILL") == stage:
        os.kill(os.getpid(), signal.SIGKILL)
    held, _, file = os.environ.get("FAKE_HOLD", "").partition(":")
    while held == stage and Path(file).exists():
        time.sleep(0.01)
    failing, _, kind = os.environ.get("FAKE_FAIL", "").partition(":")
    if failing == stage and kind == "fill":
        with (folder / "half").open("wb") as file:
            while True:
                file.write(bytes(1_000_000))
    if failing == stage:
        raise {
            "unexpected": ValueError("operands could not be broadcast"),
            "full": OSError(errno.ENOSPC, "No space left on device"),
            "permission": PermissionError(errno.EACCES, "Permission denied", "/there/arrays.npz"),
            "memory": MemoryError(),
            "torch": RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory"),
            "user": UserError("no_people", "Nobody is seen in the video.", "Choose a part with people."),
            "import": ModuleNotFoundError("No module named 'torch'", name="torch"),
        }[kind]
    (folder / "half").unlink()


def run_frames(path: Path, settings: Any, folder: Path, progress: Callable[[int, int], None]) -> FramesResult:
    enter("frames", folder)
    source = VideoSource(str(path), "video", 64, 48, 24, 1, FRAMES, 0, "1-a", "sRGB")
    return FramesResult(source, np.arange(FRAMES, dtype=np.int32), np.arange(FRAMES) / 24.0)


def run_people(frames: FramesResult, settings: Any, folder: Path, progress: Callable[[int, int], None]) -> PeopleResult:
    enter("people", folder)
    for done in range(FRAMES):
        progress(done + 1, FRAMES)
    return PeopleResult([], warnings=["Nobody was followed."])


def run_scene(frames: FramesResult, people: PeopleResult, people_folder: Path, *rest: Any) -> SceneResult:
    enter("scene", rest[1])
    camera = np.tile(np.eye(4), (FRAMES, 1, 1))
    camera[:, 0, 3] = np.random.default_rng(1).normal(size=FRAMES)
    none = np.zeros(0, np.int32)
    return SceneResult(
        "moving", none, camera, np.tile([50.0, 50, 32, 24], (FRAMES, 1)), np.zeros(5), np.zeros((0, 3)),
        np.zeros((0, 3), np.uint8), none, none, np.zeros((0, 2), np.float32), none, np.zeros(0),
    )  # fmt: skip


def run_bodies(frames: Any, people: Any, scene: Any, settings: Any, folder: Path, progress: Any) -> BodiesResult:
    enter("bodies", folder)
    return BodiesResult("cc0-1", [])


def run_contact(
    frames: Any, people: Any, scene: Any, bodies: Any, settings: Any, folder: Path, _: Any
) -> ContactResult:
    enter("contact", folder)
    return ContactResult([])


def run_joint(frames: Any, people: Any, scene: SceneResult, *rest: Any) -> JointResult:
    enter("joint", rest[-2])
    camera = scene.world_from_camera
    return JointResult(camera, scene.intrinsics, scene.distortion, 2.0, 0.05, "population", [], np.zeros(0))


def run_world(frames: FramesResult, people: Any, people_folder: Path, *rest: Any) -> None:
    joint, settings, output, _ = rest[-4:]
    shown = frames.source
    source = Source(Path(shown.path).name, "", shown.path, shown.identity, shown.width, shown.height, 24, 1, FRAMES)
    none = np.zeros(0, np.int32)
    camera = CameraPath(frames.frame, frames.time, joint.world_from_camera, joint.intrinsics, joint.distortion, none)
    scene = Scene4D(
        output.stem, source, camera, [], PointCloud.empty(), scale=Scale("population", 0.05),
        stages={"asked": settings.values["stages"]},
    )  # fmt: skip
    write_scene(scene, output, fill=lambda folder: enter("world", folder))


def install() -> None:
    """Put the made-up stages where the pipeline looks for the real ones."""
    runs = {"people": run_people, "scene": run_scene, "bodies": run_bodies, "contact": run_contact, "joint": run_joint,
            "world": run_world}  # fmt: skip
    if os.environ.get("FAKE_FRAMES"):
        runs["frames"] = run_frames
    for name, function in runs.items():
        module = types.ModuleType(f"josh_blender.engine.stages.{name}")
        setattr(module, f"run_{name}", function)
        setattr(module, f"{name.capitalize()}Settings", fake_settings)
        sys.modules[module.__name__] = module
    # These stages are not made of the project's code, so editing it in the middle of a test changes nothing for them.
    stage_runs.code_version = lambda *sources: "made up"


if __name__ == "__main__":
    from josh_blender.engine.cli import main

    install()
    sys.exit(main())
