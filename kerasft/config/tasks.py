"""The section `task` of a config: a class for each task; the key `name` tells them apart."""

import re
from typing import Annotated, ClassVar, Literal, Optional, Union

from pydantic import Field, field_validator

from kerasft.config.label_names import Name, Names
from kerasft.config.seq2seq import Seq2SeqConfig
from kerasft.config.task_section import TaskSection
from kerasft.config.text_classification import TextClassificationConfig
from kerasft.config.text_generation import TextGenerationConfig


class RelationExtractionConfig(TaskSection):
    """Name the relation between two entities that are marked in a text."""

    name: Literal["relation_extraction"] = Field(description="The task.")
    tags: list[str] = Field(
        ["e1", "e2"],
        min_length=2,
        max_length=2,
        description="Names of the markers, `<e1>one</e1>` and `<e2>other</e2>`, and of both sides in Cause(e1,e2).",
    )
    labels: Optional[Names] = Field(
        None,
        min_length=2,
        description="Fixes the relations and their order; null: those found in the training data, sorted.",
    )
    no_relation: Optional[Name] = Field(
        None, description="The label of no relation, which is left out of F1; null: every label counts."
    )
    top: Optional[int] = Field(
        None,
        ge=1,
        description="How many labels an answer has, with probabilities, the likeliest first; null: all of them, or "
        "20 if there are more than 200.",
    )

    @property
    def calibrates(self) -> bool:
        return True

    @field_validator("tags")
    @classmethod
    def _distinct(cls, value: list[str]) -> list[str]:
        if value[0] == value[1] or not all(re.fullmatch(r"\w+", tag) for tag in value):
            raise ValueError(f"{value} are not two different names of letters, digits and _; write [e1, e2]")
        return value


class TokenClassificationConfig(TaskSection):
    """Find entities, chunks or parts of speech: parts of a text, each with a type."""

    half_at_most: ClassVar[tuple[str, ...]] = ("stride",)

    name: Literal["token_classification"] = Field(description="The task.")
    labels: Optional[Names] = Field(
        None,
        min_length=1,
        description="Fixes the types and their order; null: those found in training and validation data, sorted.",
    )
    scheme: Literal["auto", "iob1", "iob2", "bioes", "bilou", "plain"] = Field(
        "auto",
        description="The form of the tags; with a named scheme, tags that break its rules are errors; auto reads all "
        "of them as conlleval does. plain: each token has its own type, as in part-of-speech tagging.",
    )
    joiner: Literal["auto", "space", "none"] = Field(
        "auto",
        description="What is put between tokens to make the text; auto: a space, and nothing between Chinese or "
        "Japanese characters.",
    )
    units: Literal["tokens", "words", "pieces", "spaces"] = Field(
        "tokens",
        description="What gets a tag (read at its first piece). tokens: text between white space, without the "
        "punctuation at its edges, each Chinese or Japanese character separate; words: as the tokenizer "
        "splits them; pieces: every token of the model; spaces: everything between white space.",
    )
    stride: int = Field(
        32, ge=0, description="Tokens that neighbouring windows share if a text is longer than model.max_length."
    )
    crf: bool = Field(False, description="Learn how tags follow each other (a linear-chain CRF over the logits).")

    @property
    def grows_types(self) -> bool:
        return not self.crf


class QuestionAnsweringConfig(TaskSection):
    """Find the part of a context that answers a question, or say that there is none."""

    half_at_most: ClassVar[tuple[str, ...]] = ("stride", "max_question_length")

    name: Literal["question_answering"] = Field(description="The task.")
    max_question_length: int = Field(
        64,
        ge=1,
        description="Longer questions are cut to this many tokens; the rest of model.max_length is for the context.",
    )
    stride: int = Field(
        128,
        ge=0,
        description="Tokens that neighbouring windows of a long context share; at most half of a window.",
    )
    max_answer_length: int = Field(30, ge=1, description="The longest answer, in tokens.")
    n_best: int = Field(20, ge=1, description="How many answers are compared and listed.")


class TextEmbeddingConfig(TaskSection):
    """Turn a text into a vector of length 1; the cosine of two vectors says how similar the texts are."""

    name: Literal["text_embedding"] = Field(description="The task.")
    pooling: Literal["mean", "cls"] = Field(
        "mean", description="How token vectors become one vector: the mean of all, or that of the first token."
    )
    objective: Literal["auto", "contrastive", "cosent", "cosine"] = Field(
        "auto",
        description="contrastive: find the text that belongs to this one among those of the batch (InfoNCE); for "
        "scored pairs cosent: the higher score has the higher cosine, or cosine: the squared error of the cosine; "
        "auto: cosent where data.columns has a label, otherwise contrastive.",
    )
    temperature: float = Field(0.05, gt=0, description="Cosines are divided by it in contrastive and cosent.")


class MaskedLMConfig(TaskSection):
    """Pre-train an encoder on plain text, from scratch or further: predict hidden tokens."""

    batches_of_tokens: ClassVar[bool] = True

    name: Literal["masked_lm"] = Field(description="The task.")
    mask_probability: float = Field(0.15, gt=0, lt=1, description="Share of the tokens that are hidden.")
    whole_word: bool = Field(False, description="Hide all pieces of a word or none.")
    packing: Literal["documents", "none"] = Field(
        "documents",
        description="documents: rows are full, one text follows the other; none: each text has rows of its own.",
    )
    top: int = Field(5, ge=1, le=100, description="How many tokens the served model gives for each mask in a text.")

    @property
    def ragged(self) -> bool:
        return self.packing == "none"


# One more task is one more class here.
Task = Annotated[
    Union[
        TextClassificationConfig,
        TokenClassificationConfig,
        RelationExtractionConfig,
        QuestionAnsweringConfig,
        TextEmbeddingConfig,
        MaskedLMConfig,
        TextGenerationConfig,
        Seq2SeqConfig,
    ],
    Field(discriminator="name", description="What is learned."),
]
