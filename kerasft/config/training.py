"""The section `training`: how long, by what steps, and what is minimised."""

from typing import Any, Literal, Optional, Union

from pydantic import Field, model_validator

from kerasft.config.averaging import AveragingConfig
from kerasft.config.checkpoint import CheckpointConfig
from kerasft.config.early_stopping import EarlyStoppingConfig
from kerasft.config.objective import ContrastiveConfig, ObjectiveConfig
from kerasft.config.optimizer import OptimizerConfig
from kerasft.config.section import Section
from kerasft.config.self_training import SelfTrainingConfig
from kerasft.config.tracking import Tracker


class TrainingConfig(Section):
    """How long, how fast, on which devices."""

    strategy: Literal["auto", "one_device", "mirrored", "multi_worker", "tpu"] = Field(
        "auto",
        description="Where replicas run; auto: the workers of TF_CONFIG, a TPU, several GPUs (mirrored), or "
        "one device.",
    )
    devices: Optional[int] = Field(
        None, ge=1, description="Replicas on this machine; null: every GPU. On a CPU: logical devices."
    )
    epochs: Optional[float] = Field(3, gt=0, description="Passes over the training data; null if steps is set.")
    steps: Optional[int] = Field(
        None, ge=0, description="Number of steps, instead of epochs; 0 with fit_head: the fitted head is the model."
    )
    batch_size: int = Field(32, ge=1, description="Examples in each step, over all replicas.")
    tokens_per_batch: Optional[int] = Field(
        None,
        ge=4,
        description="Instead of batch_size, for masked_lm and text_generation: tokens in each step, over all "
        "replicas, padding included. batch_size is then the number of rows of model.max_length that fit, "
        "which is also the number on a TPU.",
    )
    evaluation_batch_size: int = Field(64, ge=1, description="Examples in each step of evaluation, over all replicas.")
    gradient_accumulation: int = Field(
        1,
        ge=1,
        description="A batch is processed in this many parts, one after the other; the update is that of the "
        "whole batch.",
    )
    parallel_microbatches: Optional[int] = Field(
        None,
        ge=1,
        description="A CPU processes this many equal parts of a batch at the same time, each with its own threads; "
        "the update is that of the whole batch. null: 2 if that is faster, 1 for tasks that write texts.",
    )
    precision: Literal["float32", "mixed_bfloat16"] = Field(
        "float32", description="The number format of matrix products; weights stay float32."
    )
    fused: Optional[
        list[
            Literal[
                "dropout",
                "normalization",
                "projections",
                "attention",
                "activations",
                "first_token",
                "embeddings",
                "kernels",
            ]
        ]
    ] = Field(
        None,
        description="Parts that training computes in faster forms with the same result; null: all of these on a CPU "
        "(kernels if a C++ compiler is installed), none on an accelerator; []: Keras' own forms.",
    )
    rematerialize: bool = Field(
        False,
        description="Keep only the input of each transformer layer for the backward pass and compute the rest again: "
        "the same update with less memory and about a third more work.",
    )
    optimizer: OptimizerConfig = OptimizerConfig.defaults()
    objective: Optional[ObjectiveConfig] = Field(
        None, description="What is minimised, if it is not only the task's loss; null: the task's loss."
    )
    fit_head: bool = Field(
        False,
        description="Begin with a head that is fitted to the vectors of the unchanged backbone; for "
        "text_classification with one label for each text.",
    )
    contrastive: Optional[ContrastiveConfig] = Field(
        None,
        description="Train the backbone by comparing texts, as SetFit does, and fit the head to it at the end; with "
        "fit_head. null: the head and the backbone learn together.",
    )
    self_training: Optional[SelfTrainingConfig] = Field(
        None,
        description="The fitted head of few rows also learns from its own answers to texts without labels; null: not.",
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of each target that is spread evenly over all labels."
    )
    class_weights: Union[None, Literal["balanced"], dict[str, float]] = Field(
        None,
        min_length=1,
        description="Label -> weight in the loss; balanced: rare labels weigh more; null: all weigh the same.",
    )
    ema: Optional[float] = Field(
        None, gt=0, lt=1, description="Momentum of the moving average of weights that is evaluated and exported."
    )
    averaging: Optional[AveragingConfig] = Field(
        None, description="Weights that are averaged, validated and exported; null: those of the best validation."
    )
    early_stopping: Optional[EarlyStoppingConfig] = None
    evaluate_every: Optional[int] = Field(None, ge=1, description="Steps between validations; null: after each epoch.")
    checkpoint: CheckpointConfig = CheckpointConfig.defaults()
    tracking: Optional[list[Tracker]] = Field(
        None, min_length=1, description="Programs that are told what the run does; null: TensorBoard's files alone."
    )
    deterministic: bool = Field(
        False,
        description="Use only kernels that give the same bits each time. A GPU needs this to resume exactly; "
        "it is slower.",
    )
    steps_per_loop: int = Field(
        1, ge=1, description="Steps in each call to the device; more than 1 is faster on accelerators."
    )

    @model_validator(mode="before")
    @classmethod
    def _length(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("steps") is not None:
            if values.get("epochs") is not None:
                raise ValueError("epochs and steps are both set; keep one (training.epochs=null unsets it)")
            values = {**values, "epochs": None}
        return values

    @property
    def averages_steps(self) -> bool:
        """Whether means of weights are kept beside them, step by step."""
        return self.ema is not None or (self.averaging is not None and self.averaging.name == "swa")

    @model_validator(mode="after")
    def _one_mean(self) -> "TrainingConfig":
        if self.ema is not None and self.averaging is not None and self.averaging.name == "swa":
            raise ValueError("training.ema and training.averaging.name swa are two means of the steps; keep one")
        return self

    @model_validator(mode="after")
    def _some_length(self) -> "TrainingConfig":
        if self.epochs is None and self.steps is None:
            raise ValueError("epochs and steps are both null; set one")
        if self.steps == 0 and not self.fit_head:
            raise ValueError("steps: 0 learns nothing without a fitted head; set fit_head to true, or more steps")
        return self
