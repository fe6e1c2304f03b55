"""``python -m josh_blender.jobs.set_up --folder F --device auto|cpu|cuda [--json]``; more for computers offline."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from ..lifeline import end_with_stdin
from ..protocol import Done, Error, Message, Progress, Stage, Start, Warn, encode
from .failure import SetUpError
from .installer import SetUp, set_up
from .lock import Recipe, recipe
from .stamp import LOG
from .target import PYTHONS, PYTHONS_TEXT, target_for


def base_python() -> Path:
    """The Python that an environment is made from: of a virtual environment the one beneath it."""
    return Path(getattr(sys, "_base_executable", None) or sys.executable)


def recipe_here(device: str) -> Recipe:
    """What is installed on this machine with this Python.

    Raises:
        SetUpError: ``unsupported_system``, ``unsupported_python``.
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    if sys.version_info[:2] not in PYTHONS:
        raise SetUpError(
            "unsupported_python",
            f"The engine's packages do not exist for Python {python}, which this Blender has.",
            f"Name a Python {PYTHONS_TEXT} as Python for Set Up in the preferences, or use the Blender of blender.org.",
        )
    target = target_for(device)
    found = recipe(target) if target is not None else None
    if found is None:
        raise SetUpError(
            "unsupported_system",
            "The engine's packages do not exist for this system.",
            "It runs on Linux and Windows (64-bit Intel and AMD) and on Macs with Apple silicon.",
        )
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description="Make the engine's environment with the Python that runs this.")
    parser.add_argument("--folder", type=Path, required=True, help="an empty or new folder, or one of an engine")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--wheels", type=Path, help="take the packages from this folder instead of the network")
    parser.add_argument("--download-only", action="store_true", help="leave the packages in FOLDER/downloads")
    parser.add_argument("--json", action="store_true", help="messages of the job protocol")
    given = parser.parse_args(arguments)
    send = _send_json if given.json else _send_text
    end_with_stdin()
    folder = given.folder.expanduser().absolute()
    try:
        plan = SetUp(folder, recipe_here(given.device), base_python(), given.wheels, given.download_only)
        set_up(plan, send)
    except SetUpError as failure:
        send(failure.error)
        return 1
    except Exception as error:
        where = _note_defect(folder)
        text = ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])
        send(Error("unexpected", f"Something unexpected went wrong: {text.rstrip('.')}.", where))
        return 1
    return 0


def _note_defect(folder: Path) -> str:
    """Put the traceback into the log; says where that is."""
    try:
        with (folder / LOG).open("a", encoding="utf-8") as log:
            traceback.print_exc(file=log)
    except OSError:
        return "Choose another folder, or report this."
    return f"The log is {folder / LOG}."


def _send_json(message: Message) -> None:
    os.write(1, encode(message))


def _send_text(message: Message) -> None:
    match message:
        case Stage():
            print(f"{message.name}:", flush=True)
        case Progress():
            print(f"  {message.detail}", flush=True)
        case Warn():
            print(f"Warning: {message.message}", flush=True)
        case Error():
            print(f"{message.message} {message.remedy}".strip(), file=sys.stderr)
        case Done():
            print(f"The engine is in {message.scene}.")
        case Start() | _:
            pass


if __name__ == "__main__":
    sys.exit(main())
