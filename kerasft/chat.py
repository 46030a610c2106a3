"""`python -m kerasft.chat RUN_OR_SAVED_MODEL`: talks with a text_generation model of mode chat, a line a turn."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from kerasft.config.load import load_config, override_config
from kerasft.config.spelling import suggest_key
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, quiet_tensorflow, run_program
from kerasft.errors import UserError
from kerasft.inference.export import AdaptersExport, Export
from kerasft.inference.predictor import is_run
from kerasft.inference.stored_weights import HELP, INT4, stored_run, write_by_stored
from kerasft.inference.untrained import Untrained, is_config
from kerasft.printable import printable
from kerasft.runs import Run
from kerasft.tasks.registry import create_task

OPTIONS = {
    "temperature": (float, "0: always the likeliest token"),
    "top_p": (float, "draw among the likeliest tokens that together have this probability"),
    "max_new_tokens": (int, "most tokens of an answer"),
    "seed": (int, "of what is drawn"),
}


def main(argv: Sequence[str] | None = None) -> int:
    hint = "/forget starts again; Ctrl-C ends an answer, Ctrl-D all."
    parser = Parser("chat", __doc__, "runs/NAME", suggest_key, hint)
    parser.add_argument("model", type=Path, help="a run, saved_models/NAME[/VERSION], or a config: its preset")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for example task.decoding.top_k=40")
    parser.add_argument("--system", help="the system turn's text, instead of the config's")
    parser.add_argument("--stop", action="append", metavar="TEXT", help="an answer ends before it; can be repeated")
    for name, (kind, words) in OPTIONS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help=f"{words}; without it, the config's")
    parser.add_argument("--precision", choices=("float32", INT4), default="float32", help=HELP)
    parser.add_argument("--trust", action="store_true", help="run a SavedModel that reaches files or networks, too")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_intermixed_args(argv)
    options = {name: getattr(args, name) for name in OPTIONS if getattr(args, name) is not None}
    decoding = [f"task.decoding.{name}={json.dumps(value)}" for name, value in options.items()]
    overrides = [*args.overrides, *([] if args.stop is None else [f"task.decoding.stop={json.dumps(args.stop)}"])]
    return run_program(
        lambda: chat(args.model, overrides, decoding, args.system, args.verbose, args.trust, args.precision),
        "the dialogue is not kept",
    )


def chat(
    model: Path,
    overrides: Sequence[str],
    decoding: Sequence[str],
    system: str | None,
    verbose: bool,
    trust: bool = False,
    precision: str = "float32",
) -> int:
    """Answers each line of stdin as it is read, until there is none.

    Args:
        model: what answers.
        overrides: `key=value` that a model in this process can follow.
        decoding: those that an export can follow too.
        system: the first turn's text.
        verbose: let TensorFlow talk.
        trust: an export may reach files or networks.
        precision: int4: by the 4 bits of a run.
    """
    opened = _open(model, overrides, decoding, trust)
    task = create_task(opened.config)
    dialogue = task.dialogue
    if dialogue is None:
        raise UserError(f"{model}: task.mode is not chat; ask it by: kerasft predict {model} --input -")
    if (beams := dialogue.beams) > 1 and not isinstance(opened, Export):
        raise UserError(
            f"task.decoding.beams: chat shows an answer while it is written, and the best of {beams} beams is known "
            "only at the end; give task.decoding.beams=1 task.decoding.length_penalty=1"
        )
    stored = stored_run(opened, model, task) if precision == INT4 else None
    quiet_tensorflow(verbose)
    from kerasft.inference.chat import Conversation, writer_of

    answerer = opened.load()
    if stored is not None:
        write_by_stored(stored, answerer, Terminal().line)
    conversation = Conversation(writer_of(answerer), system)
    for line in _lines():
        if line == "/forget":
            conversation.forget()
        elif line:
            _answer(conversation.ask(line))
    return 0


def _open(model: Path, overrides: Sequence[str], decoding: Sequence[str], trust: bool) -> Run | Untrained | Export:
    if is_config(model):
        return Untrained.open(model, [*overrides, *decoding])
    if is_run(model):
        return dataclasses.replace(Run.open(model), config=load_config(model / "config.yaml", [*overrides, *decoding]))
    export = Export.open(model, trust)
    if isinstance(export, AdaptersExport):
        raise UserError(f"{model} is an export with adapters, none of which writes texts; use kerasft predict")
    if overrides:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in OPTIONS)
        raise UserError(f"{overrides[0]}: {model} is an export and stays as it is; it can be told {options}")
    return dataclasses.replace(export, task=create_task(override_config(export.config, decoding), export.task.state))


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


def _answer(pieces: Generator[str, None, None]) -> None:
    """Writes pieces as they come; Ctrl-C where someone watches ends the answer, and not the dialogue."""
    try:
        for piece in pieces:
            sys.stdout.write(printable(piece, layout=True))
            sys.stdout.flush()
    except KeyboardInterrupt:
        if not sys.stdin.isatty():
            raise
        pieces.close()
    print(flush=True)


if __name__ == "__main__":
    sys.exit(main())
