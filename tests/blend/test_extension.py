"""The zip itself: built by Blender's own command, installed and used in a fresh Blender; its repository."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from conftest import ROOT  # noqa: E402
from synthetic_scene import synthetic_scene  # noqa: E402

from josh_blender.scene4d.files import pointer_path, write_scene  # noqa: E402
from tools.build_extension import make_reproducible  # noqa: E402

_SCRIPT = """
import sys
import bpy
archive, pointer = sys.argv[1:]
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.extensions.package_install_files(filepath=archive, repo="user_default", enable_on_install=True)
name = "bl_ext.user_default.josh4d"
assert name in bpy.context.preferences.addons.keys(), "not enabled"
assert bpy.ops.josh4d.import_scene(filepath=pointer) == {"FINISHED"}
kinds = sorted(item["josh4d_kind"] for item in bpy.data.objects)
panels = [one for one in dir(bpy.types) if one.startswith("JOSH4D_PT_")]
sample = bpy.ops.josh4d.try_sample(directory=sys.argv[2] + ".sample")
settings = bpy.context.scene.josh4d_reconstruct
assert sample == {"FINISHED"} and settings.count == 120 and not settings.problem, settings.problem
foreign = [one for one in sys.modules if one.split(".")[0] == "josh_blender"]
bpy.ops.preferences.addon_disable(module=name)
left = [one for one in dir(bpy.types) if one.startswith("JOSH4D_")]
print("RESULT", kinds, "JOSH4D_PT_reconstruct" in panels, foreign, left)
"""

_SCRIPT_OF_REPOSITORY = """
import sys
import bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.context.preferences.system.use_online_access = True
repositories = bpy.context.preferences.extensions.repos
repository = repositories.new(name="JOSH 4D", module="josh4d_host", remote_url=sys.argv[1])
index = list(repositories).index(repository)
assert bpy.ops.extensions.repo_sync(repo_index=index) == {"FINISHED"}
try:
    bpy.ops.extensions.package_install(repo_index=index, pkg_id="josh4d", enable_on_install=True)
except RuntimeError as error:
    print(error)
print("RESULT", "bl_ext.josh4d_host.josh4d" in bpy.context.preferences.addons.keys())
"""


def build(output: Path) -> Path:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "build_extension.py"), "--output", str(output)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return next(output.glob("josh4d-*.zip"))


def run_in_fresh_blender(script: str, home: Path, *words: str) -> str:
    """What a script prints as its result in a Blender with factory settings and no user files."""
    (home / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, str(home / "script.py"), *words], capture_output=True, text=True, timeout=120,
        env={**os.environ, "BLENDER_USER_RESOURCES": str(home / "user")}, cwd=home,
    )  # fmt: skip
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT")), None)
    assert line, done.stdout + done.stderr
    return line


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which a folder can be downloaded from."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/index.json"
        server.shutdown()


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return build(tmp_path_factory.mktemp("dist"))


def test_the_zip_holds_the_extension_and_nothing_else(archive):
    names = zipfile.ZipFile(archive).namelist()
    assert {"__init__.py", "blender_manifest.toml", "josh_blender/scene4d/data/cc0_body.npz"} <= set(names)
    assert {name.split("/")[0] for name in names if "/" in name} == {"help", "josh_blender", "operators", "panels"}
    assert not [name for name in names if name.endswith((".pyc", ".zip", ".blend")) or "/." in name]
    assert [name for name in names if name.endswith(".mp4")] == ["help/sample.mp4"]


def test_the_help_is_whole(archive):
    """Every link and every picture of the pages leads to something that is in the zip, or to another site."""
    with zipfile.ZipFile(archive) as opened:
        names = set(opened.namelist())
        pages = {name: opened.read(name).decode() for name in names if name.endswith(".html")}
    assert "help/first_steps.html" in pages
    for name, text in pages.items():
        targets = re.findall(r'(?:href|src)="(?!https://)([^"]+)"', text)
        assert len(targets) >= len(pages)
        for target in targets:
            path, _, anchor = target.partition("#")
            file = f"help/{path}" if path else name
            assert file in names, f"{name} leads to {target}"
            assert not anchor or f'id="{anchor}"' in pages[file], f"{name} leads to {target}"
        assert "](" not in text and "|---|" not in text, "something was not understood as Markdown"


def test_install_and_import(archive, tmp_path):
    pointer = pointer_path(write_scene(synthetic_scene(frame_count=3, points=9), tmp_path / "walk.scene4d"))
    line = run_in_fresh_blender(_SCRIPT, tmp_path, str(archive), str(pointer))
    kinds = sorted(["root", "camera", "cloud", "armature", "armature", "body", "body"])
    assert line == f"RESULT {kinds} True [] []"


def test_the_bytes_of_the_zip_follow_from_its_contents(archive, tmp_path):
    """The same files, zipped in another order, with other dates and modes, become the same zip."""
    other = tmp_path / archive.name
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(other, "w") as new:
        for number, member in enumerate(reversed(old.infolist())):
            entry = zipfile.ZipInfo(member.filename, (2001, 2, 3, 4, 5, 2 * (number % 30)))
            entry.compress_type = member.compress_type
            entry.external_attr = 0o100755 << 16
            new.writestr(entry, old.read(member), compresslevel=1)
    assert other.read_bytes() != archive.read_bytes()
    make_reproducible(other)
    assert other.read_bytes() == archive.read_bytes()


def test_the_repository_lists_the_zip(archive):
    index = json.loads((archive.parent / "index.json").read_text())
    (listed,) = index["data"]
    assert index["version"] == "v1" and index["blocklist"] == []
    assert listed["archive_url"] == f"./{archive.name}" and listed["archive_size"] == archive.stat().st_size
    assert listed["archive_hash"] == "sha256:" + hashlib.sha256(archive.read_bytes()).hexdigest()
    assert (listed["id"], listed["type"]) == ("josh4d", "add-on")
    # For every system, and without files that only one system could load.
    assert "platforms" not in listed and "wheels" not in listed
    assert set(listed["permissions"]) == {"files", "network"}


def test_install_from_the_repository(archive, tmp_path):
    with served(archive.parent) as address:
        assert run_in_fresh_blender(_SCRIPT_OF_REPOSITORY, tmp_path, address) == "RESULT True"


def test_a_zip_that_is_not_the_listed_one_is_not_installed(archive, tmp_path):
    host = tmp_path / "host"
    shutil.copytree(archive.parent, host)
    data = bytearray((host / archive.name).read_bytes())
    data[len(data) // 2] ^= 1
    (host / archive.name).write_bytes(data)
    with served(host) as address:
        assert run_in_fresh_blender(_SCRIPT_OF_REPOSITORY, tmp_path, address) == "RESULT False"
