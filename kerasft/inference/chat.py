"""A dialogue with a trained model: what was said, as far as there is room, and the answer as it is written."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Generator, Iterator
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from kerasft.inference.export import Servable
from kerasft.models.generation.streamed_text import streamed_text
from kerasft.models.preprocessing.chat_template import SYSTEM, Message
from kerasft.models.tokenizers.token_counts import CHARACTERS
from kerasft.runs import Trained
from kerasft.serving.drift import reference
from kerasft.tasks.base import Task


class Writer(Protocol):
    """What answers: `task` is what it was made for."""

    task: Task

    def length(self, prompt: str) -> int:
        """Tokens of a prompt."""
        ...

    def write(self, prompt: str) -> Iterator[str]:
        """Pieces of what follows it."""
        ...


class Streaming:
    """A model in this process: an answer is there token by token."""

    def __init__(self, trained: Trained):
        self.task = trained.task
        self._read = tf.function(
            trained.preprocessor, input_signature=[{"prompt": tf.TensorSpec([None], tf.string)}], autograph=False
        )
        self._features = functools.lru_cache(1)(lambda prompt: self._read({"prompt": tf.constant([prompt])}))

    def length(self, prompt: str) -> int:
        return int(self._features(prompt)["lengths"][0])

    def write(self, prompt: str) -> Iterator[str]:
        generator, features = self.task.generator, self._features(prompt)
        token_bytes = generator.detokenizer.token_bytes
        tokens = (token_bytes[token] for token in generator.stream(features, generator.sampling_params(features)))
        return streamed_text(tokens, generator.decoding.stop)


class Whole:
    """An export, by its signatures alone: an answer is there at its end."""

    def __init__(self, servable: Servable):
        self.task = servable.task
        self._servable = servable

    def length(self, prompt: str) -> int:
        """One more than are counted, for a token before all; no fewer where a part ends within a word."""
        parts = [prompt[start : start + CHARACTERS] for start in range(0, len(prompt), CHARACTERS)]
        return 1 + int(self._servable.ask(reference.SIGNATURE, {"prompt": parts})["tokens"].sum())

    def write(self, prompt: str) -> Iterator[str]:
        sampling: dict[str, Any] = {
            name: np.array(number.values[:1], number.dtype) for name, number in self.task.numbers["generate"].items()
        }
        if "seed" in sampling:  # as it stands it would draw alike at every turn
            sampling["seed"] += zlib.crc32(prompt.encode("utf-8"))
        (text,) = self._servable.ask("generate", {"prompt": [prompt], **sampling})["text"].tolist()
        yield text.decode("utf-8")


def writer_of(answerer: Trained | Servable) -> Writer:
    """What writes: token by token in this process, whole by an export."""
    return Whole(answerer) if isinstance(answerer, Servable) else Streaming(answerer)


class Conversation:
    """Turns of a user and of a model whose task has a `dialogue`.

    Args:
        writer: what continues the prompts: a run's model or an export.
        system: the first turn's content; None: the config's.

    Raises:
        ValueError: its task has none.
    """

    def __init__(self, writer: Writer, system: str | None = None):
        dialogue = writer.task.dialogue
        if dialogue is None:
            raise ValueError(f"{writer.task.config.task.name}: its inputs are no dialogues")
        self._writer, self._template, self._user, self._room = writer, dialogue.template, dialogue.user, dialogue.room
        self._messages = [] if system is None else [Message(SYSTEM, system)]

    def ask(self, text: str) -> Generator[str, None, None]:
        """Pieces of the answer. The turn and what was written of its answer are then part of the dialogue.

        Where an iteration is left early, the answer is what there was by then.
        """
        self._messages.append(Message(self._user, text))
        prompt = self._prompt()
        pieces: list[str] = []
        try:
            for piece in self._writer.write(prompt):
                pieces.append(piece)
                yield piece
        finally:
            self._messages.append(Message(self._template.speaker, "".join(pieces).strip()))

    def forget(self) -> None:
        """Begins anew, with the system turn alone."""
        self._messages = [message for message in self._messages[:1] if message.role == SYSTEM]

    def _prompt(self) -> str:
        """The dialogue as text; its oldest turns are forgotten where an answer would have no room."""
        while True:
            prompt = self._template.prompt(self._messages)
            if self._writer.length(prompt) <= self._room or not self._drop_oldest():
                return prompt

    def _drop_oldest(self) -> bool:
        """Forgets the oldest turn of a user and all up to the next one; False: only the newest is left."""
        turns = [index for index, message in enumerate(self._messages) if message.role == self._user]
        if len(turns) < 2:
            return False
        del self._messages[turns[0] : turns[1]]
        return True
