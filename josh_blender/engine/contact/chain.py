"""Two states through time: forward-backward smoothing of a binary Markov chain with rates in seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def smooth(log_odds: Array, time: Array, touch_rate: float, leave_rate: float) -> Array:
    """Posterior probabilities (T,C) of the state "touches" for C independent chains.

    log_odds (T,C): evidence of each frame, log p(seen | touches) - log p(seen | free); time (T,) s. touch_rate,
    leave_rate: changes per second. Rabiner's forward-backward recursion (1989) in the probability domain, normalised
    at every step.
    """
    frames, chains = log_odds.shape
    if not frames:
        return np.zeros_like(log_odds)
    total = touch_rate + leave_rate
    stationary = np.array([leave_rate, touch_rate]) / total
    evidence = np.stack([np.ones_like(log_odds), np.exp(np.clip(log_odds, -30.0, 30.0))], axis=-1)
    steps = np.exp(-total * np.diff(time))

    forward = np.empty((frames, chains, 2))
    forward[0] = _normal(stationary * evidence[0])
    for t in range(1, frames):
        forward[t] = _normal(_advance(forward[t - 1], stationary, steps[t - 1]) * evidence[t])
    backward = np.ones((chains, 2))
    result = np.empty((frames, chains))
    result[-1] = forward[-1, :, 1]
    for t in reversed(range(frames - 1)):
        following = backward * evidence[t + 1]
        # The transition's transpose: stay with probability k, else jump to the stationary distribution.
        backward = _normal(steps[t] * following + (1.0 - steps[t]) * (following @ stationary)[:, None])
        result[t] = _normal(forward[t] * backward)[:, 1]
    return result


def _advance(state: Array, stationary: Array, keep: float) -> Array:
    return keep * state + (1.0 - keep) * state.sum(-1, keepdims=True) * stationary


def _normal(state: Array) -> Array:
    return state / state.sum(-1, keepdims=True)
