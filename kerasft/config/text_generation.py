"""The section `task` of a text_generation config: modes, how a text is written, how a dialogue becomes one."""

from typing import Annotated, Any, ClassVar, Literal, Optional

from pydantic import Field, model_validator

from kerasft.config.section import Section
from kerasft.config.task_section import TaskSection


class DecodingConfig(Section):
    """How a text is written, token by token, where a request does not say."""

    max_new_tokens: int = Field(
        64, ge=1, description="Most tokens of an answer; the prompt has the rest of max_length."
    )
    temperature: float = Field(
        0.0, ge=0, description="0: always the likeliest token; otherwise tokens are drawn, the higher the wilder."
    )
    top_k: Optional[int] = Field(None, ge=1, description="Draw among this many likeliest tokens; null: among all.")
    top_p: float = Field(
        1.0, gt=0, le=1, description="Draw among the likeliest tokens that together have this probability."
    )
    repetition_penalty: float = Field(
        1.0, gt=0, description="Above 1: tokens that prompt or answer already have become less likely."
    )
    beams: int = Field(
        1,
        ge=1,
        description="Above 1: beam search, for the likeliest answer as a whole; nothing is drawn.",
    )
    length_penalty: float = Field(
        1.0, description="Of beams: answers are compared by score / length ** this; the larger, the longer."
    )
    stop: list[Annotated[str, Field(min_length=1)]] = Field([], description="An answer ends before any of these texts.")
    seed: int = Field(0, ge=0, lt=2**31, description="Of what is drawn; the same request gets the same answer.")

    @model_validator(mode="after")
    def _searched_or_drawn(self) -> "DecodingConfig":
        if self.beams > 1 and (self.temperature > 0 or self.top_k is not None or self.top_p < 1):
            raise ValueError(
                f"task.decoding.beams: {self.beams} beams search for the likeliest answer and draw nothing; remove "
                "temperature, top_k and top_p, or set beams: 1"
            )
        if self.beams == 1 and self.length_penalty != 1.0:
            raise ValueError("task.decoding.length_penalty is for beams; set beams above 1, or remove it")
        return self


class ChatConfig(Section):
    """How a dialogue becomes one text, turn by turn, in mode chat; as given, ChatML."""

    opening: str = Field(
        "<|im_start|>{role}\n", min_length=1, description="What stands before a turn; {role} is who speaks."
    )
    end: str = Field(
        "<|im_end|>",
        min_length=1,
        description="What ends a turn. It is learnt with an answer, and ends what is written.",
    )
    between: str = Field("\n", description="What stands between a turn's end and the next one's opening.")
    system: Optional[str] = Field(
        None, description="Content of a first turn of role system, for dialogues that have none of their own."
    )
    learn: list[str] = Field(
        ["assistant"], min_length=1, description="Roles whose turns are learnt; the first is the one that answers."
    )
    turns: list[str] = Field(
        ["user", "assistant"],
        min_length=1,
        description="Of column turns, a list of texts: who speaks, one after the other, over and over.",
    )
    rename: dict[str, str] = Field(
        {}, description="Role in the data -> role, such as {human: user, gpt: assistant}; others stay."
    )
    role_key: str = Field("role", description="Of column messages: the key of a message that says who speaks.")
    content_key: str = Field("content", description="Of column messages: the key of a message that has the text.")


class TextGenerationConfig(TaskSection):
    """Write on from a text, or answer: a decoder learns from plain text, prompts with answers, or dialogues."""

    batches_of_tokens: ClassVar[bool] = True

    name: Literal["text_generation"] = Field(description="The task.")
    mode: Literal["corpus", "prompt_completion", "chat"] = Field(
        "corpus", description="Learn plain text, all of it; or answers to prompts or in dialogues, the answers alone."
    )
    template: Optional[str] = Field(
        None,
        min_length=1,
        description="Of prompt_completion: how a prompt is made of {instruction} and {input}; null: a line each.",
    )
    packing: Literal["documents", "none"] = Field(
        "documents",
        description="Of a corpus. documents: rows are full, texts follow one another in them; none: each text has rows "
        "of its own.",
    )
    chat: ChatConfig = ChatConfig.defaults()
    decoding: DecodingConfig = DecodingConfig.defaults()
    samples: int = Field(20, ge=1, description="Rows that are written on after training, for predictions/ and report.")
    measured_answers: int = Field(
        100,
        ge=1,
        description="Of prompts and dialogues: answers, drawn by the seed, that are written and compared with those of "
        "the data (ROUGE, BLEU, ...) after training and by evaluate.",
    )

    @property
    def ragged(self) -> bool:
        return self.packing == "none"

    @model_validator(mode="after")
    def _of_the_mode(self) -> "TextGenerationConfig":
        if self.mode != "prompt_completion" and self.template is not None:
            raise ValueError(f"task.template is for mode prompt_completion, not {self.mode}; remove it")
        if self.mode != "corpus" and self.packing != "none":
            raise ValueError("task.packing: documents is for mode corpus; each prompt has a row of its own: set none")
        if self.mode != "chat" and self.chat != ChatConfig.defaults():
            raise ValueError(f"task.chat is for mode chat, not {self.mode}; remove it")
        return self

    @model_validator(mode="before")
    @classmethod
    def _rows_of_their_own(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("mode", "corpus") != "corpus":
            values = {"packing": "none", **values}
        return values
