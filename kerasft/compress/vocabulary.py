"""`method=vocabulary`: the tokens of a corpus alone, for models whose table of tokens is most of them.

Texts of kept tokens have the logits that they had, bit for bit: the rows of the table are the same, and the tokenizer
cuts such texts as before (`kept_tokens`). Other texts are cut into smaller tokens (Abdaoui et al. 2020,
arXiv:2010.05609, keep the tokens of some languages in this way; TextPruner those of a task).
"""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from kerasft.assembly import head_of
from kerasft.compress.base import Method, Smaller, Source
from kerasft.compress.kept_tokens import token_ids_of, trimmed
from kerasft.compress.smaller_backbone import vocabulary_key, with_rows
from kerasft.config.compress import VocabularyConfig
from kerasft.data.prepared.prepared import TEXTS_A_BATCH
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import Record, read_records
from kerasft.errors import UserError
from kerasft.models.presets.masked_lm_weights import HEAD
from kerasft.models.tokenizers.encoder import clean
from kerasft.tasks.base import TOKEN_IDS, Task


class Vocabulary(Method[VocabularyConfig]):
    """Trims the tokenizer, the table of token embeddings, and what else has a row for each token."""

    def apply(self, source: Source) -> Smaller:
        assembled = source.assembled
        used = token_ids_of(source.prepared.features.items())
        if source.prepared.token_targets and assembled.task is not None and assembled.task.writes:
            used = np.union1d(used, np.unique(source.prepared.targets[source.prepared.targets >= 0]))
        if self.settings.corpus is not None:
            used = np.union1d(used, self._corpus_ids(source))
        named = _named_tokens(assembled.task)
        used = np.union1d(used, np.array([number for ids in named.values() for number in ids], np.int64))
        before = int(assembled.backbone.get_config()[vocabulary_key(assembled.backbone)])
        tokenizer, rows = trimmed(assembled.tokenizer, used)
        if len(rows) == before:
            raise UserError(f"method=vocabulary: {source.run.folder} uses all of its {before:,} tokens; none can go")
        source.line(f"vocabulary: {len(rows):,} of {before:,} tokens stay")
        facts = {"tokens": len(rows), "parent_tokens": before}
        places = {number: place for place, number in enumerate(rows.tolist())}
        state = {key: [places[number] for number in ids] for key, ids in named.items()}
        return Smaller(with_rows(assembled.backbone, rows), tokenizer, _head_rows(source, before, rows), facts, state)

    def _corpus_ids(self, source: Source) -> np.ndarray:
        """The ids in `corpus`, none of whose texts is cut."""
        corpus, config = self.settings.corpus, source.run.config
        assert corpus is not None
        encoder = source.assembled.preprocessor.encoder
        ids = tf.function(lambda texts: encoder(clean(texts)).flat_values, [tf.TensorSpec([None], tf.string)], False)
        records = read_records(corpus, reading=Reading.of(config.data, source.line))
        seen = [np.unique(ids(tf.constant(texts)).numpy()) for texts in _batches(_texts(records, config.data.columns))]
        if not seen:
            raise UserError(f"corpus: {corpus} has no text in the columns {sorted(config.data.columns.values())}")
        return np.unique(np.concatenate(seen))


def _named_tokens(task: Task | None) -> dict[str, list[int]]:
    """What of a task's state are ids of tokens."""
    return {} if task is None else {key: list(task.state[key]) for key in TOKEN_IDS if task.state.get(key)}


def _head_rows(source: Source, before: int, rows: np.ndarray) -> dict[str, np.ndarray]:
    """What of a head has an entry for each token: the bias of a masked language model's output."""
    values = {path: keras.ops.convert_to_numpy(variable) for path, variable in head_of(source.assembled).items()}
    of_tokens = {path: value for path, value in values.items() if path.startswith(f"{HEAD}/")}
    return {path: value[rows] for path, value in of_tokens.items() if value.shape == (before,)}


def _texts(records: Iterator[Record], columns: dict[str, str]) -> Iterator[str]:
    """Every text of a record, of the columns that the config names, or of plain text."""
    names = {*columns.values(), *columns, "text"}
    for record in records:
        for name, value in record.values.items():
            if name in names:
                yield from _strings(value)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):  # tokens of a sentence, turns of a dialogue
        for inner in value:
            yield from _strings(inner)


def _batches(texts: Iterator[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == TEXTS_A_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
