"""The section `task` of a seq2seq config."""

from typing import ClassVar, Literal, Optional

from pydantic import Field

from kerasft.config.task_section import TaskSection
from kerasft.config.text_generation import DecodingConfig


class Seq2SeqConfig(TaskSection):
    """Write a text from another: translation, summaries, answers, with an encoder and a decoder."""

    writes: ClassVar[bool] = True

    name: Literal["seq2seq"] = Field(description="The task.")
    template: Optional[str] = Field(
        None,
        min_length=1,
        description="How the text that is read is made from {instruction} and {input}, such as 'translate English to "
        "German: {input}'; null: the texts unchanged, one line for each.",
    )
    max_output_length: Optional[int] = Field(
        None,
        ge=4,
        description="Longer outputs are cut to this many tokens, special tokens included; null: model.max_length, "
        "the limit of the input.",
    )
    decoding: DecodingConfig = DecodingConfig.defaults()
    samples: int = Field(20, ge=1, description="How many outputs the report shows, next to those of the data.")
    measured_answers: int = Field(
        100,
        ge=1,
        description="How many outputs are written and compared with those of the data (BLEU, chrF, ...) after "
        "training and in evaluate; the seed chooses the rows.",
    )
