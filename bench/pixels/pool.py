"""One figure per metric over all sequences, and how two runs differ."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

#: Metrics averaged over the frames of all matched people: exact for figures per frame, and near for foot sliding.
_OF_PEOPLE = (
    "wa_mpjpe_mm",
    "w_mpjpe_mm",
    "rte_percent",
    "pa_mpjpe_mm",
    "mpjpe_mm",
    "foot_sliding_mm",
    "jitter_10m_s3",
    "plate_percent_of_height",
)
#: Metrics averaged over the frames of all cameras.
_OF_SCENES = (
    ("scale", "error_percent"),
    ("camera", "ate_m"),
    ("camera", "ate_percent_of_path"),
    ("camera", "rotation_degrees"),
    ("camera", "focal_percent"),
    ("depth", "abs_rel"),
    ("place", "chamfer_m"),
)


def _weighted(pairs: list[tuple[float, int]]) -> float:
    known = [(value, weight) for value, weight in pairs if value is not None and math.isfinite(value)]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else float("nan")


def pool(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """One number per metric from the figures of `engine.evaluation.evaluate` by sequence.

    A sequence without a value for a metric does not count there: ``people_missed`` and ``sequences_failed`` say how
    often that hides somebody. An entry with ``error`` is a failed sequence.
    """
    good = [entry for entry in figures.values() if "error" not in entry]
    pooled = {
        "sequences_failed": float(len(figures) - len(good)),
        "people_missed": float(sum(entry["people"]["known"] - entry["people"]["matched"] for entry in good)),
        "people_invented": float(sum(entry["people"]["found"] - entry["people"]["matched"] for entry in good)),
    }
    for key in _OF_PEOPLE:
        weights = [sum(person["frames"] for person in entry["persons"]) for entry in good]
        pooled[key] = _weighted([(entry["people"][key], w) for entry, w in zip(good, weights, strict=True)])
    for part, key in _OF_SCENES:
        pooled[f"{part}.{key}"] = _weighted([(entry[part][key], entry["frames"]) for entry in good])
    return pooled


def difference(now: Mapping[str, Mapping[str, Any]], before: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Lines of before, now and change per pooled metric, over the sequences that both have; smaller is better."""
    shared = [name for name in now if name in before]
    first, second = pool({name: before[name] for name in shared}), pool({name: now[name] for name in shared})
    lines = [f"Over {len(shared)} sequences: {', '.join(shared)}", f"{'metric':<30}{'before':>10}{'now':>10}  change"]
    for key, old in first.items():
        new = second[key]
        verdict = "-" if math.isnan(old) or math.isnan(new) else f"{new - old:+.3g}"
        lines.append(f"{key:<30}{old:>10.3g}{new:>10.3g}  {verdict}")
    return lines


def table(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line per sequence and the pooled figures."""
    columns = (
        ("people", "matched", "people"), ("scale", "error_percent", "scale %"), ("camera", "ate_m", "ATE m"),
        ("people", "wa_mpjpe_mm", "WA mm"), ("people", "w_mpjpe_mm", "W mm"), ("people", "pa_mpjpe_mm", "PA mm"),
        ("people", "foot_sliding_mm", "slide mm"), ("people", "plate_percent_of_height", "plate %"),
    )  # fmt: skip
    lines = [f"{'sequence':<12}" + "".join(f"{title:>10}" for _, _, title in columns)]
    for name, entry in figures.items():
        if "error" in entry:
            lines.append(f"{name:<12}  failed: {entry['error']}")
            continue
        numbers = [entry[part][key] for part, key, _ in columns[1:]]
        people = f"{entry['people']['matched']}/{entry['people']['known']}"
        shown = [f"{float('nan') if value is None else value:>10.3g}" for value in numbers]
        lines.append(f"{name:<12}{people:>10}" + "".join(shown))
    return [*lines, "", *(f"{key:<30}{value:>10.3g}" for key, value in pool(figures).items())]
