"""Smaller models from trained ones: each is a run like any other, measured side by side with the one it comes from."""
