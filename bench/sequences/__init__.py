"""The rendered sequences with exact truth. docs/benchmark.md."""

from .truth import SequenceTruth, names, shot_of, truth_of, truth_of_shot

__all__ = ["SequenceTruth", "names", "shot_of", "truth_of", "truth_of_shot"]
