"""Beam search, in graph: the likeliest answer among several that grow beside each other, for each row by itself.

As Hugging Face's generate has it (transformers 5, `early_stopping=False`): an answer's score is the sum of its tokens'
log-probabilities, with that of what ends it, over its length to the power of `length_penalty`; it counts as an answer
only if it is among the best continuations when it ends; a row ends once its best beam, at the length it has, could not
come among the answers that it has. A repetition penalty is for log-probabilities, as there. One thing is otherwise:
where several tokens can end an answer, the likeliest stands for all of them, so that no answer is counted twice.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from kerasft.models.generation.choices import Choices
from kerasft.models.generation.constraint import Constraint
from kerasft.models.generation.decoder import Decoder, PrefillState
from kerasft.models.generation.stopping import StoppingCriteria
from kerasft.models.shapes import static_size
from kerasft.models.tokenizers.detokenizer import NO_TOKEN

_NEVER = float("-inf")


class _Beams(NamedTuple):
    """Between two tokens.

    Attributes:
        step: how many tokens the beams have.
        scores: (batch, beams), best first.
        generated: (batch, beams, steps) ids.
        present: (batch * beams, vocabulary), of a repetition penalty.
        held: (batch, beams) states of a constraint.
        cache: of batch * beams rows.
        answer_scores: (batch, beams), scores of answers, best first.
        answers: (batch, beams, steps) ids.
        ended: (batch,) bool.
    """

    step: tf.Tensor
    scores: tf.Tensor
    generated: tf.Tensor
    present: tf.Tensor
    held: tf.Tensor
    cache: Any
    answer_scores: tf.Tensor
    answers: tf.Tensor
    ended: tf.Tensor


class BeamSearch:
    """Searches for likely answers.

    Args:
        decoder: how the model reads.
        rules: of every answer.
        beams: how many grow beside each other, 2 or more.
        length_penalty: 0: the likeliest answer; the larger, the longer.
        constraint: what answers are held to. An answer that nothing may follow is complete without an end token.
    """

    def __init__(
        self,
        decoder: Decoder,
        rules: StoppingCriteria,
        beams: int,
        length_penalty: float,
        constraint: Constraint | Choices | None = None,
    ):
        self._constraint = constraint
        self._decoder, self._stopping, self._width, self._length_penalty = decoder, rules, beams, length_penalty

    def __call__(self, state_of_prompt: PrefillState, limits: tf.Tensor) -> tf.Tensor:
        """The best answer of each row.

        Args:
            begun: what the answers follow.
            limits: (batch,) int32, most tokens of each.

        Returns:
            (batch, steps) int32 ids, NO_TOKEN from an answer's end on.
        """
        rows = tf.shape(limits)[0]
        steps = tf.reduce_max(tf.concat([limits, [1]], 0))
        each = tf.repeat(tf.range(rows), self._width)  # (batch * beams,) rows that beams belong to
        nothing = tf.fill([rows, self._width, steps], NO_TOKEN)
        none = tf.fill([rows, self._width], _NEVER)
        # All beams begin alike: one is enough for the first step.
        scores = tf.concat([tf.zeros_like(none[:, :1]), none[:, 1:]], axis=1)
        prompt_ids = tf.where(
            tf.sequence_mask(state_of_prompt.lengths, tf.shape(state_of_prompt.token_ids)[1]),
            state_of_prompt.token_ids,
            NO_TOKEN,
        )
        present = tf.gather(self._stopping.seen_tokens(None, prompt_ids), each)
        held, ended = tf.zeros([rows, self._width], tf.int32), limits < 1
        if self._constraint is not None:
            first = self._constraint.start(prompt_ids)  # (batch,)
            held, ended = held + first[:, tf.newaxis], ended | self._constraint.impossible(first, limits)
        cache = _gathered(state_of_prompt.cache, each)
        start = _Beams(tf.constant(0), scores, nothing, present, held, cache, none, nothing, ended)
        first = self._grow(start, limits, tf.gather(state_of_prompt.hidden, each))
        (last,) = tf.while_loop(
            lambda state: ~tf.reduce_all(state.ended),
            lambda state: (self._go_on(state, state_of_prompt, limits),),
            (first,),
            parallel_iterations=1,
        )
        return last.answers[:, 0]

    def _go_on(self, state: _Beams, state_of_prompt: PrefillState, limits: tf.Tensor) -> _Beams:
        """Reads the newest token of each beam and lets all grow by one."""
        # A row that has ended reads on to no effect, within the cache.
        positions = tf.repeat(state_of_prompt.lengths + tf.minimum(state.step, limits) - 1, self._width)
        newest = tf.reshape(state.generated[:, :, state.step - 1], [-1])  # (batch, beams) -> (batch * beams,)
        hidden, cache = self._decoder.decode_step(tf.maximum(newest, 0), positions, state.cache, state_of_prompt.shared)
        return self._grow(state._replace(cache=cache), limits, hidden)

    def _grow(self, state: _Beams, limits: tf.Tensor, hidden: tf.Tensor) -> _Beams:
        """One token more, from (batch * beams, hidden) of what the beams have so far."""
        ending, scores, origin, token = self._continued(state, limits, hidden)
        generated = tf.gather(state.generated, origin, batch_dims=1)  # (batch, candidates, steps)
        here = tf.range(tf.shape(generated)[2]) == state.step
        generated = tf.where(here, token[..., tf.newaxis], generated)
        count = state.step + 1
        newest = generated[:, :, self._stopping.recent(count) : count]  # (batch, candidates, recent)
        stopped = tf.reshape(self._stopping.stopped(tf.reshape(newest, [-1, tf.shape(newest)[2]])), tf.shape(token))
        held = tf.gather(state.held, origin, batch_dims=1)  # (batch, candidates)
        if self._constraint is not None:
            held = self._constraint.step(held, token)
            stopped |= self._constraint.complete(held)
        last = count >= limits
        answer_scores, answers = self._answered(state, ending, scores, generated, stopped | last[:, tf.newaxis])

        scores, best = tf.math.top_k(tf.where(stopped, _NEVER, scores), self._width)
        # (batch, candidates, ...) -> (batch, beams, ...)
        generated, origin, token, held = (
            tf.gather(each, best, batch_dims=1) for each in (generated, origin, token, held)
        )
        flat = tf.reshape(origin + self._width * tf.range(tf.shape(origin)[0])[:, tf.newaxis], [-1])  # (batch * beams,)
        present = self._stopping.seen_tokens(tf.gather(state.present, flat), tf.reshape(token, [-1, 1]))
        ended = state.ended | last | (self._normal(scores[:, 0], count) <= answer_scores[:, -1])
        cache = _gathered(state.cache, flat)
        return _Beams(count, scores, generated, present, held, cache, answer_scores, answers, ended)

    def _continued(
        self, state: _Beams, limits: tf.Tensor, hidden: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Scores of beams that end now (batch, beams); of the best that go on, and their beam and token."""
        likely = tf.nn.log_softmax(
            self._stopping.within_vocabulary(self._decoder.logits(hidden))
        )  # (batch * beams, vocabulary)
        likely = self._stopping.penalised(likely, state.present)
        if self._constraint is not None:
            left = tf.repeat(limits - state.step, self._width)
            likely = self._constraint.allowed(likely, tf.reshape(state.held, [-1]), left)
            likely = tf.where(likely > likely.dtype.min, likely, _NEVER)
        size = static_size(likely, 1)
        # (batch, beams, 1) + (batch, beams, vocabulary)
        total = state.scores[..., tf.newaxis] + tf.reshape(likely, [-1, self._width, size])
        ends = tf.constant(self._stopping.special)
        ending = tf.reduce_max(tf.where(ends, total, _NEVER), axis=2)
        going = tf.reshape(tf.where(ends, _NEVER, total), [-1, self._width * size])  # (batch, beams * vocabulary)
        # Of those that complete a stop text, or an answer, none goes on; others then take their place.
        more = self._stopping.stops or self._constraint is not None
        scores, indices = tf.math.top_k(going, min(1 + more, size) * self._width)
        return ending, scores, indices // size, indices % size

    def _answered(
        self, state: _Beams, ending: tf.Tensor, scores: tf.Tensor, generated: tf.Tensor, complete: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores and ids of the best answers so far, with those that end at this step."""
        best, indices = tf.math.top_k(
            tf.concat([ending, scores], axis=1), self._width
        )  # of (batch, beams + candidates)
        ends = tf.gather(tf.concat([tf.ones_like(ending, tf.bool), complete], axis=1), indices, batch_dims=1)
        new = tf.where(ends, self._normal(best, state.step + 1), _NEVER)
        grown = tf.gather(tf.concat([state.generated, generated], axis=1), indices, batch_dims=1)
        answer_scores, indices = tf.math.top_k(tf.concat([state.answer_scores, new], axis=1), self._width)
        answers = tf.gather(tf.concat([state.answers, grown], axis=1), indices, batch_dims=1)
        ended = state.ended
        return (
            tf.where(ended[:, tf.newaxis], state.answer_scores, answer_scores),
            tf.where(ended[:, tf.newaxis, tf.newaxis], state.answers, answers),
        )

    def _normal(self, scores: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        return scores / tf.cast(length, tf.float32) ** self._length_penalty


def _gathered(cache: Any, rows: tf.Tensor) -> Any:
    return tf.nest.map_structure(lambda part: tf.gather(part, rows), cache)
