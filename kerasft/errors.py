"""The ways a program ends early, each one line on stderr and an exit code; anything else is a bug of ours."""

from collections.abc import Sequence


class Stop(Exception):
    """Ends a program with a message for the user; the message is one line."""

    exit_code = 1

    @property
    def lines(self) -> list[str]:
        """What is printed, a line each."""
        return [str(self)]


class UserError(Stop):
    """A mistake the user can fix. The message names the place (a file and line, or a config key), the value and the
    fix."""

    exit_code = 2


class NotFound(UserError):
    """A file or folder that the user names is not there."""


class UserErrors(UserError):
    """Several mistakes that are told together, a line each.

    Args:
        messages: one line each.
    """

    def __init__(self, messages: Sequence[str]):
        super().__init__("\n".join(messages))
        self.messages = list(messages)

    @property
    def lines(self) -> list[str]:
        return self.messages


class BadRow(UserError):
    """A mistake in one row of the data: reading goes on, to say how many more rows have the same.

    Args:
        message: one line, with the row's place.
        kind: the mistake in words that all rows with it share.
    """

    def __init__(self, message: str, kind: str = "a mistake"):
        super().__init__(message)
        self.kind = kind


class Diverged(Stop):
    """The loss is no longer a number. The last checkpoint is good."""

    exit_code = 3


class Interrupted(Stop):
    """The user pressed Ctrl-C. The message says how to go on."""

    exit_code = 130


class Pruned(Stop):
    """A trial of a search is not worth going on with."""


class Terminated(Interrupted):
    """The machine asked to end (SIGTERM), as preemptible ones do. The message says how to go on."""

    exit_code = 143


class HungUp(Terminated):
    """The terminal that the program was started from is closed (SIGHUP)."""

    exit_code = 129


class WorkerLost(Stop):
    """Another worker of the run is gone, or never came. The message says how to go on."""

    exit_code = 4


class EndedElsewhere(Stop):
    """Another worker ends the run and says why; this one ends with it, in silence.

    Args:
        exit_code: of the worker that said why; all end with it.
    """

    def __init__(self, exit_code: int):
        super().__init__("")
        self.exit_code = exit_code


class StorageError(Stop):
    """A disk is full, or a folder is gone. What was written before is as it was."""


class ServableError(Stop):
    """A SavedModel that TensorFlow Serving would refuse or answer wrongly from; the message names the fault."""
