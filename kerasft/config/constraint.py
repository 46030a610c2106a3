"""The section `task.decoding.constraint` of a config: what an answer may be."""

from typing import Annotated, Any, Literal, Optional

from pydantic import Field, model_validator

from kerasft.config.section import Section

FORMS = ("labels", "regex", "json_schema", "choices")


class ConstraintConfig(Section):
    """Every answer is one of some texts, matches a regular expression, is JSON by a schema, or names one of the options
    in its prompt; one of the four."""

    labels: Optional[list[Annotated[str, Field(min_length=1)]]] = Field(
        None, min_length=1, description="The texts that an answer may be, as they stand here."
    )
    regex: Optional[str] = Field(
        None, min_length=1, description="A regular expression that the whole answer matches, such as (yes|no), .*"
    )
    json_schema: Optional[dict[str, Any]] = Field(
        None,
        min_length=1,
        description="A JSON schema that the answer is valid by; which keywords: docs/tasks/text_generation.md.",
    )

    choices: Optional[Literal[True]] = Field(
        None,
        description="true: the letter of an option in the prompt; options are lines such as A. text, A) text or (A) "
        "text. For text_generation.",
    )

    @model_validator(mode="after")
    def _one_form(self) -> "ConstraintConfig":
        given = [name for name in FORMS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"task.decoding.constraint: {' and '.join(given) or 'nothing'} given; give one of {', '.join(FORMS)}"
            )
        if self.labels is not None and len(set(self.labels)) < len(self.labels):
            twice = next(text for text in self.labels if self.labels.count(text) > 1)
            raise ValueError(f"task.decoding.constraint.labels: {twice!r} is there twice; keep one")
        return self
