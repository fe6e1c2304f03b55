"""The figures as a table for people."""

from __future__ import annotations

import math
from typing import Any

_ROWS: tuple[tuple[str, str, str, str], ...] = (
    ("scale", "error_percent", "Scale error", "%"),
    ("camera", "ate_m", "ATE", "m"),
    ("camera", "ate_percent_of_path", "ATE / path length", "%"),
    ("camera", "rotation_degrees", "Camera rotation", "degrees"),
    ("camera", "focal_percent", "Focal length", "%"),
    ("people", "matched", "People matched", ""),
    ("people", "wa_mpjpe_mm", "WA-MPJPE", "mm"),
    ("people", "w_mpjpe_mm", "W-MPJPE", "mm"),
    ("people", "rte_percent", "Root path (RTE)", "%"),
    ("people", "pa_mpjpe_mm", "PA-MPJPE", "mm"),
    ("people", "mpjpe_mm", "MPJPE", "mm"),
    ("people", "pve_mm", "PVE", "mm"),
    ("people", "jitter_10m_s3", "Jitter", "10 m/s³"),
    ("people", "true_jitter_10m_s3", "Jitter of the truth", "10 m/s³"),
    ("people", "foot_sliding_mm", "Foot sliding", "mm / frame"),
    ("people", "plate_px", "Joints on the plate", "px"),
    ("people", "plate_percent_of_height", "Joints on the plate", "% of height"),
    ("depth", "abs_rel", "Depth AbsRel", ""),
    ("depth", "rmse_m", "Depth RMSE", "m"),
    ("depth", "delta_125", "Depth within 1.25", ""),
    ("place", "chamfer_m", "Chamfer", "m"),
    ("place", "foot_floating_percent", "Feet floating", "% of frames"),
    ("place", "penetration_percent", "Points inside bodies", "%"),
    ("place", "penetration_mm", "How deep", "mm"),
)


def _number(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    return "-" if value is None or not math.isfinite(value) else f"{value:.3g}"


def table(figures: dict[str, Any]) -> str:
    """The figures of `evaluate`, one per line."""
    lines = [f"{label:<22}{_number(figures[part][key]):>10}  {unit}".rstrip() for part, key, label, unit in _ROWS]
    for region, values in figures["contact"].items():
        numbers = ", ".join(f"{name} {_number(values[name])}" for name in ("precision", "recall", "f1"))
        lines.append(f"Contact {region:<14}{numbers}")
    return "\n".join(lines)
