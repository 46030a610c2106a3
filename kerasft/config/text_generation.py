"""The section `task` of a text_generation config: modes, how a text is written, how a dialogue becomes one."""

from typing import Annotated, Any, ClassVar, Literal, Optional

from pydantic import Field, model_validator

from kerasft.config.constraint import ConstraintConfig
from kerasft.config.section import Section
from kerasft.config.task_section import TaskSection


class DecodingConfig(Section):
    """How a text is written, token by token, if a request does not say it."""

    max_new_tokens: int = Field(
        64, ge=1, description="The longest answer, in tokens; the rest of max_length is for the prompt."
    )
    temperature: float = Field(
        0.0,
        ge=0,
        description="0: always the likeliest token; otherwise tokens are drawn at random, and a higher "
        "value means more variety.",
    )
    top_k: Optional[int] = Field(None, ge=1, description="Draw from this many likeliest tokens; null: from all.")
    top_p: float = Field(
        1.0, gt=0, le=1, description="Draw from the likeliest tokens that together have this probability."
    )
    repetition_penalty: float = Field(
        1.0, gt=0, description="Above 1: tokens that are already in the prompt or the answer become less likely."
    )
    beams: int = Field(
        1,
        ge=1,
        description="Above 1: beam search for the answer that is likeliest as a whole; nothing is random.",
    )
    length_penalty: float = Field(
        1.0,
        description="For beams: answers are compared by score / length ** this; a larger value prefers longer answers.",
    )
    stop: list[Annotated[str, Field(min_length=1)]] = Field([], description="An answer ends before any of these texts.")
    constraint: Optional[ConstraintConfig] = Field(
        None, description="What every answer is held to, in the served model, too; null: any text."
    )
    seed: int = Field(0, ge=0, lt=2**31, description="For the random draws; the same request gets the same answer.")

    @model_validator(mode="after")
    def _check_beams(self) -> "DecodingConfig":
        if self.beams > 1 and (self.temperature > 0 or self.top_k is not None or self.top_p < 1):
            raise ValueError(
                f"task.decoding.beams: {self.beams} beams search for the likeliest answer and draw nothing; remove "
                "temperature, top_k and top_p, or set beams: 1"
            )
        if self.beams == 1 and self.length_penalty != 1.0:
            raise ValueError("task.decoding.length_penalty is for beams; set beams above 1, or remove it")
        return self

    @model_validator(mode="after")
    def _ends_by_itself(self) -> "DecodingConfig":
        if self.constraint is not None and self.stop:
            raise ValueError("task.decoding.stop: an answer that is held to a constraint ends with it; remove stop")
        return self


class ChatConfig(Section):
    """How a dialogue becomes one text, turn by turn, in mode chat; as given, ChatML."""

    opening: str = Field(
        "<|im_start|>{role}\n", min_length=1, description="The text before a turn; {role} is the speaker."
    )
    end: str = Field(
        "<|im_end|>",
        min_length=1,
        description="The text that ends a turn. It is learned with an answer, and ends a generated one.",
    )
    between: str = Field("\n", description="The text between the end of a turn and the opening of the next.")
    system: Optional[str] = Field(
        None, description="Content of a first turn with the role system, for dialogues without one."
    )
    learn: list[str] = Field(
        ["assistant"], min_length=1, description="Roles whose turns are learned; the first is the one that answers."
    )
    turns: list[str] = Field(
        ["user", "assistant"],
        min_length=1,
        description="For a column turns (a list of texts): the speakers in their order, repeated.",
    )
    rename: dict[str, str] = Field(
        {}, description="Role in the data -> role, such as {human: user, gpt: assistant}; others stay."
    )
    role_key: str = Field("role", description="For a column messages: the key of a message that has the speaker.")
    content_key: str = Field("content", description="For a column messages: the key of a message that has the text.")


class TextGenerationConfig(TaskSection):
    """Continue a text, or answer: a decoder learns from plain text, prompts with answers, or dialogues."""

    batches_of_tokens: ClassVar[bool] = True
    writes: ClassVar[bool] = True

    name: Literal["text_generation"] = Field(description="The task.")
    mode: Literal["corpus", "prompt_completion", "chat"] = Field(
        "corpus",
        description="corpus: learn all of a plain text; prompt_completion and chat: learn only the answers "
        "to prompts or in dialogues.",
    )
    template: Optional[str] = Field(
        None,
        min_length=1,
        description="For prompt_completion: how a prompt is made from {instruction} and {input}; null: one line for "
        "each.",
    )
    packing: Literal["documents", "none"] = Field(
        "documents",
        description="For a corpus. documents: rows are full, one text follows the other; none: each text has rows of "
        "its own.",
    )
    chat: ChatConfig = ChatConfig.defaults()
    decoding: DecodingConfig = DecodingConfig.defaults()
    samples: int = Field(
        20, ge=1, description="How many rows the model continues after training, for predictions/ and the report."
    )
    measured_answers: int = Field(
        100,
        ge=1,
        description="For prompts and dialogues: how many answers are written and compared with those of the data "
        "(ROUGE, BLEU, ...) after training and in evaluate; the seed chooses the rows.",
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
