"""Pooling of figures over sequences."""

from __future__ import annotations

import math

import pytest

from bench.pixels.pool import difference, pool, table
from bench.pixels.run import figures_of


def entry(frames, wa, scale, matched=1, known=1):
    people = dict.fromkeys(
        ("w_mpjpe_mm", "rte_percent", "pa_mpjpe_mm", "mpjpe_mm", "foot_sliding_mm", "jitter_10m_s3",
         "plate_percent_of_height"), 1.0,
    )  # fmt: skip
    return {
        "frames": frames,
        "people": {**people, "wa_mpjpe_mm": wa, "found": matched, "matched": matched, "known": known},
        "persons": [{"frames": frames}] * matched,
        "scale": {"error_percent": scale},
        "camera": {"ate_m": 0.1, "ate_percent_of_path": None, "rotation_degrees": 1.0, "focal_percent": 2.0},
        "depth": {"abs_rel": 0.1},
        "place": {"chamfer_m": 0.2},
    }


def test_frames_weigh_and_missing_values_do_not_count():
    pooled = pool({"a": entry(100, 50.0, 4.0), "b": entry(300, 90.0, None, known=2), "c": {"error": "no"}})
    assert pooled["wa_mpjpe_mm"] == pytest.approx((100 * 50 + 300 * 90) / 400)
    assert pooled["scale.error_percent"] == 4.0
    assert math.isnan(pooled["camera.ate_percent_of_path"])
    assert (pooled["people_missed"], pooled["people_invented"], pooled["sequences_failed"]) == (1, 0, 1)


def test_difference_compares_only_what_both_have():
    lines = difference({"a": entry(10, 40.0, 1.0), "b": entry(10, 999.0, 9.0)}, {"a": entry(10, 50.0, 3.0)})
    row = next(line for line in lines if line.startswith("wa_mpjpe_mm"))
    assert row.split()[1:] == ["50", "40", "-10"]


def test_table_names_what_failed():
    text = "\n".join(table({"a": entry(10, 40.0, None), "b": {"error": "no person"}}))
    assert "failed: no person" in text and "1/1" in text


def test_a_sequence_that_is_not_rendered_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="straight is not rendered"):
        figures_of("straight", tmp_path, tmp_path)
