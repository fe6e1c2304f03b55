"""The engine as the artist's preferences have it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy

from ..josh_blender.jobs.environment import EngineState, default_engine_folder, engine_state


@dataclass(frozen=True)
class EngineChoice:
    """The engine's state; the device it shall compute on (auto, cpu, cuda); the preferred output folder."""

    state: EngineState
    device: str = "auto"
    output: Path | None = None


def engine_choice(context: bpy.types.Context) -> EngineChoice:
    """What the preferences say, cheap enough for a panel to ask at every drawing."""
    addon = context.preferences.addons.get(__package__.rpartition(".")[0])
    chosen = addon.preferences if addon is not None else None
    if chosen is None:
        return EngineChoice(engine_state(default_engine_folder()))
    folder, python, output = (
        Path(bpy.path.abspath(text)) if text else None
        for text in (chosen.engine_folder, chosen.engine_python, chosen.output_folder)
    )
    state = engine_state(folder or default_engine_folder(), python)
    return EngineChoice(state, chosen.device.lower(), output)
