"""Stage 1: pictures, their numbers and times, from every kind of source."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent))
import barcode_clips
from barcode_clips import COUNT, draw, irregular, write_clip

from josh_blender.engine.stages.frames import FramesSettings, exact_rate, run_frames
from josh_blender.engine.video.plate import write_plate, write_undistorted_proxy
from josh_blender.engine.video.reader import open_frames, read_image
from josh_blender.scene4d.errors import UserError


def frames_of(path: Path, **settings):
    return run_frames(path, FramesSettings(**settings), path.parent, lambda done, total: None)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return barcode_clips.make_clips(tmp_path_factory.mktemp("clips"))


def test_every_kind_of_clip_is_read_picture_for_picture(clips):
    for name, path in clips.items():
        with open_frames(frames_of(path)) as reader:
            assert [barcode_clips.read(p) for _, p in reader.iterate()] == list(range(COUNT)), name


def test_random_access_gives_the_same_pictures(clips):
    order = np.random.default_rng(0).permutation(COUNT).tolist()
    for name, path in clips.items():
        with open_frames(frames_of(path)) as reader:
            assert [barcode_clips.read(p) for _, p in reader.iterate(order)] == order, name


def test_numbers_count_in_the_whole_file_whatever_range_is_solved(clips):
    frames = frames_of(clips["b_frames"], start=13, end=21)
    assert frames.frame.tolist() == list(range(13, 22))
    assert frames.source.frame_count == COUNT
    with open_frames(frames) as reader:
        assert barcode_clips.read(reader.read(3)) == 16
        assert barcode_clips.read(reader.read(0)) == 13


def test_times_and_rates(clips):
    film = frames_of(clips["film"])
    assert (film.source.fps_num, film.source.fps_den) == (24000, 1001)
    np.testing.assert_allclose(film.time, np.arange(COUNT) * 1001 / 24000, atol=1e-9)
    late = frames_of(clips["offset"])
    np.testing.assert_allclose(late.time, 1.4 + np.arange(COUNT) / 25, atol=1e-9)
    varying = frames_of(clips["variable"])
    np.testing.assert_allclose(varying.time, [irregular(k) for k in range(COUNT)], atol=2e-5)
    average = (COUNT - 1) / (irregular(COUNT - 1) - irregular(0))
    assert varying.source.fps_num / varying.source.fps_den == pytest.approx(average, rel=1e-3)


def test_only_a_variable_rate_needs_a_plate(clips):
    assert {name for name, path in clips.items() if frames_of(path).plate_reasons} == {"variable"}


def test_rotation_metadata_is_applied(clips):
    for degrees in (90, 180, 270):
        source = frames_of(clips[f"turned_{degrees}"]).source
        assert source.rotation == degrees
        assert source.height > source.width


def test_scaled_reading_keeps_the_orientation(clips):
    frames = frames_of(clips["turned_90"])
    half = (frames.source.width // 2, frames.source.height // 2)
    with open_frames(frames) as reader:
        small, full = reader.read(5, size=half), reader.read(5)
    assert small.shape[:2] == (half[1], half[0])
    reduced = cv2.resize(full, half, interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - reduced).mean() < 4


def test_plate_is_constant_and_shows_the_same_pictures(clips, tmp_path):
    frames = frames_of(clips["variable"], start=5, end=30)
    write_plate(frames, tmp_path / "plate.mp4", lambda done, total: None)
    plate = frames_of(tmp_path / "plate.mp4")
    assert plate.plate_reasons == []
    assert (plate.source.width, plate.source.height) == (frames.source.width, frames.source.height)
    with open_frames(plate) as reader, open_frames(frames) as source:
        for index, picture in reader.iterate():
            assert barcode_clips.read(picture) == 5 + index
            assert np.abs(picture.astype(int) - source.read(index)).mean() < 3
    assert not list(tmp_path.glob("*.partial*"))


def test_colours_survive_the_plate_whatever_its_matrix(tmp_path):
    """The plate is tagged BT.709, the clip not at all (BT.601): both must be read as they were painted."""
    colours = np.array([(200, 40, 30), (30, 180, 60), (40, 60, 200), (220, 200, 40)], np.uint8)
    picture = np.repeat(np.repeat(colours[None], 32, axis=1), 64, axis=0)
    frames = frames_of(write_clip(tmp_path / "colours.mp4", picture_of=lambda n: picture, count=2))
    write_plate(frames, tmp_path / "plate.mp4", lambda done, total: None)
    plate = frames_of(tmp_path / "plate.mp4")
    assert (frames.source.color_space, plate.source.color_space) == ("bt601", "bt709")
    for source in (frames, plate):
        with open_frames(source) as reader:
            middle = reader.read(1)[32, 16::32].astype(int)
        assert np.abs(middle - colours).max() <= 6


def test_undistorted_proxy_straightens_a_known_lens(tmp_path):
    """A grid of dots drawn through a lens comes out as the grid of the pinhole, at half size."""
    from josh_blender.scene4d.camera import project, unproject

    lens, distortion = np.array([300.0, 300.0, 160.0, 120.0]), np.array([-0.15, 0.03, 0.001, -0.002, 0.0])
    dots = np.stack(np.meshgrid(np.arange(60, 261, 50.0), np.arange(50, 191, 35.0)), axis=-1).reshape(-1, 2)
    bent = project(unproject(dots, lens, np.zeros(5)), lens, distortion)
    picture = np.zeros((240, 320, 3), np.uint8)
    for x, y in bent:
        centre = (round((x - 0.5) * 16), round((y - 0.5) * 16))
        cv2.circle(picture, centre, 5 * 16, (255, 255, 255), -1, cv2.LINE_AA, shift=4)
    frames = frames_of(write_clip(tmp_path / "lens.mp4", picture_of=lambda n: picture, count=2))
    write_undistorted_proxy(frames, lens, distortion, tmp_path / "proxy.mp4", lambda done, total: None)
    proxy = frames_of(tmp_path / "proxy.mp4")
    assert (proxy.source.width, proxy.source.height) == (160, 120)
    with open_frames(proxy) as reader:
        grey = reader.read(0)[:, :, 1].astype(float)
    for x, y in dots / 2:
        rows, columns = slice(int(y) - 6, int(y) + 7), slice(int(x) - 6, int(x) + 7)
        weight = np.clip(grey[rows, columns] - 40, 0, None)
        centre_x = (weight.sum(0) * (np.arange(columns.start, columns.stop) + 0.5)).sum() / weight.sum()
        centre_y = (weight.sum(1) * (np.arange(rows.start, rows.stop) + 0.5)).sum() / weight.sum()
        assert np.hypot(centre_x - x, centre_y - y) < 0.25


def test_image_sequence_from_any_of_its_pictures(tmp_path):
    folder = tmp_path / "pictures with späces"
    folder.mkdir()
    for number in (98, 99, 100, 101):
        (folder / f"shot.{number:04d}.png").write_bytes(cv2.imencode(".png", draw(number))[1].tobytes())
    (folder / "other.0100.png").write_bytes(cv2.imencode(".png", draw(7))[1].tobytes())
    frames = frames_of(folder / "shot.0100.png", fps=23.976)
    assert frames.frame.tolist() == [98, 99, 100, 101]
    assert frames.source.kind == "images" and frames.plate_reasons == []
    np.testing.assert_allclose(frames.time, np.arange(4) * 1001 / 24000)
    with open_frames(frames) as reader:
        assert [barcode_clips.read(p) for _, p in reader.iterate()] == [98, 99, 100, 101]
    assert frames_of(folder / "shot.0098.png", start=99, end=100).frame.tolist() == [99, 100]


def test_gaps_in_a_sequence_are_told(tmp_path):
    for number in (1, 2, 4):
        (tmp_path / f"{number}.png").write_bytes(cv2.imencode(".png", draw(number))[1].tobytes())
    frames = frames_of(tmp_path / "2.png")
    assert frames.frame.tolist() == [1, 2, 4]
    assert frames.plate_reasons == ["missing pictures"] and len(frames.warnings) == 1
    np.testing.assert_allclose(frames.time, [0, 1 / 24, 3 / 24])


def test_one_picture_is_a_valid_source(tmp_path):
    frames = frames_of(write_clip(tmp_path / "one.mp4", count=1))
    assert frames.frame.tolist() == [0]
    assert (frames.source.fps_num, frames.source.fps_den) == (25, 1)
    with open_frames(frames) as reader:
        assert barcode_clips.read(reader.read(0)) == 0


def test_truncated_file_keeps_what_can_be_read(tmp_path):
    whole = write_clip(tmp_path / "whole.mkv")
    data = whole.read_bytes()
    cut = tmp_path / "cut äöü.mkv"
    cut.write_bytes(data[: int(len(data) * 0.6)])
    frames = frames_of(cut)
    assert 5 < len(frames.frame) < COUNT
    with open_frames(frames) as reader:
        assert [barcode_clips.read(p) for _, p in reader.iterate()] == frames.frame.tolist()


def test_truncated_mp4_with_its_index_in_front_warns(tmp_path):
    data = _index_first(write_clip(tmp_path / "whole.mp4")).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: int(len(data) * 0.7)])
    frames = frames_of(cut)
    assert 5 < len(frames.frame) < COUNT
    assert "cut off" in frames.warnings[0]


def _index_first(path: Path) -> Path:
    import av

    moved = path.with_name("front.mp4")
    with av.open(str(path)) as source, av.open(str(moved), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return moved


def _bad_inputs(folder: Path) -> dict[str, Path]:
    (folder / "text.mp4").write_text("This is not a video.")
    (folder / "empty.mp4").write_bytes(b"")
    whole = write_clip(folder / "whole.mp4").read_bytes()
    (folder / "no_index.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "broken.png").write_bytes(b"\x89PNG broken")
    return {
        "missing_video": folder / "nowhere.mp4",
        "is_a_folder": folder,
        "not_a_video": folder / "text.mp4",
        "empty_video": folder / "empty.mp4",
        "unreadable_image": folder / "broken.png",
        "not_a_video ": folder / "no_index.mp4",
    }


def test_bad_input_has_one_clear_sentence_each(tmp_path):
    for kind, path in _bad_inputs(tmp_path).items():
        with pytest.raises(UserError) as caught:
            frames_of(path)
        assert caught.value.kind == kind.strip()
        assert caught.value.message.endswith(".") and caught.value.remedy.endswith(".")


def test_a_range_outside_the_source_is_refused(clips):
    with pytest.raises(UserError, match="0 to 39"):
        frames_of(clips["constant"], start=100)


def test_exact_rates():
    assert exact_rate(23.976) == Fraction(24000, 1001)
    assert exact_rate(29.97) == Fraction(30000, 1001)
    assert exact_rate(24) == 24
    assert exact_rate(12.5) == Fraction(25, 2)
    with pytest.raises(UserError):
        exact_rate(0)


def test_linear_and_deep_pictures_become_srgb(tmp_path):
    """Middle grey of 0.5 in scene-linear light is 188 in sRGB (IEC 61966-2-1); 16 bits are scaled, not cut off."""
    path = tmp_path / "grey.png"
    path.write_bytes(cv2.imencode(".png", np.full((2, 3, 3), 32768, np.uint16))[1].tobytes())
    assert np.all(read_image(path) == 128)
    assert np.all(read_image(path, "linear") == 188)
