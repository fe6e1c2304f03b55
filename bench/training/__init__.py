"""What a tiny JOSH3R learns from rendered pairs on a CPU (docs/training.md)."""
