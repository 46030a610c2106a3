"""The section `inspect`: what `kerasft inspect` looks for, and from when on it fails."""

from typing import Literal

from pydantic import Field

from kerasft.config.section import Section


class InspectConfig(Section):
    """What `kerasft inspect` counts, and which findings make its exit code 1; a training does not read it."""

    fail_on: Literal["info", "warning", "error", "never"] = Field(
        "warning", description="The exit code is 1 if a finding has this level or a higher one."
    )
    similarity: float = Field(
        0.8,
        gt=0.3,
        le=1,
        description="Texts with at least this Jaccard similarity of character 4-grams are nearly the same.",
    )
    fewest_rows: int = Field(10, ge=1, description="Classes with fewer rows in train are reported.")
