"""A dialogue with a trained model: what was said, as far as there is room, and the answer as it is written."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf

from kerasft.models.chat_template import SYSTEM, Message
from kerasft.models.streamed_text import streamed_text
from kerasft.runs import Trained
from kerasft.tasks.text_generation import TextGeneration


class Conversation:
    """Turns of a user and of a model of mode chat.

    Args:
        trained: the model.
        system: the first turn's content; None: the config's.
    """

    def __init__(self, trained: Trained, system: str | None = None):
        task: TextGeneration = trained.task
        self._generator, self._reader = task.generator, trained.preprocessor
        self._template, self._user = task.mode.template, task.config.task.chat.turns[0]
        self._told = self._generator.decoding
        self._messages = [] if system is None else [Message(SYSTEM, system)]
        self._tokens = tf.function(self._reader, input_signature=[{"prompt": tf.TensorSpec([None], tf.string)}])

    def ask(self, text: str) -> Iterator[str]:
        """Pieces of the answer. The turn and what was written of its answer are then part of the dialogue.

        Where an iteration is left early, the answer is what there was by then.
        """
        self._messages.append(Message(self._user, text))
        features = self._prompt()
        written: list[str] = []
        try:
            spelt = self._generator.detokenizer.spelt
            tokens = (spelt[token] for token in self._generator.stream(features, self._generator.wishes(features)))
            for piece in streamed_text(tokens, self._told.stop):
                written.append(piece)
                yield piece
        finally:
            self._messages.append(Message(self._template.speaker, "".join(written).strip()))

    def forget(self) -> None:
        """Begins anew, with the system turn alone."""
        self._messages = [message for message in self._messages[:1] if message.role == SYSTEM]

    def _prompt(self) -> dict[str, tf.Tensor]:
        """The dialogue as the decoder reads it; its oldest turns are forgotten where an answer would have no room."""
        room = self._reader.max_length - self._told.max_new_tokens
        while True:
            features = self._tokens({"prompt": tf.constant([self._template.prompt(self._messages)])})
            # The preprocessor itself cuts a prompt down to one token less than a row.
            if int(features["lengths"][0]) <= room or not self._drop_oldest():
                return features

    def _drop_oldest(self) -> bool:
        """Forgets the oldest turn of a user and all up to the next one; False: only the newest is left."""
        places = [place for place, message in enumerate(self._messages) if message.role == self._user]
        if len(places) < 2:
            return False
        del self._messages[places[0] : places[1]]
        return True
