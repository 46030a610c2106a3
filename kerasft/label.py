"""`python -m kerasft.label CONFIG --input FILE --output FILE.csv`: which texts to label next, as a CSV to fill in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.config.data import DataConfig
from kerasft.config.load import load_config
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, quiet_tensorflow, run_program
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import read_input, read_records
from kerasft.errors import UserError
from kerasft.few_shots.labelling import choose, new_texts, probability_matrix, sheet
from kerasft.inference.export import AdaptersExport, Export, Servable
from kerasft.inference.predictor import open_model
from kerasft.inference.untrained import is_config
from kerasft.runs import Run
from kerasft.serving.formats.converted import ConvertedExport
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task

WAYS = ("uncertainty", "diversity", "both")


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("label", __doc__, "my.yaml --input texts.csv --output next.csv --count 50")
    parser.add_argument("model", type=Path, help="a config: its run, or before there is one its preset; or runs/NAME")
    parser.add_argument("--input", required=True, help="texts without labels: a file, or - for stdin")
    parser.add_argument("--format", default="auto", help="txt, csv, tsv, jsonl, ...; auto: by the ending, txt for -")
    parser.add_argument("--encoding", help="of --input, such as cp1252 (default: data.encoding of the config)")
    parser.add_argument("--output", required=True, type=Path, metavar="CSV", help="gets the chosen texts")
    parser.add_argument("--count", type=int, default=50, help="how many (default: 50)")
    parser.add_argument("--by", choices=WAYS, default=WAYS[0], help="what chooses them (default: uncertainty)")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_args(argv)
    source = Source(args.input, args.format, args.encoding)
    return run_program(lambda: label(args.model, source, args.output, args.count, args.by, Terminal(args.verbose)))


@dataclass(frozen=True)
class Source:
    """Texts without labels.

    Attributes:
        path: a file, or - for stdin.
        format: of it; auto: by the ending.
        encoding: of it; None: that of the config.
    """

    path: str
    format: str = "auto"
    encoding: str | None = None

    def reading(self, data: DataConfig, terminal: Terminal) -> Reading:
        """How the file is read. Raises UserError: there is no such encoding."""
        reading = Reading.of(data, terminal.line)
        if self.encoding is None:
            return reading
        try:
            "a".encode("utf-8" if self.encoding == "auto" else self.encoding)
        except (LookupError, ValueError):
            raise UserError(f"--encoding: {self.encoding!r} is no encoding; name one such as utf-8 or cp1252") from None
        return replace(reading, encoding=self.encoding)


def label(model: Path, source: Source, output: Path, count: int, by: str, terminal: Terminal) -> int:
    """Writes the texts that are to be labelled next; the exit code.

    Args:
        model: a config or a run.
        source: a file of texts.
        output: is not to be there yet: it may hold labels by hand.
        count: how many texts.
        by: one of WAYS.
        terminal: shows what was left out and chosen.

    Raises:
        UserError: the model has no labels, there is nothing to choose from, or `output` is there.
    """
    from kerasft.atomic import write_bytes_atomically

    if count < 1:
        raise UserError(f"--count: {count} is too few; use 1 or more")
    if output.exists():
        raise UserError(f"--output: {output} exists, and may have labels in it; name another file")
    opened = open_model(model_of(model))
    if isinstance(opened, (AdaptersExport, ConvertedExport)):
        raise UserError(f"{model}: is an export of another form; label takes a run or saved_models/NAME of one model")
    task = opened.task if isinstance(opened, Export) else create_task(opened.config, opened.load_state())
    if not opened.config.task.fits_head:
        raise UserError(f"{model}: label is for text_classification with problem single_label")
    rows = unlabelled_rows(task, source, terminal)
    quiet_tensorflow(terminal.verbose)
    answers, vectors = answers_and_vectors(opened.load(), rows, by)
    chosen = choose(count, by, probability_matrix(answers, task.state["labels"]), vectors)
    columns = opened.config.data.columns
    columns = columns if "label" in columns else {**columns, "label": "label"}
    delimiter = "\t" if output.suffix.lower() in (".tsv", ".tab") else ","
    shown, said = [rows[row] for row in chosen], [answers[row] for row in chosen]
    write_bytes_atomically(output, sheet(shown, columns, said, opened.config.data, delimiter))
    terminal.result(f"{output}: {len(chosen)} of {len(rows):,} texts; fill in the column {columns['label']}, and add")
    terminal.result("the file to data.train")
    return 0


def model_of(path: Path) -> Path:
    """A config's run, where it is trained; otherwise the path itself."""
    if not is_config(path):
        return path
    config = load_config(path, [])
    run = Path(config.output.dir) / config.name
    return run if Run.is_at(run) and (run / "finished.json").is_file() else path


def unlabelled_rows(task: Task, source: Source, terminal: Terminal) -> list[dict[str, str]]:
    """{role: text} of each row of a file that stands neither in `data.train` nor before in the file."""
    data = task.config.data
    reading = Reading.of(data, terminal.line)
    records = read_input(source.path, source.format, source.reading(data, terminal))
    rows = [task.parse_inputs(record) for record in records]
    train = read_records(data.train, data.format, reading) if data.train else ()
    known = {tuple(row.values()) for row in map(task.parse_inputs, train)}
    new = new_texts([tuple(row.values()) for row in rows], known)
    if len(new) < len(rows):
        terminal.line(f"{len(rows) - len(new):,} of {len(rows):,} texts are in data.train or copies; they are left out")
    if not new:
        raise UserError(f"--input: {source.path} has no text that is new; name another file")
    return [rows[index] for index in new]


def answers_and_vectors(
    trained: Any, rows: Sequence[dict[str, str]], by: str
) -> tuple[list[dict[str, Any]], np.ndarray | None]:
    """A model's answer to each row and, where rows are to differ, its (rows, width) vectors.

    Raises:
        UserError: the model has no vector of a text.
    """
    import keras

    from kerasft.inference.local import LocalPredictor
    from kerasft.models.heads.text_classifier import HEAD
    from kerasft.prompting.scoring import outputs_of

    names = trained.task.inputs
    columns = {name: [row[name] for row in rows] for name in names}
    texts = columns[names[0]] if len(names) == 1 else columns
    if by == "uncertainty":
        return LocalPredictor(trained).answer(texts), None
    if isinstance(trained, Servable) or HEAD not in [layer.name for layer in trained.model.layers]:
        raise UserError(f"--by: {by} compares vectors of texts, which this model does not give; use uncertainty")
    answers = LocalPredictor(trained).answer(texts)
    encoder = keras.Model(trained.model.input, trained.model.get_layer(HEAD).input)
    return answers, outputs_of(encoder, trained.preprocessor, columns)


if __name__ == "__main__":
    sys.exit(main())
