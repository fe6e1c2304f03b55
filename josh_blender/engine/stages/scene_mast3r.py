"""Stage 3 with MASt3R: a camera that travels, from a network's point maps and matches (MASt3R-SfM).

Poses start from the strongest tree of pairs and are adjusted to the matches and to the depth of every view's own map,
which then go on to the joint solve as residuals.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..depth.depth_maps import save_depth_map
from ..depth.surface_clouds import clouds_on_disk
from ..networks.pictures import PictureFit, cropped
from ..networks.weights import load_mast3r
from ..pairs.assemble import Assembly, assemble
from ..pairs.look import Mast3rPairs, Matches, PairPredictor, look, pair_graph
from ..pairs.stored_views import StoredViews
from ..results import SceneResult
from ..sfm.mapping import Mapping
from ..sfm.registration import interpolate_poses, register_all_frames
from ..solver import bundle
from ..solver.depth_alignment import depth_factors
from ..solver.settings import SolverSettings
from .joint_lens import ground_of
from .scene_moving import point_colors
from .scene_shot import Shot

Array = NDArray[Any]

#: Relative standard deviation of the focal length that point maps imply; of one that the user gave.
_FOCAL_SIGMA = 0.05
_GIVEN_SIGMA = 1e-6
#: Smallest share of the key frames that a usable reconstruction places.
_MIN_SHARE = 0.6
_MOST_POINTS = 20_000
_LEAST_POINTS = 100
#: A point that projects farther than this from a sighting after the adjustment is a wrong match, px at 512 px.
_WRONG_PX = 3.0


def moving_camera_of_pairs(shot: Shot, weights: Path) -> SceneResult | None:
    """Everything about a travelling camera from the weights of a MASt3R network; None where too little matches.

    Raises:
        UserError: wrong weights, or a graphics card with too little memory.
    """
    fit = cropped(*shot.size)
    network = load_mast3r(weights, shot.settings.device)
    pictures = Mast3rPairs(
        network, fit, lambda view: shot.reader.read(shot.pictures.keyframe[view]), shot.settings.device
    )
    return camera_of_pairs(shot, fit, pictures)


def camera_of_pairs(shot: Shot, fit: PictureFit, network: PairPredictor) -> SceneResult | None:
    """The same with any network of pairs."""
    with TemporaryDirectory(prefix="views", dir=shot.folder) as folder:
        views = StoredViews(Path(folder))
        return _camera_of_views(shot, fit, views, _look(shot, fit, network, views))


def _camera_of_views(shot: Shot, fit: PictureFit, views: StoredViews, matches: list[Matches]) -> SceneResult | None:
    if len(views) < 2:
        return None
    keyframe = np.array(shot.pictures.keyframe, np.int32)
    known = shot.known_lens()
    focal = float(np.median(views.focal))
    width, height = shot.size
    lens = np.array([fit.source_focal(focal)] * 2 + [width / 2.0, height / 2.0])
    distortion = np.zeros(5)
    sigma = _FOCAL_SIGMA
    if known is not None:
        lens, distortion = known.intrinsics, known.distortion
        sigma = _FOCAL_SIGMA if known.refine else _GIVEN_SIGMA
    own_lens = fit.intrinsics(lens)
    assembly = assemble(views, matches, own_lens, _MOST_POINTS)
    if len(assembly.view) < max(2, _MIN_SHARE * len(keyframe)) or len(assembly.points) < _LEAST_POINTS:
        return None
    scene = _scene(shot, fit, keyframe[assembly.view], assembly, lens, distortion, sigma)
    maps = {int(view): assembly.scale[row] for row, view in enumerate(assembly.view)}
    _save(shot, fit, keyframe, views, maps, own_lens)
    clouds = clouds_on_disk(shot.frames, scene, shot.folder)
    scene = bundle.adjusted(scene, sigma, clouds)
    scene = _without_wrong_matches(scene, fit)
    # The maps follow the points: every view sees in a unit of its own.
    longer = np.asarray(scene.intrinsics)[:, 0] / lens[0]
    clouds = clouds_on_disk(shot.frames, scene, shot.folder, longer)
    factors = np.exp(depth_factors(scene, clouds, SolverSettings().depth_scale)[0])
    by_frame = {cloud.frame: factor for cloud, factor in zip(clouds, factors, strict=True)}
    maps = {view: scale * by_frame.get(int(keyframe[view]), 1.0) for view, scale in maps.items()}
    _save(shot, fit, keyframe, views, maps, fit.intrinsics(np.asarray(scene.intrinsics)[0]))
    return _finished(shot, scene, len(keyframe))


def _look(shot: Shot, fit: PictureFit, network: PairPredictor, views: StoredViews) -> list[Matches]:
    """The matches of all pairs; the views are added to ``views``."""

    def people(view: int) -> Array:
        return fit.cut_out(shot.mask(shot.pictures.keyframe[view], fit.scaled))

    matches: list[Matches] = []
    for found in look(pair_graph(len(shot.pictures.keyframe)), network, people, lambda: None):
        if isinstance(found, Matches):
            matches.append(found)
        else:
            views.add(*found)
            shot.step()
    return matches


def _scene(
    shot: Shot, fit: PictureFit, keyframe: Array, assembly: Assembly, lens: Array, distortion: Array, sigma: float
) -> SceneResult:
    count = len(shot.frames.frame)
    number = np.arange(len(assembly.points))
    return SceneResult(
        camera_kind="moving",
        keyframe=keyframe,
        world_from_camera=interpolate_poses(assembly.world_from_camera, keyframe, count),
        intrinsics=np.tile(lens, (count, 1)),
        distortion=distortion,
        points=assembly.points,
        point_color=np.full((len(assembly.points), 3), 128, np.uint8),
        observation_keyframe=assembly.seen_by.T.reshape(-1).astype(np.int32),
        observation_point=np.concatenate([number, number]).astype(np.int32),
        observation_pixel=fit.to_source(np.concatenate([assembly.pixels[:, 0], assembly.pixels[:, 1]])).astype(
            np.float32
        ),
        depth_index=keyframe,
        ground=np.zeros(0),
        focal_sigma=sigma,
    )


def _save(
    shot: Shot,
    fit: PictureFit,
    keyframe: Array,
    views: StoredViews,
    scales: dict[int, float],
    own_lens: Array,
) -> None:
    """Depth maps of the views that have a place, in the world's unit, people left out."""
    for view, scale in scales.items():
        mask = fit.cut_out(shot.mask(int(keyframe[view]), fit.scaled)) > 0
        depth = scale * views[view].depth(float(own_lens[0]))
        depth[mask | ~(depth > 0.0)] = 0.0
        confidence = views[view].confidence
        # 0 at the network's least confidence, 1/2 one above it.
        share = np.where(depth > 0.0, confidence / (1.0 + confidence), 0.0)
        save_depth_map(shot.folder / "depth", shot.frames, int(keyframe[view]), depth, share, own_lens)


def _without_wrong_matches(scene: SceneResult, fit: PictureFit) -> SceneResult:
    """The scene with only the points that project near where they were seen."""
    point = np.asarray(scene.observation_point)
    error = bundle.reprojection_errors(scene)
    bad = np.zeros(len(scene.points), bool)
    bad[point[error > _WRONG_PX * max(fit.source) / max(fit.size)]] = True
    kept = ~bad[point]
    renumber = np.cumsum(~bad) - 1
    return replace(
        scene,
        points=np.asarray(scene.points)[~bad],
        point_color=np.asarray(scene.point_color)[~bad],
        observation_keyframe=np.asarray(scene.observation_keyframe)[kept],
        observation_point=renumber[point[kept]].astype(np.int32),
        observation_pixel=np.asarray(scene.observation_pixel)[kept],
    )


def _finished(shot: Shot, scene: SceneResult, asked: int) -> SceneResult:
    """Every frame's camera, colours, ground and quality."""
    keyframe = np.asarray(scene.keyframe)
    error = bundle.reprojection_errors(scene)
    mapping = Mapping(
        keyframe=keyframe,
        world_from_camera=np.asarray(scene.world_from_camera)[keyframe],
        intrinsics=np.asarray(scene.intrinsics)[keyframe],
        distortion=np.asarray(scene.distortion),
        points=np.asarray(scene.points),
        error=error,
        observation_keyframe=np.asarray(scene.observation_keyframe),
        observation_point=np.asarray(scene.observation_point),
        observation_pixel=np.asarray(scene.observation_pixel),
    )
    count, pictures = len(shot.frames.frame), shot.pictures
    poses, _, errors = register_all_frames(mapping, shot.grey_pictures(), count, pictures.scale, shot.step)
    scene = replace(
        scene,
        world_from_camera=poses,
        point_color=point_colors(shot.reader, mapping, pictures.size, pictures.scale),
        quality={
            "keyframes_asked": float(asked),
            "keyframes_registered": float(len(keyframe)),
            "reprojection_px": float(np.median(error)) if len(error) else float("nan"),
            "frame_error_px": float(np.nanmedian(errors)) if np.isfinite(errors).any() else float("nan"),
        },
    )
    clouds = clouds_on_disk(shot.frames, scene, shot.folder)
    return replace(scene, ground=ground_of(scene, shot.people, clouds))
