"""Depth on smooth ground, where nothing can be matched: from the ground plane, where the evidence allows it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...scene4d.camera import unproject
from .consistency import pixel_grid
from .plane_sweep import Correlator, View, plane_homography

Array = NDArray[Any]

#: Height over the plane, as a share of the camera's, up to which measured depth is on it.
_LEVEL = 0.06
#: Depth beyond so many heights of the camera is not filled: the plane is not known well enough.
_REACH = 25.0
#: Correlation by way of the plane that confirms it.
_CONFIRMED = 0.6
_EDGE = 7
#: How far under the plane things may be (stairs that lead down), as a share of the camera's height.
_DEEPEST = 0.5
#: Radius in px within which evidence vouches for a smooth pixel, and how near in colour it must be.
_VOUCH = 20
_COLOR = 24.0
_LEAST_EVIDENCE = 0.04
_CONFIRMED_CONFIDENCE, _FILLED_CONFIDENCE = 0.6, 0.35
_TRUSTED = 0.5


def plane_depth(view: View, ground: Array) -> Array:
    """Depth (h,w) along z of the plane ``ground`` (4,), n.x + d = 0 in the world; 0 where the ray misses it."""
    height, width = view.picture.shape
    rays = unproject(pixel_grid(height, width), view.intrinsics)
    normal = np.asarray(ground[:3]) @ view.world_from_camera[:3, :3]
    above = float(ground[:3] @ view.world_from_camera[:3, 3] + ground[3])
    towards = rays @ normal
    hits = towards < -1e-9
    return np.where(hits, -above / np.where(hits, towards, -1.0), 0.0)


def fill_ground(
    view: View,
    color: Array,
    depth: Array,
    confidence: Array,
    flat: Array,
    blocked: Array,
    others: list[View],
    ground: Array,
) -> tuple[Array, Array]:
    """Depth and confidence (h,w) with smooth ground filled in.

    Evidence is depth that lies on the plane, or a texture that other views show where the plane says. A pixel without
    depth is filled where it is such evidence itself, or is smooth, has the colour of the evidence near it and hangs
    together with it. Depth far under the plane is dropped. ``blocked`` (h,w): people and sky. ground (4,) in the world;
    color (h,w,3) RGB.
    """
    above = float(ground[:3] @ view.world_from_camera[:3, 3] + ground[3])
    on_plane = plane_depth(view, ground)
    reachable = (on_plane > 0.0) & (on_plane < _REACH * above) & ~blocked
    normal = np.asarray(ground[:3]) @ view.world_from_camera[:3, :3]
    plane = np.append(normal, above)
    correlator = Correlator(view)
    correlations = [
        correlator.correlate(other, other.picture.astype(np.float32), plane_homography(view, other, plane))
        for other in others
    ]
    correlation = np.max(np.stack(correlations), axis=0)
    # A pixel's height over the plane, as a share of the camera's, is 1 - z / z_plane.
    offset = np.abs(1.0 - depth / np.where(on_plane > 0.0, on_plane, 1.0))
    # What seems to lie deep under the ground is a wrong match.
    depth = np.where((on_plane > 0.0) & (depth > (1.0 + _DEEPEST) * on_plane), 0.0, depth)
    measured = depth > 0.0
    level = reachable & measured & (offset < _LEVEL)
    contradicted = measured & (offset >= _LEVEL) & (confidence >= _TRUSTED)
    confirmed = reachable & ~contradicted & ~measured & (correlation > _CONFIRMED) & ~correlator.flat
    # Windows carry an edge's match beyond it, for example up the foot of a wall.
    confirmed = cv2.erode(confirmed.astype(np.uint8), np.ones((_EDGE, _EDGE), np.uint8)) > 0
    evidence = level | confirmed
    vouched = _vouched(color, evidence)
    smooth = reachable & ~measured & (flat | (correlation > 0.0)) & vouched
    region = _hanging_together(evidence | smooth, evidence)
    fill = region & (confirmed | smooth) & ~measured
    filled = np.where(fill, on_plane, depth).astype(np.float32)
    confidence = np.where(measured, confidence, 0.0)
    trust = np.where(fill, np.where(confirmed, _CONFIRMED_CONFIDENCE, _FILLED_CONFIDENCE), confidence)
    return filled, trust.astype(np.float32)


def _vouched(color: Array, evidence: Array) -> Array:
    weight = evidence.astype(np.float32)
    size = (2 * _VOUCH + 1,) * 2
    share = cv2.boxFilter(weight, -1, size)
    picture = color.astype(np.float32)
    mean = cv2.boxFilter(picture * weight[..., None], -1, size) / np.maximum(share, 1e-6)[..., None]
    return (share > _LEAST_EVIDENCE) & (np.linalg.norm(picture - mean, axis=2) < _COLOR)


def _hanging_together(mask: Array, evidence: Array) -> Array:
    """The connected regions of ``mask`` with at least a tenth of evidence."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    total = np.bincount(labels.ravel(), minlength=count)
    support = np.bincount(labels.ravel(), weights=evidence.ravel().astype(float), minlength=count)
    good = support >= 0.1 * total
    good[0] = False
    return good[labels]
