"""The section `training.self_training` of a config."""

from pydantic import Field

from kerasft.config.data import Sources
from kerasft.config.section import Section


class SelfTrainingConfig(Section):
    """A fitted head learns from its own answers to texts without labels."""

    unlabelled: Sources = Field(description="The texts: a source or a list of them; columns as in data.columns.")
    rounds: int = Field(4, ge=1, le=50, description="How often it answers them and learns from the answers.")
    power: float = Field(
        2.0, ge=1, description="Its probabilities are raised to it before it learns from them; higher: surer."
    )
