"""The joint solve on inputs of known error: exact truth, corrupted by a stated amount. docs/benchmark_solver.md."""
