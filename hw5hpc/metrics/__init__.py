"""Measures of what a model does, on tensors alone."""
