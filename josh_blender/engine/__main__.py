"""``python -m josh_blender.engine`` is ``josh4d``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
