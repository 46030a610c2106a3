"""`python -m kerasft.augment CONFIG --show 20`: rows of train beside what `augment` makes of them, before any training.

The rows are those that the training has in this epoch, to the letter.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kerasft.augmentation_texts import make_texts
from kerasft.config.header import name_data_source
from kerasft.config.load import load_config
from kerasft.config.schema import Config
from kerasft.config.spelling import suggest_key
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, run_program
from kerasft.data.augmentation.marked_text import MarkedText
from kerasft.data.augmentation.registry import create_augmenters
from kerasft.data.augmentation.variants import RowAugmenter, count_variants
from kerasft.data.splits import load_splits
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("augment", __doc__, "my.yaml --show 20", suggest_key)
    parser.add_argument("config", help="a YAML file with a section `augment`")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for example 'augment={typos: {}}'")
    parser.add_argument("--show", type=int, default=20, metavar="N", help="how many changed rows (default: 20)")
    parser.add_argument("--epoch", type=int, default=1, metavar="E", help="of this epoch of the training (default: 1)")
    parser.add_argument("--json", dest="as_json", action="store_true", help="print them as JSON Lines")
    args = parser.parse_intermixed_args(argv)
    return run_program(lambda: augment(**vars(args)))


def augment(config: str, overrides: Sequence[str], show: int, epoch: int, as_json: bool) -> int:
    """Prints changed rows; the exit code."""
    for option, value in (("--show", show), ("--epoch", epoch)):
        if value < 1:
            raise UserError(f"{option}: {value} is too few; use 1 or more")
    terminal, resolved = Terminal(), load_config(config, overrides)
    if resolved.augment is None:
        raise UserError(f"augment: {config} has no such section; add one, for example 'augment={{typos: {{}}}}'")
    if not resolved.augment.methods():
        raise UserError("augment: mixup alone changes no text: nothing to show; name a method such as typos: {}")
    task = create_task(resolved)
    task.check_config()
    with name_data_source(config):
        tables = load_splits(resolved, task, terminal.line)
    train = tables["train"]
    make_texts(resolved, tables, terminal)
    augmenters = create_augmenters(resolved.augment, task)
    for line in (line for method in augmenters for line in method.learn(train, task)):
        terminal.line(line)
    rows = RowAugmenter(augmenters, task, resolved.seed)
    pairs = changed_rows(train, resolved, rows, task, (epoch - 1) % count_variants(resolved, len(train)))
    shown = 0
    for pair in pairs:
        terminal.result(json.dumps(pair, ensure_ascii=False) if as_json else text_of(pair))
        shown += 1
        if shown == show:
            break
    if not shown:
        raise UserError("augment: no row of train is changed; raise augment.rows, or name other methods")
    return 0


def changed_rows(train: Table, config: Config, rows: RowAugmenter, task: Task, epoch: int) -> Iterator[dict[str, Any]]:
    """Rows in an order that is drawn, with their method and their texts before and after.

    Args:
        train: the rows.
        config: `augment` and the seed are read.
        rows: changes them.
        task: says which texts they have.
        epoch: the form of train, from 0: that of the epoch, until the first comes again.
    """
    assert config.augment is not None
    for index in np.random.default_rng(config.seed).permutation(len(train)).tolist():
        random = rows.draws(epoch, index, 0)
        if random.random() >= config.augment.rows:
            continue
        (row,) = train.rows([index])
        method, changed = rows.changed(row, random)
        if changed is not None:
            before, after = (
                {name: marked(each) for name, each in task.marked_texts(which).items()} for which in (row, changed)
            )
            yield {"where": row["where"], "method": method, "before": before, "after": after}


def marked(text: MarkedText) -> str:
    """A text with its spans in brackets, each with its type."""
    parts, at = [], 0
    for span in sorted(text.spans):
        if span.start >= at:  # of spans that overlap the first alone
            kind = f"|{span.kind}" if span.kind else ""
            parts += [text.text[at : span.start], f"[{text.mention(span)}{kind}]"]
            at = span.end
    return "".join([*parts, text.text[at:]])


def text_of(pair: dict[str, Any]) -> str:
    """A changed row on a few lines."""
    lines = [f"{pair['where']}  {pair['method']}"]
    for name, before in pair["before"].items():
        after = pair["after"][name]
        if after != before:
            lines += [f"  - {before}", f"  + {after}"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
