"""A place of textured parallelograms: what people walk on and what the camera sees, with closed-form ray casting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .textures import TEXTURES, draw

Array = NDArray[Any]

_RAYS_AT_ONCE = 20_000


@dataclass(frozen=True)
class Quad:
    """The parallelogram origin + u edge_u + v edge_v, u and v in 0..1, in metres.

    Texture coordinates run over ``uv_size`` from ``uv_origin`` (repeats of the picture; v up). ``walkable`` quads carry
    feet.
    """

    origin: tuple[float, float, float]
    edge_u: tuple[float, float, float]
    edge_v: tuple[float, float, float]
    texture: str
    uv_origin: tuple[float, float] = (0.0, 0.0)
    uv_size: tuple[float, float] = (1.0, 1.0)
    walkable: bool = False


@dataclass
class Place:
    """Quads, and the light: ``sun`` is the direction towards it. ``seed`` draws the textures."""

    quads: Sequence[Quad]
    seed: int = 0
    sun: tuple[float, float, float] = (-0.55, -0.45, 0.75)
    sky: tuple[float, float, float] = (0.42, 0.62, 0.9)

    @cached_property
    def _planes(self) -> tuple[Array, Array, Array]:
        origin = np.array([quad.origin for quad in self.quads])
        u = np.array([quad.edge_u for quad in self.quads])
        v = np.array([quad.edge_v for quad in self.quads])
        return origin, u, v

    def ray_cast(self, origins: ArrayLike, directions: ArrayLike) -> tuple[Array, Array, Array]:
        """First hits of rays (N, 3): distance in units of the direction (N,), inf for none; quad (N,); uv (N, 2)."""
        ray = np.asarray(directions, float)
        start = np.broadcast_to(np.asarray(origins, float), ray.shape)
        if len(ray) > _RAYS_AT_ONCE:
            parts = [slice(k, k + _RAYS_AT_ONCE) for k in range(0, len(ray), _RAYS_AT_ONCE)]
            results = [self.ray_cast(start[part], ray[part]) for part in parts]
            distance, index, where = (np.concatenate(values) for values in zip(*results, strict=True))
            return distance, index, where
        origins_of_quads, edges_u, edges_v = self._planes
        normals = np.cross(edges_u, edges_v)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (np.sum(normals * origins_of_quads, -1) - start @ normals.T) / (ray @ normals.T)
        distance = np.full(len(ray), np.inf)
        index = np.full(len(ray), -1)
        where = np.zeros((len(ray), 2))
        for number, (origin, u, v) in enumerate(zip(*self._planes, strict=True)):
            closer = np.flatnonzero((t[:, number] > 1e-9) & (t[:, number] < distance))
            if not len(closer):
                continue
            a, b = _coordinates(start[closer] + t[closer, number, None] * ray[closer] - origin, u, v)
            inside = (a >= 0) & (a <= 1) & (b >= 0) & (b <= 1)
            hit = closer[inside]
            distance[hit], index[hit] = t[hit, number], number
            where[hit] = np.stack([a[inside], b[inside]], -1)
        return distance, index, where

    def height(self, xy: ArrayLike) -> Array:
        """Height (...) of the highest walkable quad at points (..., 2); -inf beside the place."""
        points = np.asarray(xy, float)
        result = np.full(points.shape[:-1], -np.inf)
        for quad in self.quads:
            if not quad.walkable:
                continue
            offset = points - quad.origin[:2]
            a, b = _coordinates(offset, np.array(quad.edge_u[:2]), np.array(quad.edge_v[:2]))
            inside = (a >= 0) & (a <= 1) & (b >= 0) & (b <= 1)
            z = quad.origin[2] + a * quad.edge_u[2] + b * quad.edge_v[2]
            result = np.where(inside & (z > result), z, result)
        return result

    def colors(self, index: Array, where: Array) -> Array:
        """Texture colours (N, 3) uint8 sRGB, without light, at the hits that `ray_cast` gave."""
        result = np.zeros((len(index), 3), np.uint8)
        for texture in {quad.texture for quad in self.quads}:
            picture = draw(texture, self.seed)
            height, width = picture.shape[:2]
            for number in (n for n, quad in enumerate(self.quads) if quad.texture == texture):
                chosen = index == number
                quad = self.quads[number]
                uv = np.array(quad.uv_origin) + where[chosen] * np.array(quad.uv_size)
                column = np.floor(uv[:, 0] % 1.0 * width).astype(int) % width
                row = np.floor((1.0 - uv[:, 1] % 1.0) * height).astype(int) % height
                result[chosen] = picture[row, column]
        return result


def _coordinates(offset: Array, u: Array, v: Array) -> tuple[Array, Array]:
    uu, uv, vv = u @ u, u @ v, v @ v
    du, dv = offset @ u, offset @ v
    determinant = uu * vv - uv * uv
    return (vv * du - uv * dv) / determinant, (uu * dv - uv * du) / determinant


def quad(
    origin: ArrayLike, edge_u: ArrayLike, edge_v: ArrayLike, texture: str, shift: float = 0.0, walkable: bool = False
) -> Quad:
    """A quad whose texture keeps its size in metres (or fits the quad exactly: posters and windows).

    ``shift`` moves the texture, so that two quads do not show the same part of it.
    """
    o, u, v = (np.asarray(vector, float) for vector in (origin, edge_u, edge_v))
    size, start = (1.0, 1.0), (0.0, 0.0)
    if texture in TEXTURES:
        metres = TEXTURES[texture][1]
        size = (float(np.linalg.norm(u)) / metres, float(np.linalg.norm(v)) / metres)
        start = (0.618034 * shift % 1.0, 0.754878 * shift % 1.0)
    to_tuple = lambda vector: (float(vector[0]), float(vector[1]), float(vector[2]))  # noqa: E731
    return Quad(to_tuple(o), to_tuple(u), to_tuple(v), texture, start, size, walkable)


def box(
    low: ArrayLike, size: ArrayLike, texture: str, yaw: float = 0.0, top: str | None = None, walkable: bool = False
) -> list[Quad]:
    """Four sides and the top of a box turned by ``yaw`` radians about the corner ``low``."""
    corner = np.asarray(low, float)
    cosine, sine = np.cos(yaw), np.sin(yaw)
    sx, sy, sz = (float(value) for value in np.asarray(size, float))
    x, y, z = np.array([cosine, sine, 0.0]) * sx, np.array([-sine, cosine, 0.0]) * sy, np.array([0.0, 0.0, sz])
    shift = float(corner @ [1.7, 2.9, 4.3])
    return [
        quad(corner, x, z, texture, shift),
        quad(corner + x, y, z, texture, shift + 1),
        quad(corner + x + y, -x, z, texture, shift + 2),
        quad(corner + y, -y, z, texture, shift + 3),
        quad(corner + z, x, y, top or texture, shift + 4, walkable),
    ]


@dataclass(frozen=True)
class CourtyardSettings:
    """A paved courtyard. ``steps`` are (x from, x to, height) of blocks that span ``steps_y``; metres."""

    steps: tuple[tuple[float, float, float], ...] = ((-1.6, -0.8, 0.14), (-0.8, 0.4, 0.32), (0.4, 1.2, 0.17))
    steps_y: tuple[float, float] = (4.9, 7.1)
    seed: int = 4
    walls: bool = True
    props: tuple[tuple[float, float, float, float, float, float], ...] = field(
        # x, y, width, depth, height, yaw
        default=(
            (-4.6, 7.6, 0.8, 0.8, 0.8, 0.3),
            (-4.4, 7.75, 0.55, 0.55, 1.25, 0.6),
            (-5.3, 9.6, 1.1, 0.7, 0.6, -0.2),
            (5.4, 8.9, 0.9, 0.9, 0.9, 0.5),
            (6.3, 7.4, 0.7, 0.7, 0.5, -0.4),
            (-3.4, 11.8, 1.4, 0.6, 1.0, 0.05),
            (2.6, 12.0, 0.8, 0.6, 1.6, -0.05),
        )
    )


def courtyard(settings: CourtyardSettings) -> Place:
    """Paving, steps, crates, posts and three walls with posters and windows."""
    quads = [quad((-10, -4, 0), (20, 0, 0), (0, 20, 0), "paving", walkable=True)]
    y0, y1 = settings.steps_y
    for x0, x1, height in settings.steps:
        quads += box((x0, y0, 0), (x1 - x0, y1 - y0, height), "concrete", walkable=True)
    for x, y, width, depth, height, yaw in settings.props:
        quads += box((x, y, 0), (width, depth, height), "planks", yaw)
    for number, x in enumerate(np.arange(-6.0, 7.0, 2.0)):
        quads += box((x, 11.0, 0), (0.16, 0.16, 0.9), "concrete" if number % 2 else "blocks")
    if settings.walls:
        quads += _walls()
    return Place(quads, settings.seed)


def _walls() -> list[Quad]:
    quads = [
        quad((-10, 13, 0), (11.8, 0, 0), (0, 0, 4.2), "brick"),
        quad((1.8, 13, 0), (8.2, 0, 0), (0, 0, 2.35), "brick", 0.2),
        quad((1.8, 13, 0), (0, 1, 0), (0, 0, 4.2), "brick", 0.7),
        quad((-8, -4, 0), (0, 17, 0), (0, 0, 3.2), "blocks", 1.0),
        quad((9, 13, 0), (0, -17, 0), (0, 0, 5.5), "blocks", 2.0),
    ]
    for number, x in enumerate((-8.3, -6.6, -3.0, -1.1, 0.5, 3.9, 5.6, 7.3)):
        quads.append(quad((x, 12.97, 0.75 + 0.1 * (number % 3)), (0.9, 0, 0), (0, 0, 1.35), f"poster:{number}"))
    for number, x in enumerate((-9.0, -6.2, -3.4, -0.6)):
        quads.append(quad((x, 12.96, 2.55), (1.0, 0, 0), (0, 0, 1.3), f"window:{number}"))
    for number, y in enumerate((1.0, 3.5, 6.0, 8.5, 11.0)):
        quads.append(quad((-7.97, y, 0.8), (0, 0.9, 0), (0, 0, 1.35), f"poster:{number + 20}"))
        quads.append(quad((8.97, y + 1.0, 0.9), (0, -1.0, 0), (0, 0, 1.5), f"window:{number + 20}"))
        quads.append(quad((8.97, y + 2.2, 0.9), (0, -0.8, 0), (0, 0, 1.2), f"poster:{number + 30}"))
        quads.append(quad((8.97, y + 1.0, 3.1), (0, -1.0, 0), (0, 0, 1.5), f"window:{number + 30}"))
    return quads
