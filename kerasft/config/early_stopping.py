"""The section `training.early_stopping` of a config."""

from pydantic import Field

from kerasft.config.section import Section


class EarlyStoppingConfig(Section):
    """Stop when validation no longer improves."""

    metric: str = Field(description="A validation metric, for example macro_f1 or accuracy.")
    patience: int = Field(
        2,
        ge=1,
        description="Training stops after this many evaluations in a row without an improvement of the metric; a "
        "lower loss with the same value is not one.",
    )
    min_delta: float = Field(
        0.0, ge=0, description="The metric has to be better by more than this to count as an improvement."
    )
