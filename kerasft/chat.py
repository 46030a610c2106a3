"""`python -m kerasft.chat RUN_OR_CONFIG`: talks with a text_generation model of mode chat, a line a turn."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from kerasft.config.load import load_config
from kerasft.errors import UserError
from kerasft.runs import Run
from kerasft.terminal import Parser, quiet_tensorflow, run_program
from kerasft.untrained import Untrained, is_config

OPTIONS = {
    "temperature": (float, "0: always the likeliest token"),
    "top_p": (float, "draw among the likeliest tokens that together have this probability"),
    "max_new_tokens": (int, "most tokens of an answer"),
    "seed": (int, "of what is drawn"),
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        "kerasft chat", description=__doc__, epilog="/forget begins anew; Ctrl-C ends an answer, Ctrl-D all."
    )
    parser.add_argument("model", type=Path, help="a run, or a config: its preset untrained")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for example task.decoding.top_k=40")
    parser.add_argument("--system", help="the system turn's text, instead of the config's")
    parser.add_argument("--stop", action="append", metavar="TEXT", help="an answer ends before it; can be repeated")
    for name, (kind, words) in OPTIONS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help=f"{words}; without it, the config's")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_intermixed_args(argv)
    told = {name: getattr(args, name) for name in OPTIONS if getattr(args, name) is not None}
    told |= {} if args.stop is None else {"stop": args.stop}
    overrides = [*args.overrides, *(f"task.decoding.{name}={json.dumps(value)}" for name, value in told.items())]
    return run_program(lambda: chat(args.model, overrides, args.system, args.verbose), "the dialogue is not kept")


def chat(model: Path, overrides: Sequence[str], system: str | None, verbose: bool) -> int:
    """Answers each line of stdin as it is read, until there is none."""
    opened = _open(model, overrides)
    if opened.config.task.name != "text_generation" or opened.config.task.mode != "chat":
        raise UserError(f"{model}: task.mode is not chat; ask it by: kerasft predict {model} --input -")
    if (beams := opened.config.task.decoding.beams) > 1:
        raise UserError(
            f"task.decoding.beams: an answer is shown as it is written, and which of {beams} beams it is comes out at "
            "the end; give task.decoding.beams=1 task.decoding.length_penalty=1"
        )
    quiet_tensorflow(verbose)
    from kerasft.conversation import Conversation

    conversation = Conversation(opened.load(), system)
    for line in _lines():
        if line == "/forget":
            conversation.forget()
        elif line:
            _answer(conversation.ask(line))
    return 0


def _open(model: Path, overrides: Sequence[str]) -> Run | Untrained:
    if is_config(model):
        return Untrained.open(model, overrides)
    run = Run.open(model)
    return dataclasses.replace(run, config=load_config(model / "config.yaml", overrides))


def _lines() -> Iterator[str]:
    """What a user types, or each line of a file or pipe; without white space around it."""
    watched = sys.stdin.isatty()
    if not watched:
        yield from (line.strip() for line in sys.stdin)
        return
    while True:
        try:
            yield input("> ").strip()
        except EOFError:
            print()
            return


def _answer(pieces: Iterator[str]) -> None:
    """Writes pieces as they come; Ctrl-C where someone watches ends the answer, and not the dialogue."""
    try:
        for piece in pieces:
            sys.stdout.write(piece)
            sys.stdout.flush()
    except KeyboardInterrupt:
        if not sys.stdin.isatty():
            raise
        pieces.close()
    print(flush=True)


if __name__ == "__main__":
    sys.exit(main())
