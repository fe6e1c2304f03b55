"""What a network sees in the pairs of a clip: matches, and one canonical view per picture. Memory stays bounded: sums
instead of predictions, and only for pictures whose pairs are not all done; few matches of each pair in long clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..networks.acceleration import Batches, compiled, half_precision
from ..networks.mast3r import Mast3r, Tokens, ViewPrediction
from ..networks.pictures import PictureFit, network_picture
from ..sfm.loop_pairs import loop_pairs
from .canonical import CanonicalView, ViewSums
from .matching import correspondences

Array = NDArray[Any]

#: Key frames ahead that each is paired with.
_AHEAD = (1, 2, 4)
#: Encoded pictures that are kept for pairs to come.
_KEPT = 8
#: Matches below this confidence are none.
_LEAST_CONFIDENCE = 1e-3
#: Matches that are kept of all pairs together, and of each pair in clips with more pairs than that allows.
_MATCHES_OF_ALL, _MATCHES_OF_PAIR = 100_000, 500


@dataclass(frozen=True)
class Matches:
    """Pixels (M,2) x y, int16, of the network's pictures of the views ``first`` and ``second`` (numbers of key frames)
    that show the same spot; confidence (M,) float32. Of ``found`` matches the most confident ones."""

    first: int
    second: int
    first_pixel: Array
    second_pixel: Array
    confidence: Array
    found: int


class PairPredictor(Protocol):
    """A network as this module needs it."""

    def predict(self, first: int, second: int) -> tuple[ViewPrediction, ViewPrediction]:
        """Both views of a pair of key frames (one row each), in the camera of ``first``."""
        ...


class Mast3rPairs:
    """MASt3R on the key frames of a clip; every picture is encoded once where its pairs follow one another."""

    def __init__(self, network: Mast3r, fit: PictureFit, read: Callable[[int], Array], device: str) -> None:
        self._network, self._fit, self._read, self._device = network, fit, read, device
        self._encode, self._decode = compiled(network.encode, device), compiled(network.decode, device)
        self._tokens: dict[int, Tokens] = {}

    @torch.inference_mode()
    def predict(self, first: int, second: int) -> tuple[ViewPrediction, ViewPrediction]:
        """Both views of a pair.

        Raises:
            UserError: ``gpu_memory``.
        """
        return next(Batches(self._device, 1).run([(first, second)], lambda pairs: self._pass(*pairs[0])))

    def _pass(self, first: int, second: int) -> tuple[ViewPrediction, ViewPrediction]:
        with half_precision(self._device):
            tokens1, tokens2 = self._of(first), self._of(second)
            levels1, levels2 = self._decode(tokens1, tokens2)
            return self._network.predict(1, levels1, tokens1), self._network.predict(2, levels2, tokens2)

    def _of(self, view: int) -> Tokens:
        if view not in self._tokens:
            while len(self._tokens) >= _KEPT:
                del self._tokens[next(iter(self._tokens))]
            self._tokens[view] = self._encode(network_picture(self._read(view), self._fit, self._device)[None])
        return self._tokens[view]


def pair_graph(count: int) -> list[tuple[int, int]]:
    """Pairs of key frames to look at, the earlier first, ordered by the later: neighbours, and in long clips pairs far
    apart that close rounds."""
    near = [(view - ahead, view) for view in range(count) for ahead in _AHEAD if view >= ahead]
    far = loop_pairs(range(count), max(_AHEAD))
    return sorted({*near, *far}, key=lambda pair: (pair[1], pair[0]))


def look(
    graph: Sequence[tuple[int, int]], network: PairPredictor, people: Callable[[int], Array], step: Callable[[], None]
) -> Iterator[Matches | tuple[int, CanonicalView]]:
    """The matches of every pair, and every view once all its pairs were seen, as (number, view).

    ``people`` gives the mask (h,w) of a view's network picture: whoever is there is no part of the place.
    """
    most = max(_MATCHES_OF_PAIR, _MATCHES_OF_ALL // max(1, len(graph)))
    last = {view: number for number, pair in enumerate(graph) for view in pair}
    sums: dict[int, ViewSums] = {}
    for number, (first, second) in enumerate(graph):
        one, other = network.predict(first, second), network.predict(second, first)
        masks = people(first) > 0, people(second) > 0
        for view, own, mask in ((first, one[0], masks[0]), (second, other[0], masks[1])):
            points, confidence = _numbers(own.points), _numbers(own.confidence)
            sums.setdefault(view, ViewSums(*confidence.shape)).add(points, np.where(mask, 1.0, confidence))
        passes = [_side(one[0], one[1], *masks), _side(other[1], other[0], *masks)]
        yield _most_confident(first, second, *correspondences(passes), most)
        for view in (first, second):
            if last[view] == number:
                yield view, sums.pop(view).view()
        step()


def _most_confident(first: int, second: int, pixel1: Array, pixel2: Array, confidence: Array, most: int) -> Matches:
    """At most ``most`` matches of a pair, in the order of their pixels."""
    good = np.flatnonzero(confidence > _LEAST_CONFIDENCE)
    kept = np.sort(good[np.argsort(-confidence[good], kind="stable")[:most]])
    return Matches(
        first,
        second,
        pixel1[kept].astype(np.int16),
        pixel2[kept].astype(np.int16),
        confidence[kept].astype(np.float32),
        len(good),
    )


def _side(
    first: ViewPrediction, second: ViewPrediction, first_mask: Array, second_mask: Array
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What matching needs of one pass; people match nothing."""
    confidences = []
    for prediction, mask in ((first, first_mask), (second, second_mask)):
        value = prediction.descriptor_confidence[0].float().clone()
        value[torch.as_tensor(mask, device=value.device)] = 0.0
        confidences.append(value)
    return first.descriptor[0].float(), second.descriptor[0].float(), confidences[0], confidences[1]


def _numbers(values: Tensor) -> Array:
    return np.asarray(values[0].float().cpu().numpy(), np.float64)
