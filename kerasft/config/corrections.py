"""The section `data.corrections`: labels that a person has corrected."""

from typing import Any, Literal

from pydantic import Field, model_validator

from kerasft.config.section import Folder, Section


class CorrectionsConfig(Section):
    """A file of corrected labels; a path alone is its `file`."""

    file: Folder = Field(
        min_length=1,
        description="A CSV file with the columns where, text, label and suggested, as kerasft audit-labels writes it.",
    )
    column: Literal["label", "suggested"] = Field(
        "label",
        description="The column with the right answers. label: a person has edited it; suggested: take what the model "
        "suggests, for every row that is in the file.",
    )

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, value: Any) -> Any:
        return {"file": value} if isinstance(value, str) else value
