"""Preferences, Set Up Engine and Doctor, without network and without an engine."""

from __future__ import annotations

import importlib.util
import sys
import time
import types
import typing
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from conftest import ROOT  # noqa: E402

from josh_blender.jobs import environment  # noqa: E402
from josh_blender.jobs.environment import default_engine_folder, python_of_environment  # noqa: E402
from josh_blender.jobs.set_up.lock import recipe  # noqa: E402
from josh_blender.jobs.set_up.stamp import Stamp, write_stamp  # noqa: E402
from josh_blender.jobs.set_up.target import Target  # noqa: E402

PACKAGE = "josh4d_with_preferences"


@pytest.fixture
def operators(empty_file, tmp_path, monkeypatch):
    """The package ``operators`` of the extension, enabled as an add-on; the engine's folder is an empty one."""
    monkeypatch.delenv("JOSH4D_PYTHON", raising=False)
    spec = importlib.util.spec_from_file_location(PACKAGE, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)
    addon = bpy.context.preferences.addons.new()
    addon.module = PACKAGE
    module.register()
    # The developers' environment lies beside the sources; an artist has none.
    monkeypatch.setattr(sys.modules[f"{PACKAGE}.josh_blender.jobs.environment"], "find_engine_python", lambda: None)
    found = sys.modules[f"{PACKAGE}.operators"]
    found.preferences.preferences(bpy.context).engine_folder = str(tmp_path / "Engine é")
    yield found
    module.unregister()
    bpy.context.preferences.addons.remove(addon)
    for name in [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]


def allow_network(monkeypatch, operators, allowed):
    """Stand in for Blender's own answer, which no script may change."""
    for module in (operators.set_up, operators.doctor):
        monkeypatch.setattr(module, "may_go_online", lambda: allowed)


def ready_engine(folder: Path) -> Path:
    """A folder as a finished set-up leaves it, whose Python is the running one."""
    python = python_of_environment(folder / "environment")
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    target = Target("linux-x86_64", (3, 11), "cpu")
    relative = str(python.relative_to(folder))
    write_stamp(folder, Stamp(True, target.key, recipe(target).hash, relative, sys.executable, (), ("torch==2.0",)))
    return python


def queued(operators):
    return operators.job_queue.jobs(bpy.context).queue.entries


def test_preferences_belong_to_the_root_package_and_have_defaults(operators):
    settings = operators.preferences.preferences(bpy.context)
    assert type(settings).__name__ == "JOSH4D_AP_preferences"
    default = settings.bl_rna.properties["engine_folder"].default
    assert Path(default) == default_engine_folder() and Path(default).is_absolute()
    assert (settings.engine_python, settings.device, settings.output_folder) == ("", "AUTO", "")


def test_state_follows_the_preferences(operators, tmp_path):
    settings = operators.preferences.preferences(bpy.context)
    assert operators.preferences.state_of_engine(bpy.context).kind == "missing"
    python = ready_engine(tmp_path / "made")
    settings.engine_folder = str(tmp_path / "made")
    assert operators.preferences.state_of_engine(bpy.context).python == python
    settings.engine_python = sys.executable
    assert operators.preferences.state_of_engine(bpy.context).python == Path(sys.executable)
    settings.engine_python = str(tmp_path / "gone")
    assert operators.preferences.state_of_engine(bpy.context).kind == "missing"


def test_set_up_is_queued_with_blenders_python(operators, tmp_path, monkeypatch):
    allow_network(monkeypatch, operators, True)
    operators.preferences.preferences(bpy.context).device = "CPU"
    assert bpy.ops.josh4d.set_up_engine() == {"FINISHED"}
    (entry,) = queued(operators)
    command = list(entry.request.command)
    assert command[0] == sys.executable and "josh_blender.jobs.set_up" in command
    assert command[command.index("--folder") + 1] == str(tmp_path / "Engine é")
    assert command[command.index("--device") + 1] == "cpu"
    assert entry.request.kind == "set_up" and entry.request.log.parent == tmp_path / "Engine é"
    assert Path(entry.request.environment["PYTHONPATH"].split(":")[0]) == ROOT
    assert not bpy.ops.josh4d.set_up_engine.poll()
    operators.job_queue.jobs(bpy.context).queue.cancel(entry)
    assert bpy.ops.josh4d.set_up_engine.poll()


def test_nothing_is_downloaded_without_online_access(operators, monkeypatch):
    allow_network(monkeypatch, operators, False)
    with pytest.raises(RuntimeError, match=r"may not go online. Allow Online Access in Preferences > System"):
        bpy.ops.josh4d.set_up_engine()
    assert not queued(operators)


def test_a_cleared_folder_is_asked_for(operators, monkeypatch):
    allow_network(monkeypatch, operators, True)
    operators.preferences.preferences(bpy.context).engine_folder = " "
    with pytest.raises(RuntimeError, match="Choose a folder for the engine"):
        bpy.ops.josh4d.set_up_engine()


def findings(operators):
    return operators.doctor.doctor(bpy.context).findings


def test_doctor_says_what_is_missing_and_what_helps(operators, monkeypatch):
    allow_network(monkeypatch, operators, False)
    assert bpy.ops.josh4d.doctor() == {"FINISHED"}
    first, second, *_ = findings(operators)
    assert "not set up" in first.text and "Downloads" in first.text and first.remedy == "set_up"
    assert "go online" in second.text and second.remedy == "online_access"
    assert operators.doctor.doctor(bpy.context).examination is None


def test_doctor_asks_the_engine_without_waiting(operators, tmp_path, monkeypatch):
    allow_network(monkeypatch, operators, True)
    ready_engine(tmp_path / "made")
    operators.preferences.preferences(bpy.context).engine_folder = str(tmp_path / "made")
    bpy.ops.josh4d.doctor()
    here = operators.doctor.doctor(bpy.context)
    assert here.examination is not None and findings(operators)[0].good
    assert not bpy.ops.josh4d.doctor.poll()
    deadline = time.monotonic() + 120
    while operators.doctor.tick() is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    # This engine is a bare Python: its packages are not there, and the doctor says which.
    wrong = [finding for finding in findings(operators) if not finding.good]
    assert wrong and all(finding.remedy == "set_up" for finding in wrong)


def test_drawing_never_fails(operators, tmp_path, monkeypatch):
    """The panels' code in every state; a stand-in takes the place of Blender's layout."""

    class Layout:
        def __init__(self):
            self.seen = []

        def __getattr__(self, name):
            def call(*arguments, **keywords):
                self.seen.append((name, arguments, keywords))
                return self

            return call

    drawn = operators.preferences
    base = ready_engine(tmp_path / "made")
    states = {}
    states["missing"] = drawn.state_of_engine(bpy.context)
    drawn.preferences(bpy.context).engine_folder = str(tmp_path / "made")
    states["ready"] = drawn.state_of_engine(bpy.context)
    base.unlink()
    states["broken"] = drawn.state_of_engine(bpy.context)
    for kind, state in states.items():
        assert state.kind == kind
        layout = Layout()
        drawn.draw_state(layout, state)
        drawn.draw_set_up(bpy.context, layout, state)
        assert any(keywords.get("text") == drawn.SET_UP_LABELS[kind] for _, _, keywords in layout.seen)
    allow_network(monkeypatch, operators, True)
    bpy.ops.josh4d.doctor()
    layout = Layout()
    operators.doctor.draw_findings(layout, bpy.context)
    assert ("operator", ("josh4d.set_up_engine",), {}) in layout.seen
    assert set(drawn.SET_UP_LABELS) == set(typing.get_args(environment.Kind))
    for draw in (drawn.JOSH4D_AP_preferences.draw, operators.set_up.JOSH4D_OT_set_up_engine.draw):
        layout = Layout()
        draw(types.SimpleNamespace(layout=layout), bpy.context)
        shown = [arguments for name, arguments, _ in layout.seen if name == "prop"]
        assert len(shown) >= 2
        for owner, name in shown:
            known = drawn.preferences(bpy.context) if isinstance(owner, types.SimpleNamespace) else owner
            assert name in known.bl_rna.properties
