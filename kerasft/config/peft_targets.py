"""What sections of `model.peft` have in common: which layers, and which linear layers in them."""

import re
from typing import Optional, Union

from pydantic import Field, field_validator

from kerasft.config.section import Folder, Section

GROUPS = ("all_linear", "attention", "query_value")  # of `targets`
_LAYERS = r"^(all|last_[1-9][0-9]*)$"


class MethodConfig(Section):
    """Keys of every method."""

    layers: str = Field(
        "all", pattern=_LAYERS, description="Transformer layers that are changed: all, or last_N from the top."
    )
    start: Optional[Folder] = Field(
        None, min_length=1, description="A folder with an adapter to start from, of this preset; null: a new one."
    )


class TargetsConfig(MethodConfig):
    """Keys of methods that change some of the linear layers."""

    targets: Union[str, list[str]] = Field(
        "all_linear",
        min_length=1,
        description="Linear layers that are changed: all_linear (those of the transformer layers), attention, "
        "query_value, a list of names of layers, or a regular expression over paths of layers.",
    )

    @field_validator("targets")
    @classmethod
    def _readable(cls, value: Union[str, list[str]]) -> Union[str, list[str]]:
        if isinstance(value, str) and value not in GROUPS:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(
                    f"{value[:60]!r} is neither {', '.join(GROUPS)} nor a regular expression ({error}); write a list "
                    "of names, such as [query, value]"
                ) from error
        return value
