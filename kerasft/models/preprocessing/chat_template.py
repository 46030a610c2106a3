"""How a dialogue becomes one text: what stands around a turn is the same wherever it stands.

A declared form, not a language: a config holds no code, and where each turn begins and ends is known without guessing,
so that a loss covers answers alone and a dialogue is cut between turns. ChatML, Llama 2's and plain forms such as
`User: ...` can be written so; a template in Jinja, as Hugging Face's and GGUF files have them, is not run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from kerasft.config.text_generation import ChatConfig
from kerasft.data.prepared.spoken import RenderedTurn
from kerasft.errors import UserError
from kerasft.models.preprocessing.prompt_template import PromptTemplate

SYSTEM = "system"


class Message(NamedTuple):
    """One turn of a dialogue."""

    role: str
    content: str


class ChatTemplate:
    """The section `task.chat` of a config.

    Attributes:
        speaker: the role that answers.
        learnt: roles whose turns are learnt.
        end, between: what ends a turn, and what stands before the next.

    Raises:
        UserError: `opening` holds something else than {role}.
    """

    def __init__(self, chat: ChatConfig):
        self.speaker, self.learnt = chat.learn[0], frozenset(chat.learn)
        self.end, self.between = chat.end, chat.between
        self._system = chat.system
        self._opening = PromptTemplate(chat.opening, ("role",), "task.chat.opening")
        if SYSTEM in self.learnt:
            raise UserError(f"task.chat.learn: {SYSTEM} is not a role that answers; name others, such as assistant")

    def opening(self, role: str) -> str:
        return self._opening.render({"role": role})

    def with_system(self, messages: Sequence[Message]) -> list[Message]:
        """The same dialogue, which begins with the config's system turn where it has none of its own."""
        own = bool(messages) and messages[0].role == SYSTEM
        return [*messages] if own or self._system is None else [Message(SYSTEM, self._system), *messages]

    def render_turn(self, message: Message) -> RenderedTurn:
        """A turn in its parts."""
        opening = self.opening(message.role)
        return RenderedTurn(message.role, opening, message.content + self.end, message.role in self.learnt)

    def text(self, messages: Iterable[Message]) -> str:
        """Whole turns as one text, each with what stands behind it."""
        return "".join(turn.opening + turn.closed + self.between for turn in map(self.render_turn, messages))

    def prompt(self, messages: Sequence[Message]) -> str:
        """A dialogue as the text behind which an answer is written."""
        return self.text(self.with_system(messages)) + self.opening(self.speaker)

    def stops(self, special: Collection[str]) -> list[str]:
        """Texts that an answer ends before, beside the tokenizer's special tokens, which end it anyway."""
        return [] if self.end in special else [self.end]
