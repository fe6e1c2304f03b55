"""Where the engine's own Python is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

#: Environment variable that names the engine's Python.
PYTHON_VARIABLE = "JOSH4D_PYTHON"


def python_of_environment(folder: Path) -> Path:
    """The interpreter of a virtual environment."""
    return folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python"


def find_engine_python(configured: Path | None = None) -> Path | None:
    """The engine's Python: the configured one, that of ``JOSH4D_PYTHON``, or ``.venv`` beside the package.

    ``configured`` may be an interpreter or the folder of an environment. None where there is none.
    """
    root = Path(__file__).resolve().parents[2]
    variable = os.environ.get(PYTHON_VARIABLE)
    for candidate in (configured, Path(variable) if variable else None, root / ".venv"):
        if candidate is None:
            continue
        python = python_of_environment(candidate) if candidate.is_dir() else candidate
        if python.is_file():
            return python
    return None


def engine_works(python: Path, timeout: float = 20.0) -> bool:
    """Whether the interpreter starts and can import the engine's heaviest packages' names.

    A virtual environment breaks when the Python it was made from moves or is updated.
    """
    check = "import importlib.util as u, sys; sys.exit(any(u.find_spec(n) is None for n in ('numpy', 'torch')))"
    try:
        return subprocess.run([str(python), "-c", check], capture_output=True, timeout=timeout).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
