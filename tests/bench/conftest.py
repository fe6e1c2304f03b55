"""The generator is a package of the repository's root, not of the installed project."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
