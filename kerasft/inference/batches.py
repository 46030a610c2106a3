"""Answers to many texts: batches of texts of like length, two at a time, and the answers in the order of the texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from kerasft.console.terminal import Terminal
from kerasft.data.batching.batching import MEGA_BATCH
from kerasft.data.sources.sources import Record
from kerasft.inference.export import Servable
from kerasft.inference.text_index import TextIndex
from kerasft.models.tokenizers.token_counts import token_counts
from kerasft.runs import Trained
from kerasft.serving.drift.reference import SIGNATURE
from kerasft.serving.formats.converted import Converted
from kerasft.training.layers.fused_layers import ACTIVATIONS, chosen_forms, fused_layers
from kerasft.training.layers.kernel_layers import kernels_ready
from kerasft.training.layers.precision import bfloat16_products

if TYPE_CHECKING:
    from kerasft.inference.local import LocalPredictor

FIRST_BATCHES = 8  # of the first window: answers come soon, and batches of it have little padding
AT_ONCE = 2  # batches: one is in the model while the other is tokenized or written down

Rows = list[dict[str, str]]
Columns = Mapping[str, list[str]]
Lengths = Callable[[Columns], np.ndarray]
Answers = Callable[[Rows], list[dict[str, Any]]]  # rows of input -> of output


def sorted_answers(
    rows: Iterable[dict[str, str]],
    lengths: Callable[[Rows], Sequence[int]],
    answers: Callable[[Rows], list[Any]],
    batch_size: int,
    most_batches: int,
) -> Iterator[Any]:
    """One answer a row, in the order of the rows.

    Rows are read in windows of 8 batches, then 16 and so on up to `most_batches`; a window is answered before the next
    is read. In one of several batches the longest rows come first.

    Args:
        rows: of input.
        lengths: rows -> how long the model's input is for each.
        answers: a batch of rows -> their answers; it is called by two threads at the same time.
        batch_size: rows a batch.
        most_batches: 1: each batch is answered before the next is read.
    """
    rows, batches = iter(rows), min(FIRST_BATCHES, most_batches)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        while window := list(islice(rows, batches * batch_size)):
            order = list(range(len(window)))
            if len(window) > batch_size:
                order = np.argsort(-np.asarray(lengths(window)), kind="stable").tolist()
            parts = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
            batches_of_rows = [[window[i] for i in part] for part in parts]
            results = threads.map(answers, batches_of_rows)
            placed = dict(pair for part, batch_answers in zip(parts, results) for pair in zip(part, batch_answers))
            yield from (placed[i] for i in range(len(window)))
            batches = min(2 * batches, most_batches)


def with_fused_layers(
    answerer: Trained | Servable | Converted, bfloat16: bool = False, say: Callable[[str], None] = lambda line: None
) -> Trained | Servable | Converted:
    """A trained model, whose answers will come from the cheaper forms of its layers; an export, as it is.

    Args:
        answerer: not asked yet.
        bfloat16: whether products are to be of this type on a CPU; see `kerasft.training.layers.precision`.
        say: told of what takes time, and of what is missing.
    """
    if not isinstance(answerer, Trained):
        return answerer
    if answerer.task.writes:  # a decoder's calls have a form of their own
        answerer.task.generator.bfloat16 = bfloat16
    else:
        # Activations would be compiled anew for each length of texts.
        forms = [form for form in chosen_forms(None, say) if form != ACTIVATIONS]
        # Weights stay as they are now: those that kernels read are packed here, once for all answers.
        with bfloat16_products(bfloat16), fused_layers(answerer.model, forms), kernels_ready(answerer.model):
            answerer.trace()
    return answerer


def token_lengths(answerer: Trained | Servable | Converted) -> Lengths:
    """Counts the tokens of texts: string columns -> (rows,); characters where an older export counts no tokens."""
    if isinstance(answerer, Converted):
        return answerer.lengths
    names = answerer.task.inputs
    if isinstance(answerer, Trained):
        signature = {name: tf.TensorSpec([None], tf.string) for name in names}
        graph = tf.function(lambda texts: token_counts(answerer.preprocessor, texts), [signature], autograph=False)
    elif counts := answerer.loaded.signatures.get(SIGNATURE):
        graph = lambda texts: counts(**texts)  # noqa: E731
    else:
        return lambda columns: np.array([sum(map(len, row)) for row in zip(*(columns[name] for name in names))])
    return lambda columns: graph({name: tf.constant(columns[name], tf.string) for name in names})["tokens"].numpy()


def answer_lines(
    predictor: LocalPredictor, records: Iterator[Record], answers: Answers, batch_size: int, waits: bool
) -> Iterator[str]:
    """A line of JSON for each record; where somebody waits for each answer, a batch is read only after the last."""

    def answered(batch: Rows) -> list[str]:
        return [json.dumps(answer, ensure_ascii=False) for answer in answers(batch)]

    rows = (predictor.task.parse_inputs(record) for record in records)
    yield from sorted_answers(rows, predictor.lengths, answered, batch_size, 1 if waits else MEGA_BATCH)


def searched_answers(
    predictor: LocalPredictor, corpus: Iterator[Record], batch_size: int, top: int, terminal: Terminal
) -> Answers:
    """The index is made first; then each text is answered with its nearest ones."""
    index = TextIndex(predictor.answerer, corpus, batch_size)
    terminal.line(f"index: {len(index):,} texts")

    def answers(batch: Rows) -> list[dict[str, Any]]:
        vectors = predictor.answerer.answer(predictor.columns(batch))["embedding"]
        return [{**row, "nearest": nearest} for row, nearest in zip(batch, index.search(vectors, top))]

    return answers
