"""Set-up for tests under a bpy environment. Without bpy every module here skips and says so."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]

# Blender reads this when bpy is imported: the tests never see nor change a user's settings.
_resources = tempfile.TemporaryDirectory(prefix="josh4d-blender-", ignore_cleanup_errors=True)
os.environ["BLENDER_USER_RESOURCES"] = _resources.name


@pytest.fixture
def empty_file():
    """An empty file with factory settings; gives ``bpy.context``."""
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    return bpy.context
