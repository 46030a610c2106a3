"""The arguments of a program: what is wrong with them is one line that shows how it is called."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from kerasft.console.terminal import run_program
from kerasft.invocation import command
from kerasft.printable import one_line

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

Namespace = TypeVar("Namespace")  # the caller's own
Words = Iterable[str] | None


class Parser(argparse.ArgumentParser):
    """argparse, with a mistake told in one line like every other.

    Args:
        program: `train`, `evaluate`, ...
        description: its help begins with it.
        example: arguments, for a line that shows how it is called.
        fix: an option that there is not, and what follows it -> what to write instead, or None.
    """

    def __init__(
        self,
        program: str,
        description: str | None,
        example: str,
        fix: Callable[[str, str | None], str | None] = lambda option, value: None,
        epilog: str = "",
    ):
        self.program, self.example, self._fix = program, example, fix
        self._words: list[str] = []
        self._optional: set[str] = set()
        self._options: list[str] = []
        example_line = f"Example: kerasft {program} {example}"
        super().__init__(f"kerasft {program}", description=description, epilog=f"{epilog} {example_line}".strip())

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:
        action = super().add_argument(*names, **options)
        if action.nargs in ("*", "?"):
            self._optional.add(str(action.metavar or action.dest))
        self._options += [name for name in names if name.startswith("--")]
        return action

    @overload
    def parse_args(self, args: Words = None, namespace: None = None) -> argparse.Namespace: ...
    @overload
    def parse_args(self, args: Words, namespace: Namespace) -> Namespace: ...
    @overload
    def parse_args(self, *, namespace: Namespace) -> Namespace: ...
    def parse_args(self, args: Words = None, namespace: Any = None) -> Any:
        self._words = list(sys.argv[1:] if args is None else args)
        return super().parse_args(self._words, namespace)

    @overload
    def parse_intermixed_args(self, args: Words = None, namespace: None = None) -> argparse.Namespace: ...
    @overload
    def parse_intermixed_args(self, args: Words, namespace: Namespace) -> Namespace: ...
    @overload
    def parse_intermixed_args(self, *, namespace: Namespace) -> Namespace: ...
    def parse_intermixed_args(self, args: Words = None, namespace: Any = None) -> Any:
        self._words = list(sys.argv[1:] if args is None else args)
        return super().parse_intermixed_args(self._words, namespace)

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        if code := run_program(lambda: print(self.format_help(), end="", file=file) or 0):
            sys.exit(code)  # standard output does not take it; argparse itself says nothing of that

    def error(self, message: str) -> NoReturn:
        kind, _, rest = message.partition(": ")
        if kind == "the following arguments are required":
            lacking = [name for name in rest.split(", ") if name not in self._optional]
            verb = "is" if len(lacking) == 1 else "are"
            message = f"{self.prog}: {' and '.join(lacking)} {verb} required; for example: {self._how_to_call()}"
        elif kind == "unrecognized arguments":
            message = self._unknown(rest.split(" ")[0])
        self.exit(2, f"error: {one_line(message)}; see {self.prog} --help\n")

    def _how_to_call(self) -> str:
        return f"{command(self.program)} {self.example}"

    def _unknown(self, word: str) -> str:
        if not word.startswith("-"):
            return f"{word}: one argument too many; for example: {self._how_to_call()}"
        option, equals, value = word.partition("=")
        after = self._words[self._words.index(word) + 1 :] if word in self._words else []
        if not equals and after and not after[0].startswith("-"):
            equals, value = "=", after[0]
        near = difflib.get_close_matches(option, self._options, 1)
        fix = f"did you mean {near[0]}?" if near else self._fix(option, value if equals else None)
        return f"{option}: there is no such option" + (f"; {fix}" if fix else "")
