"""Stage 2: the models' pre- and post-processing, tracks, masks, and who can be trusted."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from barcode_clips import write_clip
from made_people import path, person

from josh_blender.engine.detection import fetch_models, models
from josh_blender.engine.detection.detector import Detections, PoseDetector, Tile, decode, make_anchors, suppress
from josh_blender.engine.detection.landmarker import REGION_SCALE, Pose, PoseLandmarker, refine
from josh_blender.engine.detection.linking import LinkSettings, is_person, link_tracklets
from josh_blender.engine.detection.masks import Labelled, label_mask
from josh_blender.engine.detection.poses import same_body
from josh_blender.engine.detection.quality import QualitySettings, judge, spill, unsure_frames
from josh_blender.engine.detection.regions import Region, crop, paste, region_from_points
from josh_blender.engine.detection.smoothing import fill_gaps, smooth
from josh_blender.engine.detection.tiles import make_tiles
from josh_blender.engine.detection.tracker import Tracker, TrackerSettings, Tracklet
from josh_blender.engine.stages.frames import FramesSettings, run_frames
from josh_blender.engine.stages.people import PeopleSettings, make_track, run_people, set_overlaps
from josh_blender.engine.video.reader import open_frames
from josh_blender.scene4d.conventions import MASK_UNTRACKED
from josh_blender.scene4d.errors import UserError

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

needs_models = pytest.mark.skipif(
    not fetch_models.models_present(), reason=f"the pose models are missing: {models.FETCH_COMMAND}"
)


#: Of pictures 30 times a second.
TIME = np.arange(60) / 30.0


def needs_clip(name: str):
    return pytest.mark.skipif(not (DATA / name).exists(), reason=f"the clip {name} is not beside the project")


# --- regions -----------------------------------------------------------------------------------------------------


def test_region_turns_the_body_upright():
    region = region_from_points(np.array([100.0, 80.0]), np.array([140.0, 80.0]), 1.25)
    assert region.rotation == pytest.approx(np.pi / 2)
    np.testing.assert_allclose(region.to_plate(np.array([0.5, 0.5])), (100, 80))
    np.testing.assert_allclose(region.to_plate(np.array([0.5, 0.1])), (140, 80), atol=1e-9)


def test_a_spot_in_the_crop_is_where_it_is_on_the_plate():
    picture = np.zeros((300, 400, 3), np.uint8)
    cv2.circle(picture, (210 * 16, 130 * 16), 6 * 16, (255, 255, 255), -1, cv2.LINE_AA, shift=4)
    spot = np.array([210.5, 130.5])
    for rotation in (0.0, 0.7, -2.0):
        region = Region(190.0, 140.0, 180.0, rotation)
        small = crop(picture, region, 256)[:, :, 0].astype(float)
        v, u = np.mgrid[0:256, 0:256] + 0.5
        centre = np.array([(small * u).sum(), (small * v).sum()]) / small.sum() / 256
        np.testing.assert_allclose(region.to_plate(centre), spot, atol=0.05)
        back = paste(small.astype(np.uint8), region, (0, 0, 400, 300)).astype(float)
        y, x = np.mgrid[0:300, 0:400] + 0.5
        np.testing.assert_allclose(np.array([(back * x).sum(), (back * y).sum()]) / back.sum(), spot, atol=0.1)


# --- the detector ------------------------------------------------------------------------------------------------


def test_anchors_are_those_of_the_network():
    anchors = make_anchors()
    assert anchors.shape == (2254, 2)
    np.testing.assert_allclose(anchors[0], (0.5 / 28, 0.5 / 28))
    np.testing.assert_allclose(anchors[2], (1.5 / 28, 0.5 / 28))
    np.testing.assert_allclose(anchors[28 * 28 * 2], (0.5 / 14, 0.5 / 14))
    np.testing.assert_allclose(anchors[-1], (6.5 / 7, 6.5 / 7))


def test_decoding_adds_the_anchor():
    raw = np.zeros((2254, 12), np.float32)
    logits = np.full(2254, -10.0, np.float32)
    raw[100] = [22.4, 0, 44.8, 44.8, 0, 11.2, 0, 0, 0, 0, 0, 0]
    logits[100] = 2.0
    anchors = make_anchors()
    found = decode(raw, logits, anchors)
    assert len(found) == 1
    assert found.score[0] == pytest.approx(1 / (1 + np.exp(-2)))
    np.testing.assert_allclose(found.box[0], [*(anchors[100]), *(anchors[100] + (0.2, 0.1))] + np.r_[0, -0.1, 0, 0])
    np.testing.assert_allclose(found.points[0, 0], anchors[100] + (0, 0.05), atol=1e-7)


def test_suppression_averages_by_score_and_keeps_others_apart():
    box = np.array([[0.1, 0.1, 0.3, 0.3], [0.12, 0.1, 0.32, 0.3], [0.6, 0.6, 0.8, 0.8]])
    points = np.repeat(box[:, None, :2], 4, axis=1)
    kept = suppress(Detections(box, points, np.array([0.9, 0.6, 0.7])))
    assert kept.score.tolist() == [0.9, 0.7]
    np.testing.assert_allclose(kept.box[0], 0.6 * box[0] + 0.4 * box[1])
    np.testing.assert_allclose(kept.points[1], points[2])


def test_tiles_cover_the_picture():
    for width, height in ((1920, 1080), (1080, 1920), (640, 640), (64, 48)):
        for level in make_tiles(width, height)[:-1]:
            seen = np.zeros((height, width), bool)
            for tile in level:
                seen[max(0, tile.y) : tile.y + tile.side, max(0, tile.x) : tile.x + tile.side] = True
            assert seen.all()


def test_refining_moves_to_the_centre_of_mass_only_where_sure():
    heatmap = np.full((64, 64, 39), -20.0)
    heatmap[20, 30:32, 0] = 20.0
    heatmap[20, 30, 1] = -1.0
    points = np.full((39, 2), (31.4 / 64, 21.2 / 64))
    refined = refine(points, heatmap)
    np.testing.assert_allclose(refined[0], (30.5 / 64, 20 / 64), atol=1e-6)
    np.testing.assert_array_equal(refined[1:], points[1:])


# --- tracks ------------------------------------------------------------------------------------------------------


def test_a_broken_path_is_joined_by_place_and_clothes():
    a = path(0, {k: 100.0 + 4 * k for k in range(20)}, colour=3)
    b = path(1, {k: 100.0 + 4 * k for k in range(30, 50)}, colour=3)
    other = path(2, {k: 100.0 + 4 * k for k in range(32, 50)}, colour=9)
    joined = link_tracklets([a, b, other], 30.0, LinkSettings())
    assert [(t.number, t.first, t.last) for t in joined] == [(0, 0, 49), (2, 32, 49)]


def test_people_who_cross_behind_each_other_keep_their_names():
    """Both are lost for eight pictures where they meet; speed and clothes tell them apart after it."""
    right = {k: 100.0 + 6 * k for k in range(60)}
    left = {k: 460.0 - 6 * k for k in range(60)}
    before, after = range(0, 26), range(34, 60)
    pieces = [
        path(0, {k: right[k] for k in before}, 1), path(1, {k: left[k] for k in before}, 2),
        path(2, {k: left[k] for k in after}, 2), path(3, {k: right[k] for k in after}, 1),
    ]  # fmt: skip
    joined = {t.number: t for t in link_tracklets(pieces, 30.0, LinkSettings())}
    assert set(joined) == {0, 1}
    assert joined[0].poses[59].region.x == right[59]
    assert joined[1].poses[59].region.x == left[59]


def test_short_dim_and_unsteady_paths_are_no_people():
    settings = LinkSettings()
    good = path(0, {k: 100.0 for k in range(30)})
    assert is_person(good, 30.0, 1000, settings)
    assert not is_person(path(1, {k: 100.0 for k in range(8)}), 30.0, 1000, settings)
    assert not is_person(path(3, {k: 100.0 for k in (*range(15), *range(70, 85))}), 30.0, 1000, settings)
    dog = path(2, {k: 100.0 for k in range(30)})
    dog.poses = {k: person(100.0, 200.0, visibility=0.7) for k in range(30)}
    assert is_person(dog, 30.0, 1000, settings)
    dog.disagreement = {k: 0.06 for k in range(30)}
    assert not is_person(dog, 30.0, 1000, settings)
    assert is_person(dog, 30.0, 500, settings), "large in the picture: a person who is half hidden"
    face = path(3, {k: 100.0 for k in range(60)})
    face.disagreement = {k: 0.06 for k in range(60)}
    assert is_person(face, 30.0, 1000, settings), "half of a couple, mixed with the other"
    face.disagreement = {k: 0.08 for k in range(60)}
    assert not is_person(face, 30.0, 1000, settings), "a small pattern whose landmarks go with the region"
    assert is_person(face, 30.0, 500, settings)
    shrunk = path(5, {k: 100.0 for k in range(60)})
    for pose in shrunk.poses.values():
        pose.points[:] = pose.points.mean(0) + 0.4 * (pose.points - pose.points.mean(0))
    assert not is_person(shrunk, 30.0, 500, settings), "landmarks that fill a third of the body they are said to have"
    poster = path(4, {k: 100.0 for k in range(60)})
    poster.poses = {k: person(100.0, 200.0, visibility=0.52) for k in range(60)}
    assert is_person(poster, 30.0, 500, settings), "somebody of whom half is seen, steadily"
    poster.disagreement = {k: 0.05 for k in range(60)}
    assert not is_person(poster, 30.0, 500, settings)


def test_gaps_are_filled_and_said():
    piece = path(0, {k: 100.0 + 2 * k for k in range(10) if k not in (4, 5, 6)})
    track = make_track(1, piece, TIME, (640, 480), 2.0, 0.0)
    assert track.index.tolist() == list(range(10))
    assert track.detected.tolist() == [k not in (4, 5, 6) for k in range(10)]
    steps = np.diff(track.landmarks[:, 23, 0])
    np.testing.assert_allclose(steps, 4.0, atol=1e-3)
    assert (track.visibility[4:7] == 0).all() and (track.visibility[:4] > 0).all()
    inside = (track.landmarks >= track.box[:, None, :2]) & (track.landmarks <= track.box[:, None, 2:])
    assert inside.all()


def test_filling_and_smoothing_leave_straight_lines_alone():
    values = np.stack([np.arange(20.0), 3 - 2 * np.arange(20.0)], axis=1)
    known = np.ones(20, bool)
    known[[5, 6, 11]] = False
    spoilt = values.copy()
    spoilt[~known] = 99
    np.testing.assert_allclose(fill_gaps(spoilt, known), values)
    np.testing.assert_allclose(smooth(values, 1.0)[4:-4], values[4:-4])


def test_overlap_is_the_covered_share_of_the_box():
    a = make_track(1, path(0, {k: 100.0 for k in range(4)}), TIME, (640, 480), 1.0, 0.0)
    b = make_track(2, path(1, {k: 100.0 + 40 * k for k in range(2, 6)}), TIME, (640, 480), 1.0, 0.0)
    b.box[:] = a.box[0]
    b.box[1:, [0, 2]] += 0.25 * (a.box[0, 2] - a.box[0, 0])
    set_overlaps([a, b])
    np.testing.assert_allclose(a.overlap, [0, 0, 1, 0.75], atol=1e-6)
    np.testing.assert_allclose(b.overlap, [1, 0.75, 0, 0], atol=1e-6)


# --- trust -------------------------------------------------------------------------------------------------------


def test_a_mask_of_two_people_spills_over_the_skeleton():
    assert spill(person(200, 200, wide=0.11)) < 0.07
    assert spill(person(200, 200, wide=0.40)) > 0.3


def test_a_part_taken_for_a_body_is_the_same_body():
    whole = person(200, 200)
    assert same_body(whole, person(203, 202))
    assert same_body(whole, person(205, 225, side=180))
    assert not same_body(whole, person(270, 200))


def test_mixed_bodies_are_unreliable_and_steady_ones_are_not():
    settings = QualitySettings()
    piece = path(0, {k: 100.0 for k in range(30)})
    assert judge(piece, settings) == ""
    piece.disagreement = {k: 0.05 if k >= 20 else 0.005 for k in range(0, 30, 5)}
    assert judge(piece, settings) == ""
    assert unsure_frames(piece, settings) == set(range(18, 30))
    piece.disagreement = {k: 0.05 for k in range(0, 30, 5)}
    assert "unsteadily" in judge(piece, settings)
    piece.poses = {k: person(100, 200, wide=0.4) for k in range(30)}
    assert "several bodies" in judge(piece, settings)


def test_poses_are_dropped_where_the_nearest_check_is_bad_in_a_crowd_on_the_picture_itself():
    piece = path(0, {k: 100.0 for k in range(20)})
    piece.disagreement = {k: 0.05 if k == 10 else 0.005 for k in range(0, 20, 5)}
    piece.crowded = {7: 0.005, 8: 0.005, 9: 0.005, 11: 0.05, 12: 0.06, 13: 0.005, 14: 0.05}
    assert unsure_frames(piece, QualitySettings()) == {10, 11, 12, 14}


class Street:
    """What `Workers` find where two people walk up to each other and a third stands apart; pictures hold their number.

    Boxes meet from picture 16 on. The detector sees the second of the two from picture ``until`` on; the landmark model
    always does.
    """

    def __init__(self, until: int = 0) -> None:
        self.until = until

    def people(self, picture: np.ndarray) -> list[Pose]:
        way = 12.0 * min(int(picture[0, 0, 0]), 16)
        return [person(x, 240.0) for x in (100.0 + way, 900.0, 540.0 - way)]

    def detect(self, picture: np.ndarray, tiles: list[Tile]) -> list[Detections]:
        seen = self.people(picture)[: 3 if picture[0, 0, 0] >= self.until else 2]
        centres = np.array([[pose.region.x, pose.region.y] for pose in seen])
        points = np.stack([centres, centres - [0.0, 80.0], centres, centres], axis=1)
        return [Detections(np.zeros((len(seen), 4)), points, np.ones(len(seen)))]

    def locate(self, picture: np.ndarray, regions: list[Region]) -> list[Pose]:
        return [min(self.people(picture), key=lambda pose: abs(pose.region.x - region.x)) for region in regions]


def walk_down(street: Street, pictures: int) -> list[Tracklet]:
    tracker = Tracker(street, make_tiles(1080, 480), (1080, 480), TrackerSettings())
    for index in range(pictures):
        tracker.step(index, np.full((480, 1080, 3), index, np.uint8))
    return tracker.finish()


def test_people_near_each_other_are_checked_on_every_picture_and_others_at_searches():
    one, alone, other = walk_down(Street(), 20)
    assert set(one.crowded) == set(other.crowded) == {16, 17, 18, 19}
    assert not alone.crowded
    assert set(one.disagreement) == set(other.disagreement) == set(alone.disagreement) == {0, 5, 10, 15}


def test_somebody_found_late_is_checked_where_the_way_back_leads_past_others():
    other = walk_down(Street(until=17), 21)[-1]
    assert (other.first, other.last) == (0, 20)
    assert set(other.crowded) == {16, 17, 18, 19}


# --- masks -------------------------------------------------------------------------------------------------------


def test_the_nearer_person_covers_the_farther_one_and_the_untracked():
    near, far, stranger = (person(x, y, wide=0.17) for x, y in ((200, 210), (230, 190), (215, 260)))
    people = [Labelled(near, 2), Labelled(far, 1), Labelled(stranger, MASK_UNTRACKED)]
    label = label_mask(people, 400, 400, MASK_UNTRACKED)
    assert label[210, 200] == 2 and label[190, 260] == 1
    assert label[200, 215] == 2, "the feet of person 2 are lower in the picture"
    assert label[345, 215] == MASK_UNTRACKED
    assert label[20, 20] == 0


def test_masks_at_the_border_are_cut_off():
    label = label_mask([Labelled(person(5, 200), 1), Labelled(person(-400, 200), 2)], 300, 400, MASK_UNTRACKED)
    assert label.shape == (400, 300) and set(np.unique(label)) == {0, 1}


# --- the model files ---------------------------------------------------------------------------------------------


def test_missing_and_damaged_models_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(UserError) as caught:
        models.read_model(models.POSE_DETECTION)
    assert caught.value.kind == "missing_models" and models.FETCH_COMMAND in caught.value.remedy
    (tmp_path / models.POSE_DETECTION.name).write_bytes(b"something else")
    with pytest.raises(UserError) as caught:
        models.read_model(models.POSE_DETECTION)
    assert caught.value.kind == "wrong_models"


def test_models_are_taken_out_of_a_wheel_only_when_they_are_the_right_ones(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path / "models"))
    contents = {file: f"weights of {file.name}".encode() for file in models.MODEL_FILES}
    wheel = tmp_path / "mediapipe.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, data in contents.items():
            archive.writestr(file.member, data)
    assert fetch_models.main(["--wheel", str(wheel)]) == 1
    assert "does not hold the models" in capsys.readouterr().err
    assert not list((tmp_path / "models").glob("*.tflite"))
    right = tuple(
        models.ModelFile(file.name, file.member, hashlib.sha256(data).hexdigest()) for file, data in contents.items()
    )
    monkeypatch.setattr(fetch_models, "MODEL_FILES", right)
    assert fetch_models.main(["--wheel", str(wheel)]) == 0
    assert fetch_models.models_present()


# --- the whole stage ---------------------------------------------------------------------------------------------


def people_of(clip: Path, folder: Path, **settings):
    frames = run_frames(clip, FramesSettings(**settings), folder, lambda done, total: None)
    return frames, run_people(frames, PeopleSettings(), folder, lambda done, total: None)


@needs_models
def test_nobody_gives_no_tracks_a_warning_and_empty_masks(tmp_path):
    noise = np.random.default_rng(0).integers(90, 140, (240, 320, 3), dtype=np.uint8)
    _, people = people_of(write_clip(tmp_path / "empty.mp4", picture_of=lambda n: noise, count=3), tmp_path)
    assert people.tracks == [] and "No people" in people.warnings[0]
    masks = sorted((tmp_path / "masks").iterdir())
    assert [mask.name for mask in masks] == ["000000.png", "000001.png", "000002.png"]
    assert all((cv2.imread(str(mask), cv2.IMREAD_UNCHANGED) == 0).all() for mask in masks)


#: MediaPipe 0.10.21 (Pose, static, model complexity 1) on the square crop below: points in px, world in mm.
_CROP = (600, 300, 600)
_MEDIAPIPE_POINTS = [
    [297, 156], [294, 148], [292, 148], [290, 148], [301, 148], [303, 148], [306, 148], [287, 151], [310, 151],
    [293, 162], [301, 163], [255, 197], [339, 196], [238, 263], [366, 258], [265, 291], [347, 245], [270, 300],
    [338, 252], [274, 296], [335, 236], [273, 292], [328, 246], [278, 328], [318, 332], [294, 380], [300, 410],
    [295, 439], [285, 498], [295, 451], [278, 513], [301, 448], [306, 506],
]  # fmt: skip
_MEDIAPIPE_WORLD = {
    11: (-148, -467, -39), 12: (166, -491, -82), 23: (-50, -9, 46), 24: (49, 8, -45), 25: (-50, 282, 281),
    26: (55, 365, 37), 27: (4, 537, 455), 28: (-23, 721, 77),
}  # fmt: skip


@needs_models
@needs_clip("boardwalk.mp4")
def test_landmarks_agree_with_mediapipe(tmp_path):
    frames = run_frames(DATA / "boardwalk.mp4", FramesSettings(), tmp_path, lambda done, total: None)
    with open_frames(frames) as reader:
        x, y, side = _CROP
        picture = np.ascontiguousarray(reader.read(10)[y : y + side, x : x + side])
    found = PoseDetector().detect(picture, Tile(0, 0, side))
    pose = PoseLandmarker().locate(picture, region_from_points(found.points[0, 0], found.points[0, 1], REGION_SCALE))
    error = np.linalg.norm(pose.points - _MEDIAPIPE_POINTS, axis=1)
    body = 390.0
    assert np.median(error) < 0.012 * body and error.max() < 0.05 * body
    rows = list(_MEDIAPIPE_WORLD)
    world = np.linalg.norm(pose.world[rows] * 1000 - list(_MEDIAPIPE_WORLD.values()), axis=1)
    assert np.median(world) < 40


@needs_models
@needs_clip("boardwalk.mp4")
@pytest.mark.slow
def test_boardwalk_people_are_kept_and_the_couple_is_not_trusted(tmp_path):
    _, people = people_of(DATA / "boardwalk.mp4", tmp_path, start=0, end=29)
    whole = [
        track for track in people.tracks if len(track.index) == 30 and np.ptp(track.box[:, [1, 3]], axis=1).min() > 350
    ]
    left, couple, right = sorted(whole, key=lambda track: float(track.box[0, 0]))
    assert left.reliable and left.detected.all() and 850 < left.box[0, [0, 2]].mean() < 950
    assert right.reliable and right.detected.all() and 1520 < right.box[0, [0, 2]].mean() < 1620
    assert not couple.reliable and "several bodies" in couple.reason
    mask = cv2.imread(str(tmp_path / "masks" / "000010.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (1080, 1920)
    for track in (left, right):
        hips = track.landmarks[10, [23, 24]].mean(axis=0).astype(int)
        assert mask[hips[1], hips[0]] == track.mask_value


@needs_models
@needs_clip("boardwalk.mp4")
@pytest.mark.parametrize("count", [1, 6])
def test_portrait_pictures_and_a_single_picture(tmp_path, count):
    source = run_frames(DATA / "boardwalk.mp4", FramesSettings(end=count - 1), tmp_path, lambda done, total: None)
    with open_frames(source) as reader:
        for index, picture in reader.iterate():
            upright = picture[:, 600:1200]
            data = cv2.imencode(".jpg", upright[:, :, ::-1])[1].tobytes()
            (tmp_path / f"p{index + 1001}.jpg").write_bytes(data)
    frames, people = people_of(tmp_path / "p1001.jpg", tmp_path)
    assert frames.frame[0] == 1001 and len(frames.frame) == count
    assert (tmp_path / "masks" / "001001.png").exists()
    man = max(people.tracks, key=lambda track: float(np.ptp(track.box[:, [1, 3]], axis=1).mean()))
    assert len(man.index) == count and 250 < man.landmarks[0, [23, 24], 0].mean() < 350
