"""Splits as an inspection reads them: rows that a training would stop at are set aside, and reading goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kerasft.config.clean import CleanConfig
from kerasft.config.data import LEAVE_ONE_OUT
from kerasft.config.prompting import answers_untrained
from kerasft.config.schema import Config
from kerasft.data.quality.base import BrokenRow, Check, Inspected
from kerasft.data.sources.decoding import Decoding
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import Record, read_records
from kerasft.data.splits import Remark, apply_stages, check_columns, check_stages, sources_of
from kerasft.data.tables.table import Table
from kerasft.errors import BadRow, UserError

if TYPE_CHECKING:  # data lies below tasks: the contract is all that is known here
    from kerasft.tasks.base import Task


def read_inspected(config: Config, task: Task, checks: Sequence[Check], remark: Remark) -> Inspected:
    """Reads every split, with the samples, shares and cleaning that a training would have.

    Args:
        config: names the sources.
        task: parses records.
        checks: each gets to see every record.
        remark: gets a line for each guess and each count of `data.clean`.

    Raises:
        UserError: a source is missing, a column is not there, or no row of a split can be read.
    """
    if answers_untrained(config):
        raise UserError("data.train: nothing is trained by this config, so there is nothing to inspect")
    check_columns(config, task)
    check_stages(config, task)
    broken: list[BrokenRow] = []
    tables, assumed, decodings = {}, {}, {}
    for split, source in sources_of(config).items():
        lines, decoding = [], Decoding()
        assumed[split], decodings[split] = lines, decoding

        def also_keep(line: str, lines: list[str] = lines) -> None:
            lines.append(line)
            remark(line)

        records = read_records(source, config.data.format, Reading.of(config.data, also_keep, decoding))
        rows = _readable(_until_broken(records, split, broken), split, config, task, checks, broken)
        tables[split] = Table.from_rows(rows, task.schema())
        if not len(tables[split]):
            raise UserError(f"data.{split}: no row can be read; the first: {_first(broken, split)}")
    counted = _counting(config)
    staged = dict(apply_stages(tables, counted, task, remark).tables)
    if config.data.validation == LEAVE_ONE_OUT:
        del staged["validation"]  # the rows of train
    return Inspected(config, task, staged, broken, assumed, decodings)


def _readable(
    records: Iterator[Record],
    split: str,
    config: Config,
    task: Task,
    checks: Sequence[Check],
    broken: list[BrokenRow],
) -> Iterator[dict[str, Any]]:
    """The rows that the task can read; the others go to `broken`."""
    for number, record in enumerate(records):
        for check in checks:
            check.see(split, record, config)
        try:
            yield task.parse(record)
        except BadRow as error:
            broken.append(BrokenRow(split, record.where, error.kind, str(error)))
        except UserError as error:
            if not number:
                raise  # a column that the first row lacks is a mistake in the config
            broken.append(BrokenRow(split, record.where, "a missing column", str(error)))


def _until_broken(records: Iterator[Record], split: str, broken: list[BrokenRow]) -> Iterator[Record]:
    """Records up to one behind which a file can't be read on; that is told as a broken row."""
    where = None
    try:
        for record in records:
            where = record.where
            yield record
    except UserError as error:
        if where is None:
            raise
        broken.append(BrokenRow(split, where, "a file that can't be read on behind it", str(error)))


def _first(broken: Sequence[BrokenRow], split: str) -> str:
    return next(row.message for row in broken if row.split == split)


def _counting(config: Config) -> Config:
    """The config with `keep` where `data.clean` would refuse: an inspection counts."""
    clean = config.data.clean
    if clean is None:
        return config
    actions = {key: "keep" if action == "fail" else action for key, action in clean.model_dump().items()}
    data = config.data.model_copy(update={"clean": CleanConfig.model_validate(actions)})
    return config.model_copy(update={"data": data})
