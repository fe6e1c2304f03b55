"""Every number of the contact labels in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LabelSettings:
    """How regions that touch move, and regions that do not.

    still: sigma of the measured speed of a point that stands, m/s; moving: typical speed of one that swings, m/s.
    slipping: share of the time that landmarks of a standing point slip, with speeds of sigma slip, m/s. carried:
    log-odds that some part of a foot touches, where nothing else is known.
    along_view: weight of the speed along the view, which is noisy. low: sigma of a standing foot's height over the
    lowest it gets around that time, m; raised: typical height of a swinging one, m; height_window_s: around that time.
    level: sigma of the height of a standing end of a foot above its other end, m.
    memory_s: frames closer than this say the same thing twice. touch_rate, leave_rate: changes per second.
    seat_still: speed of a seat that is sat on, m/s; seat_bend: least angle of the thighs from upright, degrees;
    seat_time: least time sat, s.
    """

    still: float = 0.15
    moving: float = 0.8
    slip: float = 0.6
    slipping: float = 0.02
    carried: float = 4.0
    along_view: float = 0.2
    low: float = 0.05
    raised: float = 0.12
    height_window_s: float = 1.2
    level: float = 0.015
    memory_s: float = 0.05
    touch_rate: float = 2.0
    leave_rate: float = 1.5
    seat_still: float = 0.12
    seat_bend: float = 50.0
    seat_time: float = 1.0
