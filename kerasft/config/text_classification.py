"""The section `task` of text_classification."""

from typing import Literal, Optional, Union

from pydantic import Field, model_validator

from kerasft.config.label_names import Name, Names
from kerasft.config.section import Section
from kerasft.config.task_section import TaskSection


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
