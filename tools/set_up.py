"""Makes the project's environments: ``python tools/set_up.py engine|bpy45|bpy52 ...`` (any Python from 3.9 on).

An environment is made or brought up to date only when what it is made from has changed; otherwise this returns at once.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".venv-tools"
STAMP = "josh4d-stamp.json"
#: Longest time for one call of pip or uv, s.
PATIENCE = 1500

PYTEST = ["pytest==9.2.0"]
#: The extension is built where Blender's command for it is.
BUILDING = ["markdown-it-py==4.3.0"]
ENVIRONMENTS = {
    "engine": {"folder": ".venv", "python": "3.11", "packages": ["-e", ".[dev,train]"], "needed": True},
    "bpy45": {
        "folder": ".venv-bpy45",
        "python": "3.11",
        "packages": ["bpy==4.5.15", *PYTEST, *BUILDING],
        "needed": True,
    },
    "bpy52": {
        "folder": ".venv-bpy52",
        "python": "3.13",
        "packages": ["bpy==5.2.3", *PYTEST, *BUILDING],
        "needed": False,
    },
}


class SetUpError(Exception):
    """What went wrong, in one sentence."""


def say(text):
    print(f"set-up: {text}", flush=True)


# --- finding Python ---------------------------------------------------------------------------------------------------


def runs(python, version):
    """Whether a program really is that Python and can make environments; pyenv's shim of an inactive version fails."""
    check = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([str(python), "-c", check], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == version


def installed_pythons(version):
    """Candidates on this machine: the path, then pyenv's versions."""
    for name in (f"python{version}", "python3"):
        found = shutil.which(name)
        if found:
            yield Path(found)
    for home in (os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv"):
        if home:
            yield from sorted(Path(home).glob(f"versions/{version}.*/bin/python{version}"), reverse=True)


def python_from_uv(version):
    """A Python that uv, itself from PyPI, brings into the project; None where the network does not let it."""
    uv = TOOLS / "bin" / "uv"
    if not uv.is_file():
        say(f"Python {version} is not installed; asking uv for it")
        if not attempt([sys.executable, "-m", "venv", str(TOOLS)]):
            return None
        if not attempt([str(TOOLS / "bin" / "python"), "-m", "pip", "install", "--quiet", "--retries", "1", "uv"]):
            return None
    variables = {**os.environ, "UV_PYTHON_INSTALL_DIR": str(TOOLS / "pythons"), "UV_HTTP_TIMEOUT": "30"}
    if not attempt([str(uv), "python", "install", "--no-bin", version], variables, 300):
        return None
    found = sorted((TOOLS / "pythons").glob(f"cpython-{version}*/bin/python{version}"))
    return found[-1] if found else None


def find_python(version):
    """A runnable Python of that version, or None."""
    for candidate in installed_pythons(version):
        if runs(candidate, version):
            return candidate
    return python_from_uv(version)


def attempt(command, variables=None, patience=PATIENCE):
    """Run a command quietly; whether it ended well."""
    try:
        done = subprocess.run(
            command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patience
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        say(f"{Path(command[0]).name}: {error}")
        return False
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        say(f"{Path(command[0]).name} failed: " + " | ".join(last))
    return done.returncode == 0


# --- making environments ----------------------------------------------------------------------------------------------


def torch_builds():
    """The table of `josh_blender.jobs`, loaded by its file: nothing of the project is installed yet."""
    path = ROOT / "josh_blender" / "jobs" / "torch_builds.py"
    spec = importlib.util.spec_from_file_location("torch_builds", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pinned():
    """The versions that the engine in Blender gets; the developers' environment has the same."""
    path = ROOT / "josh_blender" / "jobs" / "set_up" / "engine_lock.json"
    lock = json.loads(path.read_text(encoding="utf-8"))
    return sorted({name for names in lock["targets"].values() for name in names if "+" not in name})


def recipe(name):
    """What the environment is made from; a change of it brings the environment up to date."""
    described = dict(ENVIRONMENTS[name])
    if name == "engine":
        # The tables of the tools come after the dependencies; changing them changes no environment.
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("[tool.")[0]
        described["pinned"] = pinned()
        described["project"] = hashlib.sha256(text.encode()).hexdigest()
    return described


def is_current(name):
    """Whether the environment was made from this recipe and still runs."""
    folder = ROOT / ENVIRONMENTS[name]["folder"]
    try:
        same = json.loads((folder / STAMP).read_text()) == recipe(name)
    except (OSError, ValueError):
        return False
    return same and runs(folder / "bin" / "python", ENVIRONMENTS[name]["python"])


def pip_install(folder, packages, options):
    """Install packages; pip's own words are shown where it fails.

    Raises:
        SetUpError: pip failed.
    """
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    command = [*pip, "--retries", "2", *options, *packages]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, timeout=PATIENCE)
    if done.returncode != 0:
        raise SetUpError(f"pip could not install {' '.join(packages)} into {folder.name}; its reason stands above.")


def make(name):
    """Make an environment or bring it up to date; whether it is there afterwards.

    Raises:
        SetUpError: an environment that nothing works without cannot be made.
    """
    wanted = ENVIRONMENTS[name]
    folder = ROOT / wanted["folder"]
    if is_current(name):
        return True
    begun = time.monotonic()
    python = folder / "bin" / "python"
    if not runs(python, wanted["python"]):
        base = find_python(wanted["python"])
        if base is None:
            text = f"There is no Python {wanted['python']} for {folder.name}"
            if wanted["needed"]:
                raise SetUpError(f"{text}: install it (on Debian: python{wanted['python']}-venv).")
            say(f"{text}: what needs it is skipped.")
            return False
        say(f"making {folder.name} with Python {wanted['python']}")
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([str(base), "-m", "venv", str(folder)], check=True, stdin=subprocess.DEVNULL)
    options = []
    if name == "engine":
        options = torch_builds().pip_options("cpu")
        if not options:
            say("PyTorch's own index cannot be reached; torch comes from pip's configured sources.")
        constraints = folder / "josh4d-constraints.txt"
        constraints.write_text("\n".join(pinned()) + "\n")
        options = [*options, "--constraint", str(constraints)]
    pip_install(folder, wanted["packages"], options)
    if name == "engine":
        fetch = [str(python), "-m", "josh_blender.engine.detection.fetch_models"]
        if subprocess.run(fetch, cwd=ROOT, stdin=subprocess.DEVNULL, timeout=PATIENCE).returncode != 0:
            raise SetUpError("The pose models could not be fetched; the reason stands above.")
    (folder / STAMP).write_text(json.dumps(recipe(name)))
    say(f"{folder.name} is ready ({time.monotonic() - begun:.0f} s)")
    return True


def main(names):
    """Make the named environments; the exit code."""
    try:
        for name in names:
            make(name)
    except (SetUpError, OSError, subprocess.SubprocessError) as error:
        say(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
