"""What is installed where: the lock is whole, agrees with the project, and each system gets the wheels that suit it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from josh_blender.jobs.set_up.failure import explain_pip
from josh_blender.jobs.set_up.lock import LOCK_FILE, platform_age, recipe
from josh_blender.jobs.set_up.target import DEVICES, PYTHONS, SYSTEMS, Target, best_device, driver_version, target_for
from josh_blender.jobs.torch_builds import TORCH_BUILDS, version_label

ROOT = Path(__file__).resolve().parents[2]
TARGETS = [Target(system, python, device) for system, device in TORCH_BUILDS for python in PYTHONS]
LINUX = Target("linux-x86_64", (3, 12), "cpu")


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    data: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return data


def test_lock_is_made_from_the_projects_dependencies(project: dict[str, object]) -> None:
    """Otherwise: run tools/make_engine_lock.py."""
    lock = json.loads(LOCK_FILE.read_text(encoding="utf-8"))
    assert lock["dependencies"] == project["dependencies"]
    oldest, newest = re.findall(r"3\.(\d+)", str(project["requires-python"]))
    assert [python[1] for python in PYTHONS] == list(range(int(oldest), int(newest)))


def test_models_are_those_the_engine_takes_out() -> None:
    source = (ROOT / "josh_blender" / "engine" / "detection" / "fetch_models.py").read_text(encoding="utf-8")
    found = re.search(r'^WHEEL = "(.*)"', source, re.MULTILINE)
    assert found is not None and found[1] == json.loads(LOCK_FILE.read_text(encoding="utf-8"))["models"]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.key)
def test_every_target_has_every_package(target: Target, project: dict[str, object]) -> None:
    found = recipe(target)
    assert found is not None
    names = {package.name for package in found.packages}
    dependencies = project["dependencies"]
    assert isinstance(dependencies, list)
    assert {re.split(r"[=<>]", text)[0] for text in dependencies} <= names
    build = TORCH_BUILDS[target.system, target.device]
    for package in found.everything:
        assert package.download > 0 and package.disk > 0
        # Only builds that PyTorch's own index alone has may be without a hash; that index vouches for them.
        assert package.hashes or (package.name == "torch" and build)
        assert all(re.fullmatch("[0-9a-f]{64}", value) for value in package.hashes)
    assert any(name.startswith("nvidia-") for name in names) == (
        target.key.startswith("linux") and target.device == "cuda"
    )
    torch = next(package for package in found.packages if package.name == "torch")
    assert torch.requirement.endswith(version_label(build)) and ("+" in torch.requirement) == bool(version_label(build))
    assert found.room == found.download + found.disk


def test_recipes_differ_exactly_where_packages_do() -> None:
    hashes = {found.hash for target in TARGETS if (found := recipe(target)) is not None}
    assert len(hashes) == len(TARGETS)
    assert recipe(Target("linux-x86_64", (3, 10), "cpu")) is None
    assert recipe(Target("macos-arm64", (3, 11), "cuda")) is None


@pytest.mark.parametrize(
    "wheel, suits",
    [
        ("tiny-1.0-py3-none-any.whl", True),
        ("tiny-1.0-py2.py3-none-any.whl", True),
        ("tiny-1.0-py2-none-any.whl", False),
        ("tiny-1.0-cp312-cp312-manylinux_2_28_x86_64.whl", True),
        ("tiny-1.0-cp312-cp312-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", True),
        ("tiny-1.0-cp312-cp312-manylinux_2_28_aarch64.whl", False),
        ("tiny-1.0-cp312-cp312-musllinux_1_2_x86_64.whl", False),
        ("tiny-1.0-cp312-cp312t-manylinux_2_28_x86_64.whl", False),
        ("tiny-1.0-cp311-cp311-manylinux_2_28_x86_64.whl", False),
        ("tiny-1.0-cp37-abi3-manylinux_2_28_x86_64.whl", True),
        ("tiny-1.0-cp313-abi3-manylinux_2_28_x86_64.whl", False),
        ("tiny-1.0-py3-none-manylinux_2_28_x86_64.whl", True),
        ("tiny-1.0-cp312-cp312-win_amd64.whl", False),
        ("tiny-1.0-1-cp312-cp312-manylinux_2_28_x86_64.whl", True),
    ],
)
def test_which_wheels_suit(wheel: str, suits: bool) -> None:
    assert LINUX.suits(wheel) == suits


def test_macs_take_wheels_of_their_own_and_of_both_kinds() -> None:
    mac = Target("macos-arm64", (3, 13), "cpu")
    assert mac.suits("a-1-cp313-cp313-macosx_14_0_arm64.whl")
    assert mac.suits("a-1-cp313-cp313-macosx_10_13_universal2.whl")
    assert not mac.suits("a-1-cp313-cp313-macosx_10_13_x86_64.whl")


def test_newer_wheels_come_first() -> None:
    ages = ["a-1-py3-none-any.whl", "a-1-cp37-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            "a-1-cp37-abi3-manylinux_2_28_x86_64.whl"]  # fmt: skip
    assert sorted(reversed(ages), key=platform_age) == ages


def test_keys_round_trip() -> None:
    for target in TARGETS:
        assert Target.of(target.key) == target
    for wrong in ("", "linux-x86_64-3.11", "linux-x86_64-3.11-tpu", "amiga-68k-3.11-cpu"):
        assert Target.of(wrong) is None


def test_automatic_device(tmp_path: Path) -> None:
    driver = tmp_path / "version"
    text = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}  Thu\nGCC version: gcc 12.2.0"
    assert driver_version(text.format("595.58.03")) == 595
    assert driver_version("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  590.10  Release") == 590
    assert driver_version("nothing") is None
    assert best_device(driver, driver, "linux-x86_64") == "cpu"
    for version, device in (("535.10", "cpu"), ("580.65.06", "cuda")):
        driver.write_text(text.format(version))
        assert best_device(driver, driver, "linux-x86_64") == device
    assert best_device(driver, driver, "windows-amd64") == "cuda"
    assert best_device(driver, tmp_path / "none", "windows-amd64") == "cpu"
    assert best_device(driver, driver, "macos-arm64") == "cpu"


def test_this_machine() -> None:
    for device in DEVICES:
        target = target_for(device, (3, 11))
        assert target is None or (target.system in SYSTEMS.values() and target.python == (3, 11))
    assert target_for("cpu", (3, 9)) is None


@pytest.mark.parametrize(
    "words, kind",
    [
        ("OSError: [Errno 28] No space left on device", "no_room"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "wrong_hash"),
        ("WARNING: Retrying: Failed to establish a new connection: [Errno 101] Network is unreachable", "no_network"),
        ("NameResolutionError: Temporary failure in name resolution", "no_network"),
        ("WARNING: Retrying: SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "not_trusted"),
        ("ERROR: No matching distribution found for tiny (from versions: none)", "no_network"),
        ("ERROR: tiny is not a supported wheel on this platform.", "pip_failed"),
        ("", "pip_failed"),
    ],
)
def test_what_pip_says_in_one_sentence(words: str, kind: str, tmp_path: Path) -> None:
    error = explain_pip(f"Collecting tiny\n{words}\n", "tiny 1.0", tmp_path, tmp_path / "log").error
    assert error.kind == kind
    assert error.remedy.endswith(".") or str(tmp_path) in error.remedy
    assert "\n" not in error.message and error.message.endswith(".")
