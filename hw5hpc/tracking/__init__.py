"""Weights & Biases: a mirror of the runs' own files; it never fails a run, nor blocks it long."""
