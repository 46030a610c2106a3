"""The contract between a task and the rest of the program."""

from kerasft.tasks.base.data import OPTIONAL, TOKEN_IDS
from kerasft.tasks.base.declarations import Column, Dialogue, Explained, Number, Unreachable
from kerasft.tasks.base.task import DECODED_AT_ONCE, Task

__all__ = [
    "DECODED_AT_ONCE",
    "OPTIONAL",
    "TOKEN_IDS",
    "Column",
    "Dialogue",
    "Explained",
    "Number",
    "Task",
    "Unreachable",
]
