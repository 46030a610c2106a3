"""The section `task` of a config: a class for each task; the key `name` tells them apart."""

import re
from typing import Annotated, ClassVar, Literal, Optional, Union

from pydantic import AfterValidator, Field, field_validator, model_validator

from kerasft.config.section import Section
from kerasft.config.seq2seq import Seq2SeqConfig
from kerasft.config.task_section import TaskSection
from kerasft.config.text_generation import TextGenerationConfig


def _name(name: str) -> str:
    """A name that data may hold: there it has no white space at its edges."""
    if name != name.strip():
        raise ValueError(f"{name!r} has white space at its edge, which names in data lose; write {name.strip()!r}")
    if not name:
        raise ValueError("'' is no name; give one, or remove it")
    return name


def _different(names: list[str]) -> list[str]:
    """Names of which none stands twice."""
    first_index: dict[str, int] = {}
    for index, name in enumerate(map(_name, names)):
        same = name.lower() if name.lower() in ("true", "false") else name  # which programs write in capitals or not
        if same in first_index:
            raise ValueError(
                f"{name[:60]!r} is there twice, as item {first_index[same] + 1} and {index + 1}; remove one"
            )
        first_index[same] = index
    return names


Name = Annotated[str, AfterValidator(_name)]
Names = Annotated[list[str], AfterValidator(_different)]


class OutOfScopeConfig(Section):
    """The answer to texts that belong to none of the labels, by a threshold chosen on validation."""

    label: Name = Field(min_length=1, description="The answer, and the label of such rows in the data.")
    learn: bool = Field(
        False, description="Whether such rows of train teach a class of their own; false: they are not used."
    )
    max_accuracy_loss: Optional[float] = Field(
        None,
        ge=0,
        lt=1,
        description="The highest threshold that costs at most this much in-scope accuracy; null: the one that "
        "maximises the mean of in-scope accuracy and out-of-scope recall.",
    )


class TextClassificationConfig(TaskSection):
    """Assign one label, several labels or a number to a text or a pair of texts."""

    name: Literal["text_classification"] = Field(description="The task.")
    problem: Literal["single_label", "multi_label", "regression"] = Field(
        "single_label", description="One label for each text, any number of labels, or a number."
    )
    labels: Optional[Names] = Field(
        None,
        min_length=2,
        description="Fixes the labels and their order; null: those found in the training data, sorted.",
    )
    label_texts: Optional[dict[Name, Union[str, list[str]]]] = Field(
        None, min_length=1, description="Label -> the text or texts that tell it, for prompting; others: its name."
    )
    label_separator: str = Field(
        "|", min_length=1, description="Separates the labels of a row if a multi_label column is a string."
    )
    pooling: Literal["auto", "cls", "mean", "last", "unit"] = Field(
        "auto",
        description="How token vectors become one vector; auto: the usual way of the family (encoders: the first "
        "token, decoders: the last); unit: their mean, scaled to length 1, as text_embedding has it.",
    )
    random_features: Optional[int] = Field(
        None,
        ge=1,
        description="This many random features, rectified and never trained, between the unit vector of a text and "
        "the last layer (RanPAC, arXiv:2307.02251); null: none.",
    )
    out_of_scope: Optional[OutOfScopeConfig] = None
    separator: Optional[str] = Field(
        None, min_length=1, description="Separates the levels of a label, such as / in travel/flight; null: no levels."
    )

    top: Optional[int] = Field(
        None,
        ge=1,
        description="How many labels an answer has, with probabilities, the likeliest first; null: all of them, or "
        "20 if there are more than 200.",
    )

    @property
    def fits_head(self) -> bool:
        return self.problem == "single_label"

    @property
    def grows(self) -> bool:
        return self.problem == "single_label" and self.out_of_scope is None and self.separator is None

    @property
    def calibrates(self) -> bool:
        return self.problem == "single_label"

    @model_validator(mode="after")
    def _labels_only(self) -> "TextClassificationConfig":
        if self.top is not None and self.problem == "regression":
            raise ValueError(f"task.top: {self.top} is for problems with labels, not regression; remove it")
        return self

    @model_validator(mode="after")
    def _texts_of_labels(self) -> "TextClassificationConfig":
        for name in self.label_texts or ():
            if self.labels is not None and name not in self.labels:
                raise ValueError(f"label_texts: {name!r} is none of task.labels; remove it, or write both alike")
        return self

    @model_validator(mode="after")
    def _single_label_only(self) -> "TextClassificationConfig":
        for key in ("out_of_scope", "separator"):
            if getattr(self, key) is not None and self.problem != "single_label":
                raise ValueError(f"task.{key} is for problem single_label, not {self.problem}; remove it")
        return self


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
