"""Joint problems of every awkward kind, drawn from a seed: lengths, gaps, noise, missing contacts, no ground."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from synthetic_walk import Errors, Walk, make_walk

from josh_blender.engine.results import JointResult, PersonContact, PersonFit, Track

LONGEST = 300


def random_walk(seed: int, longest: int = LONGEST) -> Walk:
    """A walk whose stages went as wrong as they may; every number follows from the seed."""
    rng = np.random.default_rng([seed, 99])
    frames = int(np.exp(rng.uniform(0.0, np.log(longest + 1))))
    fps = float(rng.choice([24.0, 30.0, 60.0, 120.0]))
    level = float(rng.choice([0.0, 1.0, 4.0]))
    errors = Errors(
        landmark_px=3.0 * level,
        depth=0.03 * level,
        depth_bias=0.05 * level * rng.normal(),
        side_m=0.03 * level,
        pose_degrees=6.0 * level,
        match_px=level,
        contact_flips=min(0.1 * level, 0.5),
        seed=seed,
    )
    walk = make_walk(
        seconds=max(frames, 1) / fps,
        fps=fps,
        people=int(rng.integers(0, 5)) if frames < 100 else int(rng.integers(0, 3)),
        unit=float(np.exp(rng.normal(0.0, 2.0))),
        errors=errors,
        height_known=bool(rng.random() < 0.5),
        moving=bool(rng.random() < 0.75),
        seed=seed,
    )
    if rng.random() < 0.3:
        walk.scene.ground = np.zeros(0)
    if rng.random() < 0.2:
        walk.scene.focal_sigma = 0.05
        walk.scene.intrinsics[:, :2] *= 1.05
    if rng.random() < 0.2:
        kept = rng.random(len(walk.scene.observation_point)) < 0.02
        walk.scene = replace(
            walk.scene,
            observation_keyframe=walk.scene.observation_keyframe[kept],
            observation_point=walk.scene.observation_point[kept],
            observation_pixel=walk.scene.observation_pixel[kept],
        )
    for number in range(len(walk.people.tracks)):
        _spoil(walk, number, rng)
    return walk


def _spoil(walk: Walk, number: int, rng: np.random.Generator) -> None:
    track, fit = walk.people.tracks[number], walk.bodies.people[number]
    labels = walk.contact.people[number].contact
    count = len(track.index)
    first = int(rng.integers(0, count)) if rng.random() < 0.3 else 0
    last = int(rng.integers(first, count)) + 1 if rng.random() < 0.3 else count
    seen = rng.random(count) > rng.choice([0.0, 0.3, 0.9])
    labels = rng.choice([0.0, 1.0, -1.0]) * np.ones_like(labels) if rng.random() < 0.4 else labels
    labels = np.where(labels < 0.0, rng.random(labels.shape), labels).astype(np.float32)
    window = slice(first, last)
    walk.people.tracks[number] = _cut_track(track, window, seen, rng)
    walk.bodies.people[number] = _cut_fit(fit, window, seen, rng)
    walk.contact.people[number] = PersonContact(track.id, labels[window])


def _cut_track(track: Track, window: slice, seen: np.ndarray, rng: np.random.Generator) -> Track:
    visibility = track.visibility * (rng.random() > 0.1)
    return replace(
        track,
        index=track.index[window],
        box=track.box[window],
        landmarks=np.where(seen[:, None, None], track.landmarks, 0.0)[window].astype(np.float32),
        visibility=visibility[window],
        world_landmarks=track.world_landmarks[window],
        detected=seen[window],
        overlap=track.overlap[window],
        reliable=bool(rng.random() > 0.2),
    )


def _cut_fit(fit: PersonFit, window: slice, seen: np.ndarray, rng: np.random.Generator) -> PersonFit:
    return replace(
        fit,
        index=fit.index[window],
        poses=fit.poses[window],
        trans=fit.trans[window],
        confidence=(fit.confidence * seen)[window],
        landmark_error=fit.landmark_error[window],
        betas=fit.betas + rng.normal(0.0, 1.0, len(fit.betas)) * (rng.random() < 0.3),
    )


def fault(walk: Walk, result: JointResult) -> str:
    """What is wrong with a result whatever the input was; empty where nothing is."""
    numbers = {
        "cameras": result.world_from_camera,
        "intrinsics": result.intrinsics,
        "scale": np.array([result.scale, result.scale_sigma]),
    }
    for person in result.people:
        numbers |= {f"poses {person.track_id}": person.poses, f"places {person.track_id}": person.trans}
    for name, values in numbers.items():
        if not np.isfinite(values).all():
            return f"{name}: not finite"
    if result.scale <= 0.0 or len(result.people) != len(walk.bodies.people):
        return "no scale, or somebody is missing"
    turns = result.world_from_camera[:, :3, :3]
    if np.abs(turns @ np.swapaxes(turns, 1, 2) - np.eye(3)).max() > 1e-6:
        return "cameras: no rotations"
    return ""
