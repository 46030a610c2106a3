"""The section `task` of a seq2seq config."""

from typing import Literal, Optional

from pydantic import Field

from kerasft.config.task_section import TaskSection
from kerasft.config.text_generation import DecodingConfig


class Seq2SeqConfig(TaskSection):
    """Write a text from another: translation, summaries, answers, with an encoder and a decoder."""

    name: Literal["seq2seq"] = Field(description="The task.")
    template: Optional[str] = Field(
        None,
        min_length=1,
        description="How what is read is made of {instruction} and {input}, such as 'translate English to German: "
        "{input}'; null: the texts as they are, a line each.",
    )
    max_output_length: Optional[int] = Field(
        None,
        ge=4,
        description="Tokens an output is cut to, special ones included; null: model.max_length, which is the input's.",
    )
    decoding: DecodingConfig = DecodingConfig.defaults()
    samples: int = Field(20, ge=1, description="Outputs that the report shows beside those of the data.")
    measured_answers: int = Field(
        100,
        ge=1,
        description="Outputs, drawn by the seed, that are written and compared with those of the data (BLEU, chrF, "
        "...) after training and by evaluate.",
    )
