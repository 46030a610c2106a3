"""Fixtures of several tests of data."""

from support.task_rows import configured, settings  # noqa: F401
