"""Folders of 4D scenes as a stranger could make them: each case damages a valid one of `random_scene.make_scene`."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from random_scene import FRAMES

#: What the pickles of these folders would make if anything ran them.
WAS_HERE = Path(tempfile.gettempdir()) / "josh4d-was-here"


def edit_json(folder: Path, change: Callable[[dict], None]) -> None:
    """Change the description of a scene."""
    data = json.loads((folder / "scene.json").read_text())
    change(data)
    (folder / "scene.json").write_text(json.dumps(data))


def replace_array(folder: Path, file: str, name: str, value: np.ndarray) -> None:
    """Put another array into one of a scene's npz files."""
    with np.load(folder / file) as data:
        arrays = dict(data)
    arrays[name] = value
    np.savez(folder / file, **arrays)


class _Bomb:
    def __reduce__(self) -> tuple:
        return (WAS_HERE.touch, ())


def _pickled(folder: Path, file: str, name: str) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([_Bomb()], dtype=object), allow_pickle=True)
    _put_array(folder, file, name, buffer.getvalue())


def _huge_header(folder: Path) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(folder / "camera.npz", "w") as archive:
        archive.writestr("frame.npy", buffer.getvalue())


def _change_array(folder: Path, file: str, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    with np.load(folder / file) as data:
        value = data[name]
    replace_array(folder, file, name, change(value))


def _put_array(folder: Path, file: str, name: str, data: bytes) -> None:
    """Replace one array of an npz file by raw bytes."""
    with zipfile.ZipFile(folder / file) as archive:
        members = {member.filename: archive.read(member) for member in archive.infolist()}
    members[f"{name}.npy"] = data
    with zipfile.ZipFile(folder / file, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)


def _raw_array(folder: Path, file: str, name: str, header: str) -> None:
    text = header.encode() + b"\n"
    _put_array(folder, file, name, b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(64))


def _bomb(folder: Path) -> None:
    """300 MB of zeros in 300 kB."""
    count = 300_000_000 // 8
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (count,)})
    with (
        zipfile.ZipFile(folder / "camera.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("frame.npy", "w") as file,
    ):
        file.write(header.getvalue())
        for _ in range(100):
            file.write(bytes(8 * count // 100))


def _many_arrays(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(1000):
            archive.writestr(f"{number}.npy", b"")


def _flip_flags(path: Path) -> None:
    """Say of every member that it is encrypted, in both of its headers."""
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        position = data.find(signature)
        while position >= 0:
            data[position + offset] |= 1
            position = data.find(signature, position + 4)
    path.write_bytes(data)


def _repack(path: Path, method: int) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: archive.read(member) for member in archive.infolist()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for member, content in members.items():
            archive.writestr(member, content)


def _damage_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(value ^ 0x5A for value in data[middle : middle + 64])
    path.write_bytes(data)


def _change_cloud(folder: Path, change: Callable[[bytes], bytes]) -> None:
    path = folder / "cloud.ply"
    path.write_bytes(change(path.read_bytes()))


def _put_number(folder: Path, digits: str) -> None:
    path = folder / "scene.json"
    text = path.read_text(encoding="utf-8")
    assert '"width": 1920' in text
    path.write_text(text.replace('"width": 1920', f'"width": {digits}'), encoding="utf-8")


def _link(path: Path, target: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


HOSTILE: dict[str, Callable[[Path], object]] = {
    "name leaves the folder": lambda f: edit_json(f, lambda d: d.update(name="../../etc")),
    "plate leaves the folder": lambda f: edit_json(f, lambda d: d.update(plate="../secret.mp4")),
    "plate on another drive": lambda f: edit_json(f, lambda d: d.update(plate="c:\\secret.mp4")),
    "undistorted absolute": lambda f: edit_json(f, lambda d: d.update(undistorted="/etc/passwd")),
    "person id is a path": lambda f: edit_json(f, lambda d: d["people"][0].update(id="../1")),
    "person id negative": lambda f: edit_json(f, lambda d: d["people"][0].update(id=-1)),
    "same id twice": lambda f: edit_json(f, lambda d: d["people"][1].update(id=1)),
    "same mask value twice": lambda f: edit_json(f, lambda d: d["people"][1].update(mask_value=1)),
    "reserved mask value": lambda f: edit_json(f, lambda d: d["people"][1].update(mask_value=255)),
    "people is a number": lambda f: edit_json(f, lambda d: d.update(people=7)),
    "width is a text": lambda f: edit_json(f, lambda d: d["source"].update(width="wide")),
    "width is true": lambda f: edit_json(f, lambda d: d["source"].update(width=True)),
    "no frame rate": lambda f: edit_json(f, lambda d: d["source"].update(fps_num=0)),
    "giant": lambda f: edit_json(f, lambda d: d["people"][0].update(height=9.0)),
    "unknown camera": lambda f: edit_json(f, lambda d: d.update(camera_kind="flying")),
    "not JSON": lambda f: (f / "scene.json").write_text("{"),
    "JSON list": lambda f: (f / "scene.json").write_text("[]"),
    "deep JSON": lambda f: (f / "scene.json").write_text("[" * 200_000),
    "huge JSON": lambda f: (f / "scene.json").write_text(" " * 21_000_000),
    "pickle": lambda f: _pickled(f, "camera.npz", "frame"),
    "absurd size": _huge_header,
    "no camera": lambda f: (f / "camera.npz").unlink(),
    "damaged camera": lambda f: (f / "camera.npz").write_bytes(b"PK\x03\x04 nothing"),
    "times not finite": lambda f: replace_array(f, "camera.npz", "time", np.full(FRAMES, np.nan)),
    "frames fall": lambda f: replace_array(f, "camera.npz", "frame", np.arange(FRAMES, dtype=np.int32)[::-1]),
    "no rotation": lambda f: replace_array(f, "camera.npz", "world_from_camera", np.ones((FRAMES, 4, 4))),
    "negative focal": lambda f: replace_array(f, "camera.npz", "intrinsics", -np.ones((FRAMES, 4))),
    "wrong type": lambda f: replace_array(f, "camera.npz", "distortion", np.array(["a", "b", "c", "d", "e"])),
    "short poses": lambda f: replace_array(f, "people/01/motion.npz", "poses", np.zeros((3, 72), np.float32)),
    "few betas": lambda f: replace_array(f, "people/01/motion.npz", "betas", np.zeros(3, np.float32)),
    "foreign frames": lambda f: replace_array(f, "people/01/motion.npz", "frame", np.arange(10, dtype=np.int32)),
    "body names vertices": lambda f: replace_array(f, "people/01/body.npz", "f", np.full((9, 3), 10**6, np.int32)),
    "cloud cut": lambda f: (f / "cloud.ply").write_bytes((f / "cloud.ply").read_bytes()[:400]),
    "cloud huge": lambda f: (f / "cloud.ply").write_bytes(
        (f / "cloud.ply").read_bytes().replace(b"vertex 500", b"vertex 900000000")
    ),
    # --- texts and numbers of scene.json
    "name with a zero": lambda f: edit_json(f, lambda d: d.update(name="walk\0.exe")),
    "name of a megabyte": lambda f: edit_json(f, lambda d: d.update(name="w" * 1_000_000)),
    "half a character": lambda f: edit_json(f, lambda d: d["people"][0].update(label="\ud800")),
    "half a character in a warning": lambda f: edit_json(f, lambda d: d.update(warnings=["\udfff"])),
    "endless height": lambda f: edit_json(f, lambda d: d["people"][0].update(height=10**400)),
    "height is no number": lambda f: edit_json(f, lambda d: d["people"][0].update(height=float("nan"))),
    "endless sigma": lambda f: edit_json(f, lambda d: d["scale"].update(sigma=10**400)),
    "number of 9000 digits": lambda f: _put_number(f, "9" * 9000),
    "endless frame rate": lambda f: edit_json(f, lambda d: d["source"].update(fps_num=10**400)),
    "absurd frame rate": lambda f: edit_json(f, lambda d: d["source"].update(fps_num=2_000_000, fps_den=1)),
    "frames less than none": lambda f: edit_json(f, lambda d: d["source"].update(frame_count=-1)),
    "reliable is a text": lambda f: edit_json(f, lambda d: d["people"][0].update(reliable="yes")),
    "quality is a list": lambda f: edit_json(f, lambda d: d.update(quality=[])),
    "warnings are numbers": lambda f: edit_json(f, lambda d: d.update(warnings=[1])),
    "person is nothing": lambda f: edit_json(f, lambda d: d.update(people=[None])),
    "source is nothing": lambda f: edit_json(f, lambda d: d.update(source=None)),
    "camera kind of a megabyte": lambda f: edit_json(f, lambda d: d.update(camera_kind="x" * 1_000_000)),
    "two thousand people": lambda f: edit_json(f, lambda d: d.update(people=d["people"] * 1000)),
    "JSON in Latin-1": lambda f: (f / "scene.json").write_bytes('{"name": "Läufer"}'.encode("latin-1")),
    "JSON of zeros": lambda f: (f / "scene.json").write_bytes(bytes(1000)),
    # --- npz
    "pickle in a motion": lambda f: _pickled(f, "people/01/motion.npz", "poses"),
    "pickle in a body": lambda f: _pickled(f, "people/01/body.npz", "v_template"),
    "bomb": lambda f: _bomb(f),
    "items without a size": lambda f: _raw_array(
        f,
        "people/01/motion.npz",
        "contact_regions",
        "{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000,), }",
    ),
    "negative shape": lambda f: _raw_array(
        f, "camera.npz", "frame", "{'descr': '<i4', 'fortran_order': False, 'shape': (-5,), }"
    ),
    "header of brackets": lambda f: _raw_array(f, "camera.npz", "frame", "(" * 5000),
    "header is a program": lambda f: _raw_array(f, "camera.npz", "frame", "__import__('os').abort()"),
    "header of an object": lambda f: _raw_array(
        f, "camera.npz", "frame", "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,), }"
    ),
    "encrypted": lambda f: _flip_flags(f / "camera.npz"),
    "packed by LZMA": lambda f: _repack(f / "camera.npz", zipfile.ZIP_LZMA),
    "packed bytes damaged": lambda f: _damage_middle(f / "people" / "01" / "body.npz"),
    "cut in the middle": lambda f: (f / "camera.npz").write_bytes((f / "camera.npz").read_bytes()[:300]),
    "thousand arrays": lambda f: _many_arrays(f / "camera.npz"),
    "camera is a folder": lambda f: ((f / "camera.npz").unlink(), (f / "camera.npz").mkdir()),
    "frames beyond Blender": lambda f: replace_array(
        f, "camera.npz", "frame", np.linspace(0, 2**31 - 2, FRAMES).astype(np.int64)
    ),
    "frames beyond numbers": lambda f: replace_array(
        f, "camera.npz", "frame", np.arange(FRAMES, dtype=np.uint64) + np.uint64(2**63)
    ),
    "endless lens": lambda f: replace_array(f, "camera.npz", "intrinsics", np.full((FRAMES, 4), 1e300)),
    "endless distortion": lambda f: replace_array(f, "camera.npz", "distortion", np.full(5, 1e300)),
    "endless time": lambda f: replace_array(f, "camera.npz", "time", np.linspace(0, 1e300, FRAMES)),
    "mirrored camera": lambda f: replace_array(
        f, "camera.npz", "world_from_camera", np.tile(np.diag([1.0, 1.0, -1.0, 1.0]), (FRAMES, 1, 1))
    ),
    "camera light years away": lambda f: replace_array(
        f, "camera.npz", "world_from_camera", np.tile(np.eye(4) + 1e30 * np.eye(4, k=3), (FRAMES, 1, 1))
    ),
    "complex numbers": lambda f: replace_array(f, "camera.npz", "time", np.arange(FRAMES) * 1j),
    "dates": lambda f: replace_array(f, "camera.npz", "time", np.arange(FRAMES).astype("datetime64[s]")),
    "hands of no numbers": lambda f: replace_array(
        f, "people/01/motion.npz", "left_hand_pose", np.full((10, 45), np.nan, np.float32)
    ),
    "five hundred betas": lambda f: replace_array(f, "people/01/motion.npz", "betas", np.zeros(500, np.float32)),
    "regions are numbers": lambda f: replace_array(f, "people/01/motion.npz", "contact_regions", np.zeros(13)),
    "contact in percent": lambda f: replace_array(f, "people/01/motion.npz", "contact", np.full((10, 13), 50.0)),
    "body of no numbers": lambda f: _change_array(f, "people/01/body.npz", "weights", lambda a: a * np.nan),
    "body without faces": lambda f: replace_array(f, "people/01/body.npz", "f", np.zeros((0, 3), np.int32)),
    "body as large as a planet": lambda f: _change_array(f, "people/01/body.npz", "v_template", lambda a: a * 1e7),
    "body whose joints are a ring": lambda f: _change_array(
        f, "people/01/body.npz", "kintree_table", lambda a: np.roll(a, 1, axis=1)
    ),
    "fingers that are their own parents": lambda f: _change_array(
        f, "people/01/body.npz", "finger_parents", lambda a: np.arange(24, 24 + len(a))
    ),
    # --- cloud.ply
    "cloud of no numbers": lambda f: _change_cloud(f, lambda data: data[:-40] + b"\xff" * 40),
    "cloud header without end": lambda f: _change_cloud(f, lambda data: b"ply\n" + b"comment x\n" * 20_000),
    "cloud count of 5000 digits": lambda f: _change_cloud(
        f, lambda data: data.replace(b"vertex 500", b"vertex " + b"5" * 5000)
    ),
    "cloud vertices of a kilobyte each": lambda f: _change_cloud(
        f,
        lambda data: data.replace(b"vertex 500", b"vertex 5000000").replace(
            b"property float x", b"".join(b"property double a%d\n" % i for i in range(2000)) + b"property float x"
        ),
    ),
    "cloud in text": lambda f: _change_cloud(f, lambda data: data.replace(b"binary_little_endian", b"ascii")),
    "cloud with lists": lambda f: _change_cloud(
        f, lambda data: data.replace(b"property float confidence", b"property list uchar int confidence")
    ),
    "cloud is empty": lambda f: _change_cloud(f, lambda data: b""),
    "cloud of less than no points": lambda f: _change_cloud(
        f, lambda data: data.replace(b"vertex 500", b"vertex -500")
    ),
}

if sys.platform != "win32":
    HOSTILE |= {
        "camera is a device": lambda f: _link(f / "camera.npz", Path("/dev/zero")),
        "camera is a pipe": lambda f: ((f / "camera.npz").unlink(), os.mkfifo(f / "camera.npz")),
        "camera is a link to itself": lambda f: _link(f / "camera.npz", f / "camera.npz"),
        "motion is a link to a file of the system": lambda f: _link(f / "people/01/motion.npz", Path("/etc/passwd")),
        "person is a link to the root": lambda f: (shutil.rmtree(f / "people/01"), _link(f / "people/01", Path("/"))),
        "body is a link to something else": lambda f: _link(f / "people/01/body.npz", f / "cloud.ply"),
        "cloud is a link to something else": lambda f: _link(f / "cloud.ply", f / "camera.npz"),
    }
