"""The default pipeline from pixels on the benchmark's sequences (docs/benchmark.md)."""
