"""The section `training.optimizer` of a config."""

from typing import Literal, Optional

from pydantic import Field

from kerasft.config.section import Section


class OptimizerConfig(Section):
    """How weights are updated."""

    name: Literal["adamw", "adam", "sgd", "adafactor", "lion", "lamb"] = Field(
        "adamw", description="Keras' optimizer of this name."
    )
    learning_rate: float = Field(
        5e-5, gt=0, description="The highest learning rate, reached at the end of the warm-up."
    )
    head_learning_rate: Optional[float] = Field(
        None, gt=0, description="The learning rate of the layers that a task adds to the backbone; null: learning_rate."
    )
    weight_decay: float = Field(
        0.01, ge=0, description="Decoupled weight decay; biases and normalisation weights have none."
    )
    schedule: Literal["linear", "cosine", "constant", "polynomial"] = Field(
        "linear", description="How the learning rate falls after the warm-up."
    )
    power: float = Field(2.0, gt=0, description="Exponent of the polynomial schedule.")
    end_factor: float = Field(0.0, ge=0, le=1, description="Share of the learning rate that is left at the end.")
    warmup: float = Field(0.1, ge=0, description="Below 1 a share of all steps, otherwise a number of steps.")
    clip_norm: Optional[float] = Field(1.0, gt=0, description="Largest global norm of the gradient; null: no clipping.")
    epsilon: float = Field(
        1e-7, gt=0, description="For Adam, AdamW and LAMB: a small number that prevents a division by zero."
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="For sgd.")
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="The learning rate shrinks by this factor with each layer below the head."
    )
