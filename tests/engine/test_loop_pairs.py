"""Which pictures far apart are matched, so that a walk that comes back is closed."""

from __future__ import annotations

from josh_blender.engine.sfm.loop_pairs import loop_pairs


def test_short_clips_have_none() -> None:
    assert loop_pairs([f"{number:06d}.png" for number in range(30)], 5) == []


def test_long_clips_have_few_and_both_ends() -> None:
    names = [f"{number:06d}.png" for number in range(500)]
    pairs = loop_pairs(names, 5)
    assert (names[0], names[-1]) in pairs
    assert len(pairs) == len(set(pairs)) <= 25 * 24 // 2
    places = {name: place for place, name in enumerate(names)}
    assert all(places[second] - places[first] > 5 for first, second in pairs)
    # Ten times as many pictures cost no more.
    assert len(loop_pairs([f"{number:06d}.png" for number in range(5000)], 5)) <= 25 * 24 // 2
