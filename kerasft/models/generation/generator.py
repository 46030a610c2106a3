"""Prompts -> answers, in graph: token by token, each row by itself whatever stands beside it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from kerasft.config.text_generation import Decoding
from kerasft.models.generation.beam_search import BeamSearch
from kerasft.models.generation.bfloat16_weights import held_weights
from kerasft.models.generation.decoder import Begun, Decoder
from kerasft.models.generation.sampling import choose, seeds_of_prompts
from kerasft.models.generation.stopping import AnswerRules
from kerasft.models.tokenizers.detokenizer import NO_TOKEN, Detokenizer


class Wishes(NamedTuple):
    """What a request says of its answer, (batch,) each.

    Attributes:
        max_new_tokens: int32; below 1: none.
        temperature: float32; not above 0: the likeliest tokens.
        top_p: float32.
        seed: int64.
    """

    max_new_tokens: tf.Tensor
    temperature: tf.Tensor
    top_p: tf.Tensor
    seed: tf.Tensor


class _Request(NamedTuple):
    """What stays the same while answers are written: (batch,) each, and what the decoder shares among them."""

    lengths: tf.Tensor
    limits: tf.Tensor
    seed: tf.Tensor
    temperature: tf.Tensor
    top_p: tf.Tensor
    shared: Any


class _Steps(NamedTuple):
    """Traced once for all streams."""

    begin: Callable[..., tuple[_Request, _State]]
    go_on: Callable[[_Request, _State], _State]


class _State(NamedTuple):
    """Between two tokens: how many were written, the newest of each row, and what the next depends on."""

    step: tf.Tensor
    token: tf.Tensor
    ended: tf.Tensor
    present: tf.Tensor
    written: tf.Tensor
    cache: Any


class Generator:
    """Writes answers with a decoder.

    Args:
        decoder: how the model reads.
        detokenizer: of its tokenizer.
        decoding: what is the same for all requests, and for those that wish for nothing.

    Attributes:
        bfloat16: whether products are in bfloat16 while an answer goes on, of weights that are cast once a call and of
            keys and values that are kept so; not of `stream`. What is read first is left to the graph's caller.
    """

    bfloat16 = False

    def __init__(self, decoder: Decoder, detokenizer: Detokenizer, decoding: Decoding):
        self.decoder, self.detokenizer, self.decoding = decoder, detokenizer, decoding
        self._rules = AnswerRules(detokenizer, decoding)

    def wishes(self, features: Mapping[str, tf.Tensor]) -> Wishes:
        """Those of the config, in the form of `__call__`."""
        told = self.decoding
        token_ids, lengths = self.decoder.asked(features)

        def column(value: float, dtype: tf.DType) -> tf.Tensor:
            return tf.fill(tf.shape(lengths), tf.constant(value, dtype))

        return Wishes(
            column(told.max_new_tokens, tf.int32),
            column(told.temperature, tf.float32),
            column(told.top_p, tf.float32),
            seeds_of_prompts(token_ids, lengths, told.seed),
        )

    @tf.autograph.experimental.do_not_convert
    def __call__(self, features: Mapping[str, tf.Tensor], wishes: Wishes) -> dict[str, tf.Tensor]:
        """Answers, which end before an end token, before a stop text, or after as many tokens as were wished for.

        Args:
            features: what the decoder reads.
            wishes: of each row.

        Returns:
            `text` (batch,) valid UTF-8, and `tokens` (batch,) int32, how many were written.
        """
        written, given = self._written(features, wishes)  # (batch, steps), (batch, longest)
        return {
            "text": self._rules.text(written, given),
            "tokens": tf.reduce_sum(tf.cast(written >= 0, tf.int32), axis=1),
        }

    def stream(self, features: Mapping[str, tf.Tensor], wishes: Wishes) -> Iterator[int]:
        """Eagerly, for one row: the ids of `__call__`'s answer, each as soon as it is there.

        Args are those of `__call__`, with a batch of 1. What completes a stop text is among the ids. There are no beams
        here: which of them is the answer is known at its end.
        """
        request, state = self._steps.begin(features, wishes)
        while (token := int(state.token[0])) != NO_TOKEN:
            yield token
            if bool(state.ended[0]):
                return
            state = self._steps.go_on(request, state)

    @functools.cached_property
    def _steps(self) -> _Steps:
        return _Steps(
            *(tf.function(step, reduce_retracing=True, autograph=False) for step in (self._begin, self._go_on))
        )

    def _written(self, features: Mapping[str, tf.Tensor], wishes: Wishes) -> tuple[tf.Tensor, tf.Tensor]:
        """(batch, steps) ids, NO_TOKEN from a row's end on, and (batch, longest) those that they follow."""
        limits = self._limits(wishes)
        begun = self.decoder.begin(features, limits)
        if self.decoding.beams > 1:
            search = BeamSearch(self.decoder, self._rules, self.decoding.beams, self.decoding.length_penalty)
            begun = begun._replace(cache=self._kept(begun.cache), shared=self._kept(begun.shared))
            with self._products():
                return search(begun, limits), _given(begun)
        request, first = self._first(begun, limits, wishes)
        request = request._replace(shared=self._kept(request.shared))
        with self._products():
            (last,) = tf.while_loop(
                lambda state: ~tf.reduce_all(state.ended),
                lambda state: (self._go_on(request, state),),
                (first._replace(cache=self._kept(first.cache)),),
                parallel_iterations=1,
            )
        return tf.transpose(last.written), _given(begun)

    def _products(self) -> contextlib.AbstractContextManager[None]:
        return held_weights(self.decoder.backbone) if self.bfloat16 else contextlib.nullcontext()

    def _kept(self, parts: Any) -> Any:
        """What a decoder looks up at each token, in the type of its products."""
        cast = lambda part: tf.cast(part, tf.bfloat16) if part.dtype == tf.float32 else part  # noqa: E731
        return tf.nest.map_structure(cast, parts) if self.bfloat16 else parts

    def _limits(self, wishes: Wishes) -> tf.Tensor:
        return tf.clip_by_value(wishes.max_new_tokens, 0, self.decoder.max_length - 1)

    def _begin(self, features: Mapping[str, tf.Tensor], wishes: Wishes) -> tuple[_Request, _State]:
        """Reads what is given and writes the first token of each row."""
        limits = self._limits(wishes)
        return self._first(self.decoder.begin(features, limits), limits, wishes)

    def _first(self, begun: Begun, limits: tf.Tensor, wishes: Wishes) -> tuple[_Request, _State]:
        rows, steps = tf.shape(limits)[0], tf.reduce_max(tf.concat([limits, [1]], 0))
        request = _Request(begun.lengths, limits, wishes.seed, wishes.temperature, wishes.top_p, begun.shared)
        nothing, present = tf.fill([steps, rows], NO_TOKEN), self._rules.noted(None, _given(begun))
        start = _State(tf.constant(0), nothing[0], limits < 1, present, nothing, begun.cache)
        return request, self._write(request, start, begun.hidden, begun.cache)

    def _go_on(self, request: _Request, state: _State) -> _State:
        """Reads the newest token of each row and writes one more."""
        # A row that has ended reads on to no effect, within the cache.
        places = request.lengths + tf.minimum(state.step, request.limits) - 1
        hidden, cache = self.decoder.go_on(tf.maximum(state.token, 0), places, state.cache, request.shared)
        return self._write(request, state, hidden, cache)

    def _write(self, request: _Request, state: _State, hidden: tf.Tensor, cache: Any) -> _State:
        """One token more of each row, from (batch, hidden) of what it has so far."""
        logits = self._rules.penalised(self._rules.known(self.decoder.logits(hidden)), state.present)
        drawn_by = request.seed, state.step, request.temperature, request.top_p
        token = choose(logits, *drawn_by, self.decoding.top_k)
        ended = state.ended | tf.gather(tf.constant(self._rules.special), token)
        token = tf.where(ended, NO_TOKEN, token)
        written = tf.tensor_scatter_nd_update(state.written, [[state.step]], token[tf.newaxis])
        count = state.step + 1
        stopped = self._rules.stopped(tf.transpose(written[self._rules.recent(count) : count]))
        ended |= (count >= request.limits) | stopped
        present = self._rules.noted(state.present, token[:, tf.newaxis])
        return _State(count, token, ended, present, written, cache)


def _given(begun: Begun) -> tf.Tensor:
    """(batch, longest) what an answer follows in its row, NO_TOKEN behind it."""
    here = tf.sequence_mask(begun.lengths, tf.shape(begun.token_ids)[1])
    return tf.where(here, begun.token_ids, NO_TOKEN)
