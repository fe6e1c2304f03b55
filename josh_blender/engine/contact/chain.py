"""Touching and not touching through time: forward-backward smoothing of binary Markov chains with rates in seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def smooth(log_odds: Array, time: Array, touch_rate: float, leave_rate: float, together: Array | None = None) -> Array:
    """Posterior probabilities (T,C) of the state "touches" for C chains.

    log_odds (T,C): evidence of each frame, log p(seen | touches) - log p(seen | free); time (T,) s. touch_rate,
    leave_rate: changes per second. together (T,): evidence that at least one of the chains touches; without it they are
    independent. Rabiner's forward-backward recursion (1989) in the probability domain, normalised at every step.
    """
    if together is not None:
        return _smooth_joined(log_odds, together, time, touch_rate, leave_rate)
    columns = [_smooth_joined(log_odds[:, [c]], None, time, touch_rate, leave_rate) for c in range(log_odds.shape[1])]
    return np.concatenate(columns, axis=1) if columns else np.zeros_like(log_odds)


def _smooth_joined(log_odds: Array, together: Array | None, time: Array, touch_rate: float, leave_rate: float) -> Array:
    """All 2^C combinations of C chains as one Markov chain."""
    frames, chains = log_odds.shape
    if not frames:
        return np.zeros_like(log_odds)
    touching = (np.arange(2**chains)[:, None] >> np.arange(chains)) & 1
    evidence = np.clip(log_odds, -30.0, 30.0) @ touching.T
    if together is not None:
        evidence[:, 1:] += together[:, None]
    likelihood = np.exp(evidence - evidence.max(1, keepdims=True))
    total = touch_rate + leave_rate
    stationary = np.array([leave_rate, touch_rate]) / total
    keep = np.exp(-total * np.diff(time))
    start = np.prod(stationary[touching], axis=1)

    forward = np.empty((frames, 2**chains))
    forward[0] = _normal(start * likelihood[0])
    steps = [_transition(touching, stationary, share) for share in keep]
    for t in range(1, frames):
        forward[t] = _normal((forward[t - 1] @ steps[t - 1]) * likelihood[t])
    backward = np.ones(2**chains)
    result = np.empty((frames, chains))
    result[-1] = forward[-1] @ touching
    for t in reversed(range(frames - 1)):
        backward = _normal(steps[t] @ (backward * likelihood[t + 1]))
        result[t] = _normal(forward[t] * backward) @ touching
    return result


def _transition(touching: Array, stationary: Array, keep: float) -> Array:
    """Transition matrix of all combinations: each chain stays with probability ``keep``, else starts anew."""
    one = keep * np.eye(2) + (1.0 - keep) * stationary
    return np.prod(one[touching[:, None], touching[None]], axis=-1)


def _normal(state: Array) -> Array:
    return state / state.sum()
