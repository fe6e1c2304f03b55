"""What keeps the engine from running, in words, each with what would help."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .environment import EngineState
from .process_tree import ProcessTree
from .set_up.lock import Recipe
from .set_up.pip_program import bundled_pip
from .set_up.target import PYTHONS, PYTHONS_TEXT

#: What helps: set the engine up (again), allow online access, or choose another folder, device or Python.
Remedy = Literal["", "set_up", "online_access", "choose"]

_GB = 1_000_000_000
#: Seconds after which an engine that says nothing is given up; the first import of torch after a start takes long.
_LONGEST = 180.0


@dataclass(frozen=True)
class Finding:
    """One line of the doctor: ``good``, or something that is wrong and what helps."""

    text: str
    good: bool = True
    remedy: Remedy = ""


def cost_text(recipe: Recipe) -> str:
    """What a set-up costs: ``Downloads 0.5 GB, takes 1.5 GB on the disk (2.0 GB while it is made)``."""
    download, disk, room = (size / _GB for size in (recipe.download, recipe.disk, recipe.room))
    return f"Downloads {download:.1f} GB, takes {disk:.1f} GB on the disk ({room:.1f} GB while it is made)"


def problem_of_python() -> str:
    """Why the running Python cannot make the engine; empty where it can."""
    if sys.version_info[:2] not in PYTHONS:
        return f"Blender's Python is {sys.version_info.major}.{sys.version_info.minor}; the engine needs {PYTHONS_TEXT}"
    if importlib.util.find_spec("pip") is None and bundled_pip() is None:
        return "Blender's Python has no pip (on Debian: python3-venv)"
    return ""


def first_findings(
    state: EngineState, online: bool, recipe: Recipe | None, free: int | None, python_problem: str = ""
) -> list[Finding]:
    """What a look at files tells.

    ``online`` is whether Blender may use the network, ``recipe`` what Set Up would install, None where it cannot, and
    ``free`` the bytes on the disk of the engine's folder, None where that cannot be told. ``python_problem`` is that of
    `problem_of_python`, empty where another Python was chosen.
    """
    if state.kind == "ready":
        return [Finding(state.message)]
    if recipe is None:
        return [
            Finding(state.message, False),
            Finding(
                "The engine's packages do not exist for this system: choose a Python of your own.", False, "choose"
            ),
        ]
    findings = [Finding(f"{state.message} {cost_text(recipe)}.", False, "set_up")]
    if python_problem:
        findings.append(Finding(f"{python_problem}: name another as Python for Set Up.", False, "choose"))
    if not online:
        findings.append(Finding("Blender may not go online, so nothing can be downloaded.", False, "online_access"))
    if free is None:
        findings.append(Finding("The folder for the engine cannot be reached.", False, "choose"))
    elif free < recipe.room:
        text = f"The disk of the engine's folder has {free / _GB:.1f} GB free; {recipe.room / _GB:.1f} GB are needed."
        findings.append(Finding(text, False, "choose"))
    return findings


def findings_of_report(report: Mapping[str, Any], device: str) -> list[Finding]:
    """What ``josh4d doctor --json`` says. ``device`` is what the engine was made for, empty where that is not known."""
    findings = []
    packages = {str(name): str(value) for name, value in dict(report["packages"]).items()}
    broken = {name: value for name, value in packages.items() if value.startswith(("not installed", "does not"))}
    findings += [Finding(f"The package {name} {_problem(value)}.", False, "set_up") for name, value in broken.items()]
    if not broken:
        findings.append(Finding(f"All {len(packages)} packages of the engine load."))
    for name in ("pose_models", "body"):
        value = str(report[name])
        if value != "present":
            findings.append(Finding(value, False, "set_up" if name == "pose_models" else ""))
    devices = [str(one) for one in report["devices"]]
    if device == "cuda" and not any(one.startswith("cuda") for one in devices):
        text = "No NVIDIA card can be used: its driver is missing or too old. The engine computes on the processor."
        findings.append(Finding(text, False, ""))
    elif devices:
        findings.append(Finding(f"It computes on: {', '.join(devices)}."))
    problem = str(dict(report["presets"])["preview"])
    if not problem:
        findings.append(Finding("Reconstructions can run here."))
    elif all(finding.good for finding in findings):
        findings.append(Finding(problem, False, "set_up"))
    return findings


def _problem(value: str) -> str:
    return "is not installed" if value == "not installed" else value


class Examination:
    """The engine's own doctor as a child process; whoever owns it calls `poll` now and then."""

    def __init__(self, state: EngineState) -> None:
        """Start it for a ready engine.

        Raises:
            OSError: the interpreter cannot be started.
        """
        assert state.python is not None
        command = [str(state.python), "-m", "josh_blender.engine", "doctor", "--json"]
        self._tree = ProcessTree(command, {**os.environ, **state.variables})
        self._device = state.device
        self._output = b""
        self._give_up_at = time.monotonic() + _LONGEST
        self.running = True
        self.findings: list[Finding] = []

    def poll(self) -> bool:
        """Read what is there; never waits. Returns whether it still runs."""
        if not self.running:
            return False
        code = self._tree.exit_code()
        while data := self._tree.read():
            self._output += data
        if code is not None:
            self._finish(code)
        elif time.monotonic() > self._give_up_at:
            self.close()
            self.findings = [Finding("The engine was started but does not answer.", False, "set_up")]
        return self.running

    def close(self) -> None:
        """End it."""
        if self.running:
            self.running = False
            self._tree.close()

    def _finish(self, code: int) -> None:
        self.close()
        for line in self._output.decode("utf-8", "replace").splitlines():
            try:
                report = json.loads(line)
                if "packages" in report:
                    self.findings = findings_of_report(report, self._device)
                    return
            except (ValueError, KeyError, TypeError):
                continue
        self.findings = [Finding(f"The engine does not start (exit code {code}).", False, "set_up")]
