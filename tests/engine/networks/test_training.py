"""Training JOSH3R: what is learnt from, the losses in closed form, and a loop that can be killed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny_networks import ABOUT, tiny_network, write_mast3r

from josh_blender.engine.cli import label as label_command
from josh_blender.engine.cli import main as josh4d_here
from josh_blender.engine.cli.train import own_device
from josh_blender.engine.networks.josh3r import Josh3r, PairMotion, PersonTokens, rotation_of_rows
from josh_blender.engine.networks.mast3r import Tokens
from josh_blender.engine.networks.weights import load_josh3r
from josh_blender.engine.presets import PRESETS
from josh_blender.engine.reporter import Reporter
from josh_blender.engine.settings import ReconstructSettings
from josh_blender.engine.training.features import PictureShape, Sample, prepare, read_pair
from josh_blender.engine.training.label_filters import LabelLimits, reason_against
from josh_blender.engine.training.labels import FEET, LabelledClip, pairs_of, read_clip
from josh_blender.engine.training.loop import (
    WEIGHTS_NAME,
    History,
    TrainSettings,
    mean_motion,
    train,
    validate,
    whole_motion,
)
from josh_blender.engine.training.losses import angle, losses, relative_error, still_feet
from josh_blender.engine.training.mirror import mirrored_pair
from josh_blender.scene4d.arrays import read_npz, write_npz
from josh_blender.scene4d.body import load_default_body
from josh_blender.scene4d.camera import invert_rigid, rigid, transform
from josh_blender.scene4d.errors import UserError
from josh_blender.scene4d.files import read_scene, write_scene
from josh_blender.scene4d.rotations import matrix_from_axis_angle
from josh_blender.scene4d.scene import Scale
from josh_blender.scene4d.source_identity import source_identity

ROOT = Path(__file__).resolve().parents[3]
TRUTH = ROOT / "bench" / "sample" / "data" / "sample_truth.scene4d"


@pytest.fixture(scope="module")
def clip() -> LabelledClip:
    return read_clip(TRUTH, 0.3)


def test_labels_say_how_bodies_move_in_their_own_axes(clip: LabelledClip) -> None:
    """Taken from the first frame by its label, a body is where the scene has it on the second."""
    scene, body = clip.scene, load_default_body()
    assert len(clip.pairs) > 30 and {len(pair.people) for pair in clip.pairs} <= {1, 2}
    person = scene.people[0]
    joints = body.skin(person.betas[:10], person.poses, person.trans)[1]
    turned = matrix_from_axis_angle(np.asarray(person.poses[:, :3], np.float64))
    for pair in clip.pairs[::7]:
        rows = [int(np.flatnonzero(person.frame == number)[0]) for number in (pair.first, pair.second)]
        label = pair.people[0]
        arrived = joints[rows[0], 0] + turned[rows[0]] @ label.translation
        assert np.allclose(arrived, joints[rows[1], 0], atol=1e-5)
        assert np.allclose(turned[rows[0]] @ label.rotation, turned[rows[1]], atol=1e-5)
        for moment, row in enumerate(rows):
            camera = scene.camera.world_from_camera[np.flatnonzero(scene.camera.frame == person.frame[row])[0]]
            rest = body.joints(person.betas[:10])[0]
            assert np.allclose(transform(camera, label.in_camera[moment] + rest), joints[row, 0], atol=1e-4)
            assert np.allclose(camera[:3, :3] @ label.facing[moment], turned[row], atol=1e-5)
            feet = joints[row, 0] + label.feet[moment] @ turned[row].T
            assert np.allclose(feet, joints[row][list(FEET)], atol=1e-5)
            x0, y0, x1, y1 = label.boxes[moment]
            assert x1 - x0 < y1 - y0 < scene.source.height * 1.5


def test_people_who_are_uncertain_or_not_seen_teach_nothing(clip: LabelledClip) -> None:
    scene = read_scene(TRUTH)
    for person in scene.people:
        person.reliable = False
    assert not list(pairs_of(scene, 0.3))
    scene = read_scene(TRUTH)
    scene.people = scene.people[:1]
    scene.people[0].confidence = np.zeros_like(scene.people[0].confidence)
    assert not list(pairs_of(scene, 0.3))


def test_features_are_computed_once_and_points_lie_on_their_rays(clip: LabelledClip, tmp_path: Path) -> None:
    some = replace(clip, pairs=clip.pairs[:2])
    network = tiny_network()
    shape, samples = prepare(some, network, "tiny", 128, tmp_path, "cpu")
    assert shape == PictureShape(4, 8) and len(samples) == sum(len(pair.people) for pair in some.pairs)
    features = read_pair(samples[0])
    assert features["last_1"].shape == (32, 32) and features["points_1"].shape == features["known_1"].shape
    known = np.isfinite(features["known_1"]).all(axis=1)
    assert known.mean() > 0.3, "frame 0 has a depth map"
    # 128 px of 960: every eighth pixel, from the fourth on.
    lens = clip.scene.camera.intrinsics[0] * np.array([128 / 960, 64 / 540, 128 / 960, 64 / 540])
    rows, columns = np.mgrid[4:64:8, 4:128:8]
    pixel = np.stack([columns, rows], axis=-1).reshape(-1, 2)[known] + 0.5
    points = features["known_1"][known]
    assert np.abs(points[:, :2] / points[:, 2:] * lens[:2] + lens[2:] - pixel).max() < 1e-2

    def never(*_: object) -> None:
        raise AssertionError("computed again")

    network.mast3r.encode = never  # type: ignore[method-assign]
    assert len(prepare(some, network, "tiny", 128, tmp_path, "cpu")[1]) == len(samples)


def test_a_scene_made_again_is_learnt_from_anew_without_asking_the_backbone_again(
    clip: LabelledClip, tmp_path: Path
) -> None:
    folder = tmp_path / "again.scene4d"
    shutil.copytree(clip.folder / "depth", folder / "depth")
    some = replace(clip, pairs=clip.pairs[:1], folder=folder)
    network = tiny_network()
    _, before = prepare(some, network, "tiny", 128, tmp_path / "cache", "cpu")
    for path in (folder / "depth").iterdir():
        arrays = read_npz(path)
        write_npz(path, {**arrays, "depth": 2.0 * arrays["depth"]})
    network.mast3r.encode = None  # type: ignore[assignment]
    _, after = prepare(some, network, "tiny", 128, tmp_path / "cache", "cpu")
    old, new = read_pair(before[0]), read_pair(after[0])
    assert np.allclose(new["known_1"], 2.0 * old["known_1"], rtol=2e-3, equal_nan=True)
    assert np.isfinite(old["known_1"]).any() and np.array_equal(new["points_1"], old["points_1"])
    moved = replace(some.pairs[0], first_from_second=rigid(np.eye(3), np.array([1.0, 0.0, 0.0])))
    _, third = prepare(replace(some, pairs=(moved,)), network, "tiny", 128, tmp_path / "cache", "cpu")
    assert third[0].known != after[0].known and third[0].features == after[0].features


def test_processes_share_the_preparing(clip: LabelledClip, tmp_path: Path) -> None:
    some = replace(clip, pairs=clip.pairs[:5])
    made: list[set[Path]] = []
    for number in range(2):
        _, samples = prepare(some, tiny_network(), "tiny", 128, tmp_path, "cpu", True, share=(number, 2))
        assert len(samples) == 2 * sum(len(pair.people) for pair in some.pairs)
        made.append({sample.features for sample in samples if sample.features.is_file()})
    assert {len(made[0]), len(made[1])} == {6, 10}, "three of the pairs and their mirrored ones, and then the others"
    assert all(sample.known.is_file() for sample in samples)


def test_every_process_has_a_card_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert [own_device(name) for name in ("cpu", "mps", "cuda")] == ["cpu", "mps", "cuda:0"]
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert [own_device(name) for name in ("cpu", "mps", "cuda")] == ["cpu", "mps", "cuda:3"]


def test_a_mirror_shows_the_same_walk_on_the_other_side(clip: LabelledClip, tmp_path: Path) -> None:
    pair, width = clip.pairs[0], clip.scene.source.width
    mirrored = mirrored_pair(pair, width)
    for true, shown in zip(pair.people, mirrored.people, strict=True):
        assert np.linalg.det(shown.rotation) == pytest.approx(1.0)
        # Where the left ankle was before and is after the motion, seen from the pelvis before it: x changes its sign.
        moved, as_shown = (
            (one.feet[0, ankle], one.rotation @ one.feet[1, ankle] + one.translation)
            for one, ankle in ((true, 2), (shown, 3))
        )
        assert np.allclose(np.multiply(moved, [-1.0, 1.0, 1.0]), as_shown)
        assert np.allclose(shown.boxes[:, [0, 2]] + true.boxes[:, [2, 0]], width)
        # In the first camera both moments' feet meet again through the mirrored motion of the camera.
        later = transform(mirrored.first_from_second, shown.in_place[1])
        assert np.allclose(later[:, 0], -transform(pair.first_from_second, true.in_place[1])[[1, 0, 3, 2], 0])
    again = mirrored_pair(mirrored, width)
    assert np.allclose(again.first_from_second, pair.first_from_second)
    for true, twice in zip(pair.people, again.people, strict=True):
        assert all(np.allclose(value, vars(twice)[name]) for name, value in vars(true).items())

    some = replace(clip, pairs=clip.pairs[:1])
    _, samples = prepare(some, tiny_network(), "tiny", 128, tmp_path, "cpu", mirrored=True)
    count = len(pair.people)
    assert len(samples) == 2 * count and len({sample.features for sample in samples}) == 2
    seen, flipped = (read_pair(samples[number])["known_1"].reshape(8, 16, 3) for number in (0, count))
    # Every eighth pixel from the fourth on is nearly its own mirror image.
    good = np.isfinite(seen[:, ::-1]).all(axis=-1) & np.isfinite(flipped).all(axis=-1)
    ratio = flipped[good][:, 2] / seen[:, ::-1][good][:, 2]
    assert good.mean() > 0.3 and abs(np.median(ratio) - 1.0) < 0.02
    assert np.corrcoef(flipped[good][:, 0], -seen[:, ::-1][good][:, 0])[0, 1] > 0.98


def a_batch(count: int = 4) -> tuple[PairMotion, dict[str, torch.Tensor]]:
    """Perfect answers to made-up pairs in which the left foot stands."""
    random = np.random.default_rng(1)
    rotation = matrix_from_axis_angle(0.3 * random.normal(size=(count, 3)))
    feet = random.normal(size=(count, 2, 4, 3))
    translation = random.normal(size=(count, 3))
    # The left foot and ankle are where they were.
    for row in (0, 2):
        feet[:, 1, row] = np.einsum("nji,nj->ni", rotation, feet[:, 0, row] - translation)
    place = random.normal((0.0, 0.0, 4.0), 1.0, (count, 2, 3))
    points = random.normal((0.0, 0.0, 5.0), 1.0, (count, 50, 3))
    in_first = np.stack([points[:, :4], points[:, 4:8]], axis=1)
    values = {
        "translation": translation, "rotation": rotation[:, :2].reshape(count, 6), "feet": feet, "in_camera": place,
        "facing": random.normal(size=(count, 2, 6)),
        "in_first": in_first, "points_1": points / 2.0, "points_2": points / 0.5, "known_1": points.copy(),
        "known_2": np.full_like(points, np.nan),
    }  # fmt: skip
    batch = {name: torch.as_tensor(value, dtype=torch.float32) for name, value in values.items()}
    one = torch.ones(count)
    motion = PairMotion(
        batch["translation"], batch["rotation"], batch["in_camera"][:, 0], batch["in_camera"][:, 1],
        np.log(2.0) * one, np.log(0.5) * one,
    )  # fmt: skip
    return motion, batch


def test_perfect_answers_cost_nothing() -> None:
    motion, batch = a_batch()
    terms = losses(motion, batch["facing"], batch)
    assert set(terms) == {
        "translation", "rotation", "still", "facing_1", "facing_2", "place_1", "place_2", "contact_1", "contact_2",
        "points_1",
    }  # fmt: skip
    assert all(float(value) < 2e-3 for value in terms.values())


def test_each_error_costs_what_the_formula_says() -> None:
    motion, batch = a_batch()
    facing = batch["facing"]
    terms = losses(replace(motion, relative_translation=motion.relative_translation + 0.1), facing, batch)
    assert float(terms["translation"]) == pytest.approx(0.3, rel=1e-4)
    assert float(terms["still"]) == pytest.approx(0.1 * 3**0.5, rel=1e-2), "the standing foot is dragged along"
    assert float(losses(motion, facing + 0.5, batch)["facing_2"]) == pytest.approx(0.25, rel=1e-4)
    far = replace(motion, translation_1=2.0 * motion.translation_1)
    assert float(losses(far, facing, batch)["place_1"]) == pytest.approx(1.0, abs=1e-3)
    twice = replace(motion, log_scale_1=motion.log_scale_1 + np.log(2.0))
    assert float(losses(twice, facing, batch)["points_1"]) == pytest.approx(1.0, abs=1e-3)
    assert float(relative_error(torch.tensor([1.0, 0, 0]), torch.tensor([2.0, 0, 0]))) == pytest.approx(0.5, abs=1e-3)


def test_the_foot_that_swings_costs_nothing() -> None:
    motion, batch = a_batch()
    feet = batch["feet"].clone()
    feet[:, 1, 1::2] += 5.0
    assert float(still_feet(motion, feet)) < 1e-5


def test_angles() -> None:
    for degrees in (0.0, 1e-3, 30.0, 179.9):
        turn = torch.as_tensor(matrix_from_axis_angle([0.0, np.radians(degrees), 0.0]))
        assert float(angle(turn)) == pytest.approx(np.radians(degrees), abs=1e-6)


def made_up(folder: Path, count: int) -> list[Sample]:
    """Samples whose motion can be read from their features."""
    random = np.random.default_rng(5)
    samples = []
    for number in range(count):
        batch = a_batch(1)[1]
        direction = random.normal(size=3).astype(np.float32)
        path = folder / f"{number}.npz"
        last = np.tile(np.resize(direction, 32), (32, 1)).astype(np.float32)
        arrays = {name: batch[name][0].numpy() for name in ("points_1", "points_2", "known_1", "known_2")}
        np.savez(path, last_1=last, last_2=last, **arrays)
        person = {name: batch[name][0].numpy() for name in ("rotation", "facing", "in_camera", "feet", "in_first")}
        boxes = np.tile([20.0, 10.0, 60.0, 60.0], (2, 1)).astype(np.float32)
        samples.append(Sample(path, path, {**person, "translation": 0.3 * direction, "boxes": boxes}, "made up"))
    return samples


def run_training(folder: Path, samples: list[Sample], held: list[Sample], stop_at: int | None = None) -> History:
    shape = PictureShape(4, 8)

    def report(step: int, steps: int, row: dict[str, float]) -> None:
        if step == stop_at:
            raise KeyboardInterrupt

    settings = TrainSettings(steps=120, batch=32, rate=3e-3, every=40)
    return train(tiny_network(), ABOUT, {shape: samples}, {shape: held}, settings, folder, "cpu", report)


@pytest.mark.slow
def test_a_killed_training_continues_to_the_same_network(tmp_path: Path) -> None:
    samples = made_up(tmp_path, 160)
    history = run_training(tmp_path / "whole", samples[:128], samples[128:])
    assert history.rows[-1]["validation_translation_share"] < 0.85, "something general was learnt"
    with pytest.raises(KeyboardInterrupt):
        run_training(tmp_path / "killed", samples[:128], samples[128:], stop_at=80)
    again = run_training(tmp_path / "killed", samples[:128], samples[128:])
    assert again.rows == history.rows
    whole, killed = ((tmp_path / name / WEIGHTS_NAME).read_bytes() for name in ("whole", "killed"))
    assert whole == killed


def test_other_settings_do_not_continue_a_training(tmp_path: Path) -> None:
    told = json.dumps({"step": 1, "settings": {"steps": 2}, "rows": []})
    save_file({"model.x": torch.zeros(1)}, tmp_path / "training.safetensors", metadata={"training": told})
    with pytest.raises(UserError, match="other settings"):
        run_training(tmp_path, made_up(tmp_path, 2), [])


@pytest.mark.parametrize("killed_at", [WEIGHTS_NAME, "history.json", "training.safetensors"])
def test_a_training_killed_while_it_saves_continues_from_one_checkpoint(
    killed_at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new state never meets the old step, nor the other way round."""
    samples = made_up(tmp_path, 8)
    shape, settings = PictureShape(4, 8), TrainSettings(steps=4, batch=4, rate=3e-3, every=1)

    def run(folder: Path) -> list[dict[str, float]]:
        return train(
            tiny_network(), ABOUT, {shape: samples}, {}, settings, folder, "cpu", lambda *_: None
        ).rows  # fmt: skip

    real, seen = Path.replace, []

    def replaced(path: Path, target: Path) -> Path:
        seen.append(target.name)
        if seen.count(killed_at) == 3:
            raise KeyboardInterrupt
        return real(path, target)

    expected = run(tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", replaced)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "killed")
    assert run(tmp_path / "killed") == expected
    for name in (WEIGHTS_NAME, "history.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_batch_that_the_card_cannot_hold_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Josh3r, "look", no_memory)
    with pytest.raises(UserError, match="this batch") as caught:
        run_training(tmp_path / "run", made_up(tmp_path, 4), [])
    assert caught.value.kind == "gpu_memory" and "--batch" in caught.value.remedy


def test_validation_goes_on_in_smaller_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = made_up(tmp_path, 8)
    groups, mean = {PictureShape(4, 8): samples}, mean_motion(samples)
    expected = validate(whole_motion(tiny_network()), groups, mean, 8, torch.device("cpu"))
    real = Josh3r.look

    def look(network: Josh3r, first: Tokens, *others: torch.Tensor) -> PersonTokens:
        if len(first.tokens) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(network, first, *others)

    monkeypatch.setattr(Josh3r, "look", look)
    found = validate(whole_motion(tiny_network()), groups, mean, 8, torch.device("cpu"))
    assert found == pytest.approx(expected, rel=1e-5)


def test_bad_labels_are_told_apart() -> None:
    limits = LabelLimits()

    def changed(**values: object) -> str:
        scene = read_scene(TRUTH)
        scene.scale = Scale("height", 0.01)
        for name, value in values.items():
            setattr(scene, name, value)
        return reason_against(scene, limits)

    assert changed() == ""
    assert changed(people=[]) == "nobody in it is reliable"
    assert "uncertain by 20 %" in changed(scale=Scale("population", 0.2))
    assert "slide by 40 mm" in changed(quality={"foot_slide_mm_per_frame": 40.0})
    assert "camera's path" in changed(quality={"scene_keyframes_asked": 10.0, "scene_keyframes_registered": 5.0})
    assert "miss the people" in changed(quality={"landmark_error_px": 30.0})
    fast = read_scene(TRUTH)
    fast.scale = Scale("height", 0.01)
    fast.people[0].trans = fast.people[0].trans + np.linspace(0, 60, len(fast.people[0].frame))[:, None]
    assert "moves at" in reason_against(fast, limits)


def josh4d(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "josh_blender.engine", *words], capture_output=True, text=True, timeout=600,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.slow
def test_the_command_trains_weights_that_the_fast_mode_takes(tmp_path: Path) -> None:
    backbone = write_mast3r(tmp_path / "mast3r.safetensors")
    words = ["train", str(TRUTH), "--output", str(tmp_path / "out"), "--validation", str(TRUTH), "--size", "128"]
    words += ["--mast3r-weights", str(backbone), "--steps", "4", "--batch", "8", "--device", "cpu"]
    done = josh4d(*words)
    assert done.returncode == 0, done.stderr
    assert "step 4/4" in done.stdout and "of the mean motion's" in done.stdout
    network, about = load_josh3r(tmp_path / "out" / WEIGHTS_NAME, "cpu", backbone)
    assert about.whole_picture and about.long_side == 128
    assert rotation_of_rows(torch.eye(3)[:2].reshape(6)).equal(torch.eye(3)) and not network.training
    assert invert_rigid(np.eye(4)).shape == (4, 4)
    refused = josh4d("train", str(TRUTH), "--output", str(tmp_path / "other"))
    assert refused.returncode == 1 and "MASt3R" in refused.stderr and "licence" in refused.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="torch's launcher needs another back end there")
def test_two_processes_train_one_network(tmp_path: Path) -> None:
    backbone = write_mast3r(tmp_path / "mast3r.safetensors")
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    words += ["-m", "josh_blender.engine", "train", str(TRUTH)]
    words += ["--output", str(tmp_path / "out"), "--size", "128", "--mast3r-weights", str(backbone), "--steps", "2"]
    done = subprocess.run(
        [sys.executable, *words, "--batch", "8", "--device", "cpu"], capture_output=True, text=True, timeout=600,
        stdin=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("step 2/2") == 1, "one of them speaks"
    assert load_josh3r(tmp_path / "out" / WEIGHTS_NAME, "cpu", backbone)[1].long_side == 128
    assert not list((tmp_path / "out" / "features").rglob("*.partial"))


def test_a_folder_without_videos_is_no_source_of_labels(tmp_path: Path) -> None:
    done = josh4d("label", str(tmp_path), "--output", str(tmp_path / "labels"))
    assert done.returncode == 1 and "There is no video in" in done.stderr


def label_settings(folder: Path, name: str = "a.mp4") -> ReconstructSettings:
    sample = ROOT / "bench" / "sample" / "data" / "sample.mp4"
    video = folder / name
    shutil.copyfile(sample, video)
    return ReconstructSettings(video, folder / "labels")


def writes_truth(made: list[Path]) -> Callable[[ReconstructSettings, Reporter], Path]:
    """Stands where `reconstruct` does; ``made`` gets the videos."""

    def reconstruct(settings: ReconstructSettings, report: Reporter) -> Path:
        made.append(settings.video)
        scene = read_scene(TRUTH)
        scene.scale = Scale("height", 0.01)
        scene.source.identity = source_identity((settings.video,))
        scene.stages = {
            name: {"backend": backend} for name, backend in PRESETS[settings.preset].items() if name != "world"
        }
        write_scene(scene, settings.scene_folder)
        return settings.scene_folder

    return reconstruct


def test_a_label_is_made_again_where_its_video_or_preset_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, made = label_settings(tmp_path), []
    monkeypatch.setattr(label_command, "reconstruct", writes_truth(made))
    for _ in range(2):
        assert label_command.label(settings) == {"scene": str(settings.scene_folder), "reason": ""}
    assert len(made) == 1
    other = replace(settings, preset="mast3r")
    assert [label_command.label(other)["reason"] for _ in range(2)] == ["", ""] and len(made) == 2
    with settings.video.open("ab") as file:
        file.write(b"more")
    assert label_command.label(other)["reason"] == "" and len(made) == 3
    (settings.scene_folder / "scene.json").write_text("damaged")
    assert label_command.label(other)["reason"] == "" and len(made) == 4


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            IndexError("index 3 is out of bounds"),
            "something unexpected went wrong: IndexError: index 3 is out of bounds",
        ),
        (torch.OutOfMemoryError("CUDA out of memory"), "The graphics card's memory is too small for this"),
        (UserError("no_parallax", "The path cannot be solved.", "Try."), "The path cannot be solved"),
    ],
)
def test_a_clip_that_fails_does_not_stop_the_others(
    error: Exception, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> Path:
        raise error

    settings = label_settings(tmp_path)
    monkeypatch.setattr(label_command, "reconstruct", fails)
    assert label_command.label(settings) == {"scene": "", "reason": reason}


def test_a_full_disk_stops_them_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(label_command, "reconstruct", fails)
    with pytest.raises(UserError) as caught:
        label_command.label(label_settings(tmp_path))
    assert caught.value.kind == "disk_full"


def test_videos_of_one_name_have_scenes_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    for name in ("a.mp4", "a.mov", "b.mp4"):
        label_settings(tmp_path, name)
    monkeypatch.setattr(label_command, "reconstruct", writes_truth(made))
    assert josh4d_here(["label", str(tmp_path), "--output", str(tmp_path / "labels")]) == 0
    rows = json.loads((tmp_path / "labels" / "labels.json").read_text())["labels"]
    scenes = [str(Path(row["scene"]).relative_to(tmp_path / "labels")) for row in rows]
    assert scenes == [str(Path("a-mov") / "a.scene4d"), str(Path("a-mp4") / "a.scene4d"), "b.scene4d"]
    assert len(made) == 3


@pytest.mark.slow
def test_labels_are_made_judged_and_not_made_again(tmp_path: Path) -> None:
    videos, output = tmp_path / "videos", tmp_path / "labels"
    (videos / "more").mkdir(parents=True)
    (videos / "broken.mp4").write_bytes(b"no video")
    sample = ROOT / "bench" / "sample" / "data" / "sample.mp4"
    (videos / "more" / "sample.mp4").write_bytes(sample.read_bytes())
    assert josh4d("label", str(videos), "--output", str(output), "--device", "cpu").returncode == 0
    rows = json.loads((output / "labels.json").read_text())["labels"]
    assert [row["video"] for row in rows] == ["broken.mp4", str(Path("more") / "sample.mp4")]
    assert rows[0]["scene"] == "" and rows[0]["reason"] and rows[1]["reason"] == ""
    made = (output / "more" / "sample.scene4d" / "scene.json").stat().st_mtime_ns
    assert josh4d("label", str(videos), "--output", str(output), "--device", "cpu").returncode == 0
    assert (output / "more" / "sample.scene4d" / "scene.json").stat().st_mtime_ns == made
