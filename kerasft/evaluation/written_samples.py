"""Rows of a split that a model goes on from, to be looked at beside what stood there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tensorflow as tf

from kerasft.data.prepared.next_tokens import NextTokens
from kerasft.data.prepared.prepared import Prepared

if TYPE_CHECKING:
    from kerasft.models.generation.generator import Generator

WRITTEN_AT_ONCE = 8  # samples a call of the model


class Sample(NamedTuple):
    """(tokens,) ids that are given, and those that follow them in the data."""

    prompt: np.ndarray
    rest: np.ndarray


def halves(split: NextTokens, most: int, seed: int, special: np.ndarray) -> list[Sample]:
    """Rows drawn by the seed, in the order of the split, cut in the middle, within the document that stands there.

    Args:
        split: rows of one token are left out.
        most: rows.
        seed: of the draw.
        special: (vocabulary,) bool, tokens that part documents.
    """
    samples = []
    for row in draw_rows(np.flatnonzero(split.lengths > 1), most, seed):
        tokens = slice(split.offsets[row], split.offsets[row + 1])
        half = (tokens.stop - tokens.start) // 2
        prompt, rest = np.array(split.features["token_ids"][tokens][:half]), np.array(split.targets[tokens][half - 1 :])
        # What parts documents also begins one: a prompt of it alone asks for a whole new text.
        first = max(np.flatnonzero(special[prompt]), default=0)
        samples.append(Sample(prompt[first:], rest[: next(iter(np.flatnonzero(special[rest])), len(rest))]))
    return samples


def answered(split: NextTokens, most: int, seed: int, special: np.ndarray) -> list[Sample]:
    """Answers drawn by the seed, in the order of the split: what stands before each in its row, and the answer itself.

    The token that ends an answer is left out. Arguments are those of `halves`; rows are those of `prepare_answers` or
    `prepare_dialogues`, where a row may have several answers.
    """
    samples = []
    starts, stops = _answer_bounds(split)
    for answer in draw_rows(np.arange(len(starts)), most, seed):
        start, stop = starts[answer], stops[answer]
        row = split.offsets[np.searchsorted(split.offsets, start, side="right") - 1]
        rest = np.array(split.targets[start:stop])
        prompt = np.array(split.features["token_ids"][row : start + 1])
        samples.append(Sample(prompt, rest[: len(rest) - special[rest[-1]]]))
    return samples


def _answer_bounds(split: NextTokens) -> tuple[np.ndarray, np.ndarray]:
    """(answers,) the first token of each stretch of a row that is to be said, and one past its last."""
    has_target = np.asarray(split.targets) >= 0
    opens, closes = has_target.copy(), has_target.copy()
    opens[1:] &= ~has_target[:-1]
    closes[:-1] &= ~has_target[1:]
    opens[split.offsets[:-1]] = has_target[split.offsets[:-1]]
    closes[split.offsets[1:] - 1] = has_target[split.offsets[1:] - 1]
    return np.flatnonzero(opens), np.flatnonzero(closes) + 1


def draw_rows(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Some of the rows, in their order."""
    return np.sort(np.random.default_rng(seed).permutation(rows)[:most])


def write(generator: Generator, prompts: list[np.ndarray]) -> Iterator[str]:
    """Goes on from prompts, (tokens,) ids each, as a server would."""

    def batches() -> Iterator[dict[str, np.ndarray]]:
        for start in range(0, len(prompts), WRITTEN_AT_ONCE):
            some = prompts[start : start + WRITTEN_AT_ONCE]
            lengths = np.array([len(prompt) for prompt in some], np.int32)
            ids = np.zeros((len(some), lengths.max()), np.int32)
            for row, prompt in zip(ids, some):
                row[: len(prompt)] = prompt
            yield {"token_ids": ids, "lengths": lengths}

    return _answers(generator, batches())


def write_answers(generator: Generator, inputs: Prepared, rows: np.ndarray) -> Iterator[str]:
    """Answers to (rows,) of what an encoder reads, as a server would write them."""
    batches = (rows[start : start + WRITTEN_AT_ONCE] for start in range(0, len(rows), WRITTEN_AT_ONCE))
    return _answers(generator, (inputs.batch(batch)[0] for batch in batches))


def _answers(generator: Generator, batches: Iterable[Mapping[str, np.ndarray]]) -> Iterator[str]:
    batches = list(batches)
    specs = {name: tf.TensorSpec([None] * values.ndim, values.dtype) for name, values in batches[0].items()}

    @tf.function(input_signature=[specs], autograph=False)
    def answer(features):
        return generator(features, generator.sampling_params(features))["text"]

    for features in batches:
        texts = answer({name: tf.constant(values) for name, values in features.items()})
        yield from (text.decode("utf-8") for text in texts.numpy().tolist())
