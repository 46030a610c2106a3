"""Fixtures of several tests of training."""

from support.task_rows import configured, settings  # noqa: F401
from support.tiny_split import prepared  # noqa: F401
