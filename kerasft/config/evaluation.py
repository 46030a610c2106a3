"""The section `evaluation` of a config: what is chosen on validation beside the weights."""

from typing import Literal, Optional

from pydantic import Field

from kerasft.config.section import Section


class EvaluationConfig(Section):
    """What is fitted on validation after each pass over it, and exported with the weights."""

    calibrate: Optional[Literal["temperature"]] = Field(
        None,
        description="temperature: logits are divided by one number, so that scores are probabilities; for one label a "
        "text. It changes no label. null: as they come.",
    )
