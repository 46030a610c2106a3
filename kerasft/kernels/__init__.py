"""Kernels of our own for a CPU: what a step does beside its matrix products, one pass over memory each."""
