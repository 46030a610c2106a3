"""Prompts -> answers, in graph: token by token, each row by itself whatever stands beside it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from kerasft.config.text_generation import DecodingConfig
from kerasft.models.generation.beam_search import BeamSearch
from kerasft.models.generation.choices import Choices
from kerasft.models.generation.constraint import Constraint
from kerasft.models.generation.decoder import Decoder, PrefillState
from kerasft.models.generation.held_weights import Held, held_weights
from kerasft.models.generation.sampling import choose, seeds_of_prompts
from kerasft.models.generation.stopping import StoppingCriteria
from kerasft.models.tokenizers.detokenizer import NO_TOKEN, Detokenizer


class SamplingParams(NamedTuple):
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

    prefill: Callable[..., tuple[_Request, _State]]
    decode_step: Callable[[_Request, _State], _State]


class _State(NamedTuple):
    """Between two tokens: how many were written, the newest of each row, and what the next depends on."""

    step: tf.Tensor
    token: tf.Tensor
    ended: tf.Tensor
    present: tf.Tensor
    generated: tf.Tensor
    held: tf.Tensor
    cache: Any


class Generator:
    """Writes answers with a decoder.

    Args:
        decoder: how the model reads.
        detokenizer: of its tokenizer.
        decoding: what is the same for all requests, and for those that wish for nothing.
        constraint: what answers are held to; None: any text. A request for fewer tokens than the shortest answer takes
            gets an empty one.

    Attributes:
        bfloat16: whether products are in bfloat16 while an answer goes on, of weights that are cast once a call and of
            keys and values that are kept so; not of `stream`. What is read first is left to the graph's caller.
        stored: of layers, by their id, the weights that products are by while an answer goes on, of `stream`, too;
            they are given before anything is asked. None: those that the model was loaded with.
    """

    bfloat16 = False
    stored: Mapping[int, Held] | None = None

    def __init__(
        self,
        decoder: Decoder,
        detokenizer: Detokenizer,
        decoding: DecodingConfig,
        constraint: Constraint | Choices | None = None,
    ):
        self.decoder, self.detokenizer, self.decoding = decoder, detokenizer, decoding
        self._stopping, self._constraint = StoppingCriteria(detokenizer, decoding), constraint

    def sampling_params(self, features: Mapping[str, tf.Tensor]) -> SamplingParams:
        """Those of the config, in the form of `__call__`."""
        settings = self.decoding
        token_ids, lengths = self.decoder.prompt_ids(features)

        def column(value: float, dtype: tf.DType) -> tf.Tensor:
            return tf.fill(tf.shape(lengths), tf.constant(value, dtype))

        return SamplingParams(
            column(settings.max_new_tokens, tf.int32),
            column(settings.temperature, tf.float32),
            column(settings.top_p, tf.float32),
            seeds_of_prompts(token_ids, lengths, settings.seed),
        )

    @tf.autograph.experimental.do_not_convert
    def __call__(self, features: Mapping[str, tf.Tensor], sampling_params: SamplingParams) -> dict[str, tf.Tensor]:
        """Answers, which end before an end token, before a stop text, or after as many tokens as were wished for.

        Args:
            features: what the decoder reads.
            sampling_params: of each row.

        Returns:
            `text` (batch,) valid UTF-8, and `tokens` (batch,) int32, how many were written.
        """
        generated, prompt_ids = self._generate(features, sampling_params)  # (batch, steps), (batch, longest)
        return {
            "text": self._stopping.text(generated, prompt_ids),
            "tokens": tf.reduce_sum(tf.cast(generated >= 0, tf.int32), axis=1),
        }

    def stream(self, features: Mapping[str, tf.Tensor], sampling_params: SamplingParams) -> Iterator[int]:
        """Eagerly, for one row: the ids of `__call__`'s answer, each as soon as it is there.

        Args are those of `__call__`, with a batch of 1. What completes a stop text is among the ids. There are no beams
        here: which of them is the answer is known at its end.
        """
        request, state = self._steps.prefill(features, sampling_params)
        while (token := int(state.token[0])) != NO_TOKEN:
            yield token
            if bool(state.ended[0]):
                return
            state = self._steps.decode_step(request, state)

    @functools.cached_property
    def _steps(self) -> _Steps:
        return _Steps(
            *(tf.function(step, reduce_retracing=True, autograph=False) for step in (self._begin, self._next))
        )

    def _generate(
        self, features: Mapping[str, tf.Tensor], sampling_params: SamplingParams
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """(batch, steps) ids, NO_TOKEN from a row's end on, and (batch, longest) those that they follow."""
        limits = self._limits(sampling_params)
        state_of_prompt = self.decoder.prefill(features, limits)
        if self.decoding.beams > 1:
            settings = self.decoding.beams, self.decoding.length_penalty
            search = BeamSearch(self.decoder, self._stopping, *settings, self._constraint)
            state_of_prompt = state_of_prompt._replace(
                cache=self._in_product_type(state_of_prompt.cache), shared=self._in_product_type(state_of_prompt.shared)
            )
            with self._products():
                return search(state_of_prompt, limits), _prompt_ids(state_of_prompt)
        request, first = self._first(state_of_prompt, limits, sampling_params)
        request = request._replace(shared=self._in_product_type(request.shared))
        with self._products():
            (last,) = tf.while_loop(
                lambda state: ~tf.reduce_all(state.ended),
                lambda state: (self._go_on(request, state),),
                (first._replace(cache=self._in_product_type(first.cache)),),
                parallel_iterations=1,
            )
        return tf.transpose(last.generated), _prompt_ids(state_of_prompt)

    def _products(self) -> contextlib.AbstractContextManager[None]:
        held = self.bfloat16 or self.stored is not None
        return held_weights(self.decoder.backbone, self.stored) if held else contextlib.nullcontext()

    def _in_product_type(self, parts: Any) -> Any:
        """What a decoder looks up at each token, in the type of its products."""
        cast = lambda part: tf.cast(part, tf.bfloat16) if part.dtype == tf.float32 else part  # noqa: E731
        return tf.nest.map_structure(cast, parts) if self.bfloat16 else parts

    def _limits(self, sampling_params: SamplingParams) -> tf.Tensor:
        return tf.clip_by_value(sampling_params.max_new_tokens, 0, self.decoder.max_length - 1)

    def _begin(self, features: Mapping[str, tf.Tensor], sampling_params: SamplingParams) -> tuple[_Request, _State]:
        """Reads what is given and writes the first token of each row."""
        limits = self._limits(sampling_params)
        return self._first(self.decoder.prefill(features, limits), limits, sampling_params)

    def _first(
        self, state_of_prompt: PrefillState, limits: tf.Tensor, sampling_params: SamplingParams
    ) -> tuple[_Request, _State]:
        rows, steps = tf.shape(limits)[0], tf.reduce_max(tf.concat([limits, [1]], 0))
        request = _Request(
            state_of_prompt.lengths,
            limits,
            sampling_params.seed,
            sampling_params.temperature,
            sampling_params.top_p,
            state_of_prompt.shared,
        )
        nothing, present = (
            tf.fill([steps, rows], NO_TOKEN),
            self._stopping.seen_tokens(None, _prompt_ids(state_of_prompt)),
        )
        ended, held = limits < 1, tf.zeros_like(limits)
        if self._constraint is not None:
            held = self._constraint.start(_prompt_ids(state_of_prompt))
            ended |= self._constraint.impossible(held, limits)
        start = _State(tf.constant(0), nothing[0], ended, present, nothing, held, state_of_prompt.cache)
        return request, self._write(request, start, state_of_prompt.hidden, state_of_prompt.cache)

    def _next(self, request: _Request, state: _State) -> _State:
        """`_go_on` in a graph of its own, where weights that are cast first would be cast for each token."""
        with contextlib.nullcontext() if self.stored is None else self._products():
            return self._go_on(request, state)

    def _go_on(self, request: _Request, state: _State) -> _State:
        """Reads the newest token of each row and writes one more."""
        # A row that has ended reads on to no effect, within the cache.
        positions = request.lengths + tf.minimum(state.step, request.limits) - 1
        hidden, cache = self.decoder.decode_step(tf.maximum(state.token, 0), positions, state.cache, request.shared)
        return self._write(request, state, hidden, cache)

    def _write(self, request: _Request, state: _State, hidden: tf.Tensor, cache: Any) -> _State:
        """One token more of each row, from (batch, hidden) of what it has so far."""
        logits = self._stopping.penalised(self._stopping.within_vocabulary(self.decoder.logits(hidden)), state.present)
        if self._constraint is not None:
            logits = self._constraint.allowed(logits, state.held, request.limits - state.step)
        sampling = request.seed, state.step, request.temperature, request.top_p
        token = choose(logits, *sampling, self.decoding.top_k)
        ended = state.ended | tf.gather(tf.constant(self._stopping.special), token)
        token = tf.where(ended, NO_TOKEN, token)
        generated = tf.tensor_scatter_nd_update(state.generated, [[state.step]], token[tf.newaxis])
        count = state.step + 1
        stopped = self._stopping.stopped(tf.transpose(generated[self._stopping.recent(count) : count]))
        ended |= (count >= request.limits) | stopped
        present, held = self._stopping.seen_tokens(state.present, token[:, tf.newaxis]), state.held
        if self._constraint is not None:
            held = self._constraint.step(held, token)
            ended |= self._constraint.complete(held)
        return _State(count, token, ended, present, generated, held, cache)


def _prompt_ids(state_of_prompt: PrefillState) -> tf.Tensor:
    """(batch, longest) what an answer follows in its row, NO_TOKEN behind it."""
    here = tf.sequence_mask(state_of_prompt.lengths, tf.shape(state_of_prompt.token_ids)[1])
    return tf.where(here, state_of_prompt.token_ids, NO_TOKEN)
