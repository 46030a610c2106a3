"""A file a method."""
