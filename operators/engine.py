"""The engine as the artist's preferences have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import bpy

from ..josh_blender.jobs.environment import EngineState, engine_recipe
from ..josh_blender.jobs.known_weights import KNOWN
from ..josh_blender.jobs.reconstruct_command import size_text
from .preferences import SET_UP_LABELS, preferences, state_of_engine


@dataclass(frozen=True)
class EngineChoice:
    """The engine's state; what the button that sets it up says; the device it computes on (auto, cpu, cuda); the
    preferred output folder; files of network weights by the network's name."""

    state: EngineState
    set_up_label: str = ""
    device: str = "auto"
    output: Path | None = None
    weights: Mapping[str, Path] = field(default_factory=dict)


def engine_choice(context: bpy.types.Context) -> EngineChoice:
    """What the preferences say, cheap enough for a panel to ask at every drawing."""
    chosen = preferences(context)
    state = state_of_engine(context)
    label = SET_UP_LABELS[state.kind]
    recipe = engine_recipe(chosen.device) if state.kind in ("missing", "partial") else None
    if recipe is not None:
        label = f"{label} ({size_text(recipe.disk)})"
    output = chosen.output_folder.strip()
    weights = {entry.name: getattr(chosen, f"{entry.name}_weights").strip() for entry in KNOWN}
    return EngineChoice(
        state,
        label,
        chosen.device.lower(),
        Path(bpy.path.abspath(output)).absolute() if output else None,
        {name: Path(bpy.path.abspath(path)).absolute() for name, path in weights.items() if path},
    )
