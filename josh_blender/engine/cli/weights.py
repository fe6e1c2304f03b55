"""``josh4d weights [FILE]``: which weights can be brought, from where, under which licence; and what a file is."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...jobs.known_weights import KNOWN, known
from ..console import Console


def add_parser(commands: Any) -> None:
    """Add the command's arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "weights", help="say which weights to get where", description="Say which weights to get where, or check a file."
    )
    parser.add_argument("file", metavar="FILE", nargs="?", type=Path, help="a file to check")
    parser.add_argument("--json", action="store_true", help="JSON for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print the list, or what the file is."""
    from ..networks.weights import describe_weights

    if arguments.file is None:
        text = "\n\n".join(
            f"{entry.title}\n  for      {entry.used_for}\n  licence  {entry.licence}\n  from     {entry.page}\n"
            f"  use      {entry.option} FILE"
            for entry in KNOWN
        )
        console.value({"weights": [asdict(entry) for entry in KNOWN]}, text)
        return 0
    about, notes = describe_weights(arguments.file)
    entry = known(about.kind)
    sizes = about.sizes
    lines = (
        f"{arguments.file.name}: a whole {about.kind.upper()} network, encoder {sizes.encoder_width} wide and "
        f"{sizes.encoder_depth} deep. Use it with {entry.option}.",
        *notes,
        f"The public weights' licence: {entry.licence}.",
    )
    console.value({"kind": about.kind, **asdict(about), "notes": notes}, "\n".join(lines))
    return 0
