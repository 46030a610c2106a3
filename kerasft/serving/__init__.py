"""Serving: SavedModels that take raw strings, the check that they can be served, and how to serve them."""
