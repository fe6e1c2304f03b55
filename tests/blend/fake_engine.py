"""An engine that only talks: a package ``josh_blender.engine`` in a folder, directed by environment variables.

``FAKE_SCENE`` is the scene that it makes, ``FAKE_PREVIEW`` previews that it announces (joined by ``os.pathsep``),
``FAKE_PEOPLE`` the list that ``--only-people`` gives; ``FAKE_HOLD`` a file for whose removal it waits before it ends,
``FAKE_ERROR`` ``kind|message|remedy`` with which it fails, ``FAKE_WORDS`` a file that gets its arguments.
"""

from __future__ import annotations

from pathlib import Path

_PROGRAM = """
import json, os, sys, time
def say(**message): print(json.dumps(message), flush=True)
get = os.environ.get
if get("FAKE_WORDS"):
    with open(get("FAKE_WORDS"), "a") as file:
        file.write(json.dumps(sys.argv[1:]) + "\\n")
say(type="start", stages=["frames", "people", "scene"], scene=get("FAKE_SCENE", ""), log="")
if get("FAKE_ERROR"):
    kind, message, remedy = get("FAKE_ERROR").split("|")
    say(type="error", kind=kind, message=message, remedy=remedy)
    sys.exit(1)
say(type="stage", name="frames", index=0, reused=True)
say(type="stage", name="people", index=1)
say(type="progress", done=1, total=2)
for path in filter(None, get("FAKE_PREVIEW", "").split(os.pathsep)):
    say(type="preview", stage="scene", path=path)
while get("FAKE_HOLD") and os.path.exists(get("FAKE_HOLD")):
    time.sleep(0.01)
say(type="done", scene=get("FAKE_PEOPLE") if "--only-people" in sys.argv else get("FAKE_SCENE"))
"""


def make_fake_engine(folder: Path) -> dict[str, str]:
    """Write the package into ``folder``; returns the variables that make Python find it before the real one."""
    package = folder / "josh_blender" / "engine"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(_PROGRAM)
    return {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
