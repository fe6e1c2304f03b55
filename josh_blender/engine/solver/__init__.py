"""The joint solver: residual blocks over parameter blocks, Levenberg-Marquardt, Schur elimination. docs/solver.md."""
