"""Every weight of the landmark fit in one place. Residuals are divided by these sigmas before they are squared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FitSettings:
    """Sigmas and steps of the fit (docs/bodies_stage.md gives the equations).

    image: error of a landmark on the image, share of the body's height seen square on; image_floor_px: and never less
    than so many pixels. world_side, world_depth: error of the world landmarks across and along the view, m.
    kernel: residuals beyond so many sigmas are outliers. prior: weight of the pose prior. limit_degrees: sigma of a
    joint bent beyond its limit. acceleration: of the pelvis in the axes of the world, m/s^2; turns: of a joint whose
    share in `priors.SMOOTHNESS` is 1, rad/s^2. betas: the population's sigma; betas_share: and how much every frame
    adds to that prior, because the errors of landmarks do not average out over frames. height_m: of the rest height.
    scale: the free scale of the world landmarks, relative.
    self_collision_m: how deep limbs are in each other.
    """

    image: float = 0.01
    image_floor_px: float = 1.0
    world_side: float = 0.05
    world_depth: float = 0.08
    self_collision_m: float = 0.02
    kernel: float = 4.0
    prior: float = 1.0
    limit_degrees: float = 3.0
    acceleration: float = 4.0
    turns: float = 20.0
    betas: float = 1.0
    betas_share: float = 0.2
    height_m: float = 1e-3
    scale: float = 0.15
    iterations: int = 12
    tolerance: float = 1e-3
