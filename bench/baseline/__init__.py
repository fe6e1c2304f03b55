"""The first-order method that the joint solve is measured against, from its published description.

Parametrisation, losses and schedule are those of the reference (docs/benchmark_solver.md lists them); R1 to R8 in
comments are the sections of that description. Nothing here is its code.
"""
