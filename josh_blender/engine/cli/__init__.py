"""The command line ``josh4d``: one module per command, each with `add_parser` and `run`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence

from ... import __version__
from ...jobs.protocol import Error
from ...scene4d.errors import UserError
from ..console import Console
from ..system_failures import explain_system_failure

_COMMANDS = ("reconstruct", "inspect", "evaluate", "blend", "doctor", "weights", "label", "train")
_INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line, as every command does."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UserError("bad_arguments", f"{message[:1].upper()}{message[1:]}.", f"See `{self.prog} --help`.")


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = _Parser(prog="josh4d", description="A video becomes a 4D scene: people, camera and place in metres.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for name in _COMMANDS:
        # Imported here, so that an environment without numpy gets a sentence too.
        importlib.import_module(f".{name}", __name__).add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code. A failure is one line (with ``--json`` one ``error`` message)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Blender and the engine share the cores. Threads of OpenMP that spin while they wait cost the solver, whose steps
    # are many and small, three times its own work on a busy machine. Read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Read when OpenCV is loaded; without it, it refuses EXR files.
    os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")
    console = Console(json_lines="--json" in words)
    try:
        parsed = make_parser().parse_args(words)
        code: int = parsed.run(parsed, console)
    except UserError as error:
        console.fail(Error(error.kind, error.message, error.remedy))
        return 1
    except KeyboardInterrupt:
        console.fail(Error("interrupted", "Stopped.", "Finished stages are kept; the same command continues."))
        return _INTERRUPTED
    except Exception as error:
        traceback.print_exc()
        console.fail(_explain(error, console))
        return 1
    return code


def _explain(error: Exception, console: Console) -> Error:
    known = explain_system_failure(error)
    if known is not None:
        return Error(known.kind, known.message, known.remedy)
    where = f"The log is {console.log}." if console.log else "Please report it with the lines above."
    text = ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])
    return Error("unexpected", f"Something unexpected went wrong: {text.rstrip('.')}.", where)
