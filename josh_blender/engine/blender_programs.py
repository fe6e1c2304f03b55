"""Which Blender runs ``josh_blender.blend``, and how it is started."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..jobs.environment import python_of_environment
from ..scene4d.errors import UserError

BLENDER_VARIABLE = "JOSH4D_BLENDER"
ROOT = Path(__file__).resolve().parents[2]

_MODULE = "josh_blender.blend"
#: The newest first.
_BPY_ENVIRONMENTS = (".venv-bpy52", ".venv-bpy45")
#: Blender's own Python knows nothing of the module's folder, nor of ``-m``.
_START = """
import sys, runpy
sys.path.insert(0, {root!r})
sys.argv = [{module!r}, *sys.argv[sys.argv.index("--") + 1:]]
runpy.run_module({module!r}, run_name="__main__", alter_sys=False)
"""


@dataclass(frozen=True)
class BlenderProgram:
    """A Blender, or a Python that has the ``bpy`` wheel."""

    path: Path
    is_wheel: bool

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The command line that runs ``python -m josh_blender.blend`` with ``arguments`` in it."""
        if self.is_wheel:
            return [str(self.path), "-m", _MODULE, *arguments]
        start = _START.format(root=str(ROOT), module=_MODULE)
        options = ["--background", "--factory-startup", "--python-exit-code", "1", "--python-expr", start]
        return [str(self.path), *options, "--", *arguments]


def find_blender(chosen: Path | None = None) -> BlenderProgram:
    """The chosen program, that of ``JOSH4D_BLENDER``, ``blender`` on the path, or a bpy environment of the project.

    A chosen program may be a Blender, a Python with ``bpy``, or the folder of an environment with it.

    Raises:
        UserError: there is none.
    """
    variable = os.environ.get(BLENDER_VARIABLE)
    for path, source in ((chosen, "--blender"), (Path(variable) if variable else None, BLENDER_VARIABLE)):
        if path is not None:
            return _program(path, source)
    on_path = shutil.which("blender")
    if on_path:
        return BlenderProgram(Path(on_path), False)
    for name in _BPY_ENVIRONMENTS:
        python = python_of_environment(ROOT / name)
        if python.is_file():
            return BlenderProgram(python, True)
    raise UserError(
        "no_blender",
        "No Blender was found.",
        f"Install Blender 4.5 or later and give it with --blender or {BLENDER_VARIABLE}.",
    )


def _program(path: Path, source: str) -> BlenderProgram:
    if path.is_dir():
        path = python_of_environment(path)
    if not path.is_file():
        raise UserError("no_blender", f"{source} names no program: “{path}”.", "Give the path of Blender itself.")
    return BlenderProgram(path.absolute(), path.name.lower().startswith("python"))
