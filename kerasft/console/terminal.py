"""What a program says and how it ends: results, progress, one-line errors, exit codes."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from kerasft.console.links import linked
from kerasft.console.progress import BAR_WIDTHS, Phase
from kerasft.console.standard_output import OutputError, StandardOutput, discard
from kerasft.console.streams import can_write, width_of, write
from kerasft.console.tensorflow_log import silence_abseil
from kerasft.errors import EndedElsewhere, Interrupted, Stop, UserError
from kerasft.paths import check_home
from kerasft.printable import one_line, printable

if TYPE_CHECKING:
    import rich.table

CLEAR_LINE = "\r\x1b[2K"
BROKEN_PIPE_EXIT = 141  # 128 + SIGPIPE, as every other Unix program


def quiet_tensorflow(verbose: bool) -> None:
    """Chooses Keras' TensorFlow backend and, unless `verbose`, stops TensorFlow's chatter; call it before their import.

    An own TF_CPP_MIN_LOG_LEVEL in the environment is left as it is.

    Raises:
        UserError: this user has no home folder, which libraries beside TensorFlow want at their import.
    """
    check_home()
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if verbose:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    silence_abseil()
    import absl.logging  # its logger must be absl's own class, so getLogger("absl") may not come first

    absl.logging.set_verbosity(absl.logging.ERROR)
    for name in ("tensorflow", "keras", "tensorflow_datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("tensorflow").addFilter(_is_error)  # in a notebook TensorFlow sets its level to INFO
    warnings.simplefilter("ignore")


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


class Terminal:
    """Results on stdout, everything else on stderr: a live line a phase where someone watches, plain lines elsewhere.

    Control characters that came with labels, texts and names of files are escaped (`kerasft.printable`).

    Args:
        verbose: TensorFlow talks too, so phases are plain lines that do not get in its way.
        stream: where progress and remarks go; None: stderr.
        output: where results go; None: stdout.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        verbose: bool = False,
        stream: TextIO | None = None,
        output: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.stream = stream or sys.stderr
        self.output = output or sys.stdout
        self._clock, self.verbose = clock, verbose
        self.live = not verbose and self.stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._color = self.live and not os.environ.get("NO_COLOR")
        self._phases: list[Phase] = []
        self._has_live_line = False  # whether the cursor stands behind a live line

    def line(self, text: str) -> None:
        """A remark on stderr."""
        with self._cleared():
            write(self.stream, printable(text, layout=True) + "\n")

    def result(self, text: str) -> None:
        """What the program was asked for, on stdout."""
        with self._cleared():
            write(self.output, printable(text, layout=True) + "\n")

    def file(self, what: str, path: Path) -> None:
        """`WHAT: PATH` on stdout; the path is a link where the terminal knows links."""
        with self._cleared():
            write(self.output, f"{what}: {linked(path, printable(str(path)), self.output)}\n")

    def table(self, table: rich.table.Table) -> None:
        """A table on stdout; cells are taken as they are, brackets included."""
        from rich.console import Console
        from rich.segment import Segment, Segments

        # Without a terminal rich assumes 80 columns, which would cut long labels.
        width = None if self.output.isatty() else 120
        with self._cleared():
            console = Console(file=self.output, width=width, markup=False, emoji=False, highlight=False)
            segments = console.render(table)  # what steers the terminal here, rich adds when it prints the segments
            console.print(Segments(Segment(printable(part.text, layout=True), part.style) for part in segments), end="")
            self.output.flush()

    @contextlib.contextmanager
    def progress(self, phase: str, total: int | None, unit: str = "steps") -> Iterator[Phase]:
        """The context of one phase; ends with one line that stays.

        Args:
            phase: the word that the line begins with, such as `tokenize`.
            total: how many units there are; None where nobody knows.
            unit: plural of what is counted.
        """
        innermost = Phase(phase, total, unit, self._show, self._clock)
        self._phases.append(innermost)
        finished = False
        try:
            self._redraw()
            yield innermost
            finished = True
        finally:
            self._phases.remove(innermost)
            self.line(innermost.summary(finished))

    def _show(self, phase: Phase) -> None:
        if self.live:
            if phase.due_live():
                self._redraw()
        elif phase.due_plain():
            write(self.stream, printable(f"{phase.name}: {phase.text()}") + "\n")

    @contextlib.contextmanager
    def _cleared(self) -> Iterator[None]:
        if self._has_live_line:
            write(self.stream, CLEAR_LINE)
            self._has_live_line = False
        yield
        self._redraw()

    def _redraw(self) -> None:
        """Draws the innermost phase: validation inside training hides training's line until it is over."""
        if not self.live or not self._phases:
            return
        phase = self._phases[-1]
        width = width_of(self.stream) - 1
        name, text = printable(phase.name), printable(phase.text())
        room = width - len(name) - len(text) - 3
        full, empty = ("━", "─") if can_write(self.stream, "━─") else ("=", "-")
        # One of few widths: a bar that gave way to each digit of the text would tremble.
        bar = phase.bar(next((wide for wide in BAR_WIDTHS if wide <= room), 0), full, empty)
        head = f"{name} "[:width]
        tail = f" {text}"[: max(0, width - len(head) - len(bar))]
        if self._color:
            bar = f"\x1b[32m{bar}\x1b[0m"
        write(self.stream, f"{CLEAR_LINE}{head}{bar}{tail}")
        self._has_live_line = True


class Silent(Terminal):
    """Says nothing: that of a worker which is not the chief."""

    def __init__(self):
        nowhere = io.StringIO()
        super().__init__(stream=nowhere, output=nowhere)

    def line(self, text: str) -> None:
        pass

    def result(self, text: str) -> None:
        pass

    def table(self, table: rich.table.Table) -> None:
        pass

    def _show(self, phase: Phase) -> None:
        pass


def run_program(program: Callable[[], int], if_interrupted: str = "nothing was written") -> int:
    """Runs a program and turns the ways it can end into its exit code.

    A Stop (see kerasft.errors) is one line on stderr and its exit code, and so is a standard output that takes no more,
    as on a full disk. Any other exception is a mistake of ours and passes as it is, with its traceback.

    Args:
        program: the whole work, returns the exit code.
        if_interrupted: what Ctrl-C leaves behind, where the program itself does not say so with Interrupted.
    """
    with contextlib.redirect_stdout(StandardOutput(sys.stdout)):
        try:
            code = _run(program, if_interrupted)
            sys.stdout.flush()
            return code
        except BrokenPipeError:  # the reader (`| head`) has what it wanted
            discard()
            return BROKEN_PIPE_EXIT
        except OutputError as error:
            discard()
            write(sys.stderr, f"error: {error}\n")
            return error.exit_code


def _run(program: Callable[[], int], if_interrupted: str) -> int:
    try:
        return program()
    except OutputError:
        raise
    except EndedElsewhere as error:
        return error.exit_code
    except Stop as error:
        kind = "" if isinstance(error, Interrupted) else "error: "
        for line in error.lines:
            write(sys.stderr, f"{kind}{one_line(line)}\n")
        return error.exit_code
    except KeyboardInterrupt:
        write(sys.stderr, f"interrupted: {if_interrupted}\n")
        return Interrupted.exit_code
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        write(sys.stderr, f"error: {one_line(str(error.filename)[:60])}...: {error.strerror}; give a shorter path\n")
        return UserError.exit_code
