"""The generator is a package of the repository's root, not of the installed project."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))


@pytest.fixture(scope="session")
def model():
    from josh_blender.scene4d.body import load_default_body

    return load_default_body()


@pytest.fixture(scope="session")
def short_walk(model):
    """26 frames of a walk that a moving camera sees, with what its key frames see."""
    from bench.controlled.compare import prepare_shot
    from bench.sample.shots import SHOTS

    shot = replace(SHOTS["static"], camera=SHOTS["sample"].camera, camera_kind="moving", frames=36)
    return prepare_shot(shot, model, 26)
