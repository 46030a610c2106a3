"""`kerasft COMMAND ...`: the same as `python -m kerasft.COMMAND ...`."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence

from kerasft import __version__
from kerasft.console.terminal import run_program
from kerasft.errors import UserError
from kerasft.versions import version

# Command -> its module, with a main(argv) -> exit code, and what it does. Loaded only when it is run: --help is quick.
COMMANDS = {
    "train": ("kerasft.train", "fine-tune a model, evaluate it and export it: kerasft train CONFIG [key=value ...]"),
    "continue": ("kerasft.continue", "a run learns more rows or classes: kerasft continue RUN CONFIG_OR_DATA"),
    "launch": ("kerasft.launch", "train with several processes on this machine: kerasft launch --workers N CONFIG"),
    "evaluate": ("kerasft.evaluate", "measure a run again, or a preset untrained: kerasft evaluate RUN_OR_CONFIG"),
    "predict": ("kerasft.predict", "answer texts: kerasft predict RUN_OR_SAVED_MODEL --input FILE|-"),
    "explain": ("kerasft.explain.program", "which words made it say so: kerasft explain RUN --input FILE|-"),
    "audit": ("kerasft.audit.program", "when does it break, whom does it treat unequally? kerasft audit RUN"),
    "chat": ("kerasft.chat", "talk with a model of mode chat: kerasft chat RUN_OR_SAVED_MODEL"),
    "export": ("kerasft.export", "write a trained model for TensorFlow Serving: kerasft export RUN"),
    "serve": ("kerasft.serve", "serve exports behind TensorFlow Serving's API: kerasft serve saved_models/NAME"),
    "check-servable": ("kerasft.check_servable", "would TensorFlow Serving load it? kerasft check-servable DIR"),
    "adapter": ("kerasft.adapter", "what model.peft trained, as files of PEFT: kerasft adapter export RUN DIR"),
    "merge": ("kerasft.merge", "a preset with its adapter merged into it: kerasft merge RUN DIR"),
    "compress": (
        "kerasft.compress.program",
        "a smaller run from a run: kerasft compress RUN method=vocabulary name=NEW",
    ),
    "profile": ("kerasft.compress.profile_program", "bytes and time of a run's model by layer: kerasft profile RUN"),
    "verify": ("kerasft.verify", "replay a run's last steps and compare the bits: kerasft verify RUN"),
    "search": ("kerasft.search.command", "try values of some keys, keep the best: kerasft search CONFIG --trials N"),
    "ensemble": ("kerasft.ensembles.command", "several models as one: kerasft ensemble CONFIG --members 5"),
    "preflight": ("kerasft.preflight", "would it fit on a TPU? kerasft preflight CONFIG --accelerator v5e-8"),
    "init": ("kerasft.init", "write a config for a data file: kerasft init FILE [--task NAME]"),
    "label": ("kerasft.label", "which texts to label next: kerasft label CONFIG --input texts.csv --output next.csv"),
    "inspect": ("kerasft.inspect", "what is wrong with the data? kerasft inspect CONFIG [key=value ...]"),
    "audit-labels": ("kerasft.audit_labels", "which labels may be wrong? kerasft audit-labels CONFIG --output DIR"),
    "augment": (
        "kerasft.augment",
        "rows of train as `augment` changes them: kerasft augment CONFIG --show 20",
    ),
    "config": ("kerasft.config.commands", "show a config with every default: kerasft config CONFIG [key=value ...]"),
}
HELP = ("help", "-h", "--help")
VERSION = ("version", "-V", "--version")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return run_program(lambda: _dispatch(arguments))


def _dispatch(arguments: list[str]) -> int:
    command, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if command in HELP and rest:  # `help train` is `train --help`
        command, rest = rest[0], ["--help"]
    if not command or command in HELP:
        print(_help())
        return 0 if command else 2
    if command in VERSION:
        print(_versions())
        return 0
    if command not in COMMANDS:
        near = difflib.get_close_matches(command, [*COMMANDS, "help", "version"], 1)
        fix = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
        raise UserError(f"kerasft {command}: unknown command; {fix}")
    return importlib.import_module(COMMANDS[command][0]).main(rest)


def _help() -> str:
    lines = [
        "usage: kerasft COMMAND ...",
        "",
        "Fine-tune BERT- and GPT-type models in TensorFlow and Keras 3, and serve them.",
        "",
    ]
    lines += [f"  {command:<15}{text}" for command, (_, text) in COMMANDS.items()]
    lines += [
        "",
        "  version        versions of kerasft and of what it stands on",
        "  help           this; kerasft help COMMAND for one command",
    ]
    return "\n".join(lines)


def _versions() -> str:
    versions = [f"kerasft {__version__}"]
    versions += [f"{package} {version(package)}" for package in ("tensorflow", "keras", "keras-hub", "tensorflow-text")]
    return ", ".join(versions)
