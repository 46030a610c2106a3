"""The contract between a task and the rest of the program."""

from kerasft.tasks.base.declarations import Column, Number, Unreachable
from kerasft.tasks.base.task import DECODED_AT_ONCE, Task

__all__ = ["DECODED_AT_ONCE", "Column", "Number", "Task", "Unreachable"]
