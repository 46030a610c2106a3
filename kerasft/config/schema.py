"""Every key of a config file, with its type and default. Defaults stand here and nowhere else."""

from typing import Any, Literal, Optional, Union

from pydantic import Field, model_validator

from kerasft.config.data import DataConfig
from kerasft.config.early_stopping import EarlyStoppingConfig
from kerasft.config.model import ModelConfig
from kerasft.config.section import Folder, Section
from kerasft.config.tasks import Task


class OptimizerConfig(Section):
    """How weights are updated."""

    name: Literal["adamw", "adam", "sgd", "adafactor", "lion", "lamb"] = Field(
        "adamw", description="As Keras has them."
    )
    learning_rate: float = Field(5e-5, gt=0, description="The highest, reached at the end of the warm-up.")
    head_learning_rate: Optional[float] = Field(
        None, gt=0, description="That of the layers a task puts on the backbone; null: learning_rate."
    )
    weight_decay: float = Field(0.01, ge=0, description="Decoupled; biases and normalisation weights are left out.")
    schedule: Literal["linear", "cosine", "constant", "polynomial"] = Field(
        "linear", description="How the learning rate falls after the warm-up."
    )
    power: float = Field(2.0, gt=0, description="Exponent of the polynomial schedule.")
    end_factor: float = Field(0.0, ge=0, le=1, description="Share of the learning rate that is left at the end.")
    warmup: float = Field(0.1, ge=0, description="Below 1 a share of all steps, otherwise a number of steps.")
    clip_norm: Optional[float] = Field(1.0, gt=0, description="Largest global norm of the gradient; null: no clipping.")
    epsilon: float = Field(
        1e-7, gt=0, description="Of Adam's forms and LAMB: what keeps a division by the gradient's size from zero."
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="For sgd.")
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="The learning rate shrinks by this factor with each layer below the head."
    )


class CheckpointConfig(Section):
    """When the whole training state is written."""

    every_steps: Optional[int] = Field(
        None, ge=1, description="null: after each evaluation, on Ctrl-C, SIGTERM and SIGHUP; a number adds more."
    )
    every_minutes: Optional[float] = Field(None, gt=0, description="Longest time without one; null: no such limit.")
    keep: int = Field(2, ge=1, description="Newest checkpoints that stay on disk.")
    dir: Optional[Folder] = Field(
        None,
        min_length=1,
        description="A folder, such as gs://BUCKET/FOLDER, that outlives the machine: checkpoints go to DIR/NAME; "
        "null: to the run's folder.",
    )


class TrainingConfig(Section):
    """How long, how fast, on what."""

    strategy: Literal["auto", "one_device", "mirrored", "multi_worker", "tpu"] = Field(
        "auto", description="Where replicas run; auto: TF_CONFIG's workers, or mirrored over several devices."
    )
    devices: Optional[int] = Field(
        None, ge=1, description="Replicas on this machine; null: every GPU. On a CPU: logical devices."
    )
    epochs: Optional[float] = Field(3, gt=0, description="Passes over the training data; null where steps is set.")
    steps: Optional[int] = Field(None, ge=1, description="Instead of epochs.")
    batch_size: int = Field(32, ge=1, description="Examples a step, over all replicas.")
    tokens_per_batch: Optional[int] = Field(
        None,
        ge=4,
        description="Instead of batch_size, for masked_lm and text_generation: as many rows a step, over all replicas, "
        "as come to this many tokens, padding included. batch_size is then the number of rows of model.max_length, "
        "which is also that of a TPU.",
    )
    evaluation_batch_size: int = Field(64, ge=1, description="Examples a step of evaluation, over all replicas.")
    gradient_accumulation: int = Field(
        1, ge=1, description="Parts a batch is worked through in; the update is that of the whole batch."
    )
    parallel_microbatches: Optional[int] = Field(
        None,
        ge=1,
        description="Equal parts of a batch that a CPU works through side by side, threads of its own each; the update "
        "is that of the whole batch. null: 2 where that pays, 1 for tasks that write texts.",
    )
    precision: Literal["float32", "mixed_bfloat16"] = Field(
        "float32", description="Of matrix products; weights stay float32."
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
        description="What training runs in cheaper forms with the same result; null: all of these on a CPU (kernels "
        "where a C++ compiler is installed), none on an accelerator; []: as Keras has it.",
    )
    rematerialize: bool = Field(
        False,
        description="Keep only the input of each transformer layer for the way back and compute the rest again: the "
        "same update with less memory and about a third more work.",
    )
    optimizer: OptimizerConfig = OptimizerConfig()
    fit_head: bool = Field(
        False,
        description="Begin with a head that is fitted to what the backbone gives as it is, for text_classification "
        "with one label a text.",
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of each target that is spread over all labels.")
    class_weights: Union[None, Literal["balanced"], dict[str, float]] = Field(
        None, min_length=1, description="Label -> weight in the loss; balanced: the rarer the heavier; null: all alike."
    )
    ema: Optional[float] = Field(
        None, gt=0, lt=1, description="Momentum of the moving average of weights that is evaluated and exported."
    )
    early_stopping: Optional[EarlyStoppingConfig] = None
    evaluate_every: Optional[int] = Field(None, ge=1, description="Steps between validations; null: each epoch.")
    checkpoint: CheckpointConfig = CheckpointConfig()
    deterministic: bool = Field(
        False, description="Only kernels that give the same bits each time: what a GPU needs to resume exactly, slower."
    )
    steps_per_loop: int = Field(1, ge=1, description="Steps a call to the device; more than 1 suits accelerators.")

    @model_validator(mode="before")
    @classmethod
    def _length(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("steps") is not None:
            if values.get("epochs") is not None:
                raise ValueError("epochs and steps are both set; keep one (training.epochs=null unsets it)")
            values = {**values, "epochs": None}
        return values

    @model_validator(mode="after")
    def _some_length(self) -> "TrainingConfig":
        if self.epochs is None and self.steps is None:
            raise ValueError("epochs and steps are both null; set one")
        return self


class OutputConfig(Section):
    """Where runs land: DIR/NAME."""

    dir: Folder = Field("runs", description="The folder of run folders; ~ is the home folder.")


class ExportConfig(Section):
    """Where SavedModels land: DIR/NAME/VERSION."""

    dir: Folder = Field("saved_models", description="The folder of exported models; ~ is the home folder.")
    enabled: bool = Field(True, description="Whether training ends with an export.")


class Config(Section):
    """One training run, from data to SavedModel."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=200,
        description="Names the run and the served model: ASCII letters and digits, and after the first also . _ -",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Of splits, shuffling, initial weights and dropout.")
    task: Task
    model: ModelConfig
    data: DataConfig
    training: TrainingConfig = TrainingConfig()
    output: OutputConfig = OutputConfig()
    export: ExportConfig = ExportConfig()

    @model_validator(mode="after")
    def _rows_of_tokens(self) -> "Config":
        tokens, length = self.training.tokens_per_batch, self.model.max_length
        if tokens is None:
            return self
        if not hasattr(self.task, "packing"):
            raise ValueError(
                f"training.tokens_per_batch: {tokens} is for masked_lm and text_generation, not {self.task.name}; set "
                "training.batch_size instead"
            )
        if tokens < length:
            raise ValueError(
                f"training.tokens_per_batch: {tokens} is less than a row, model.max_length {length}; use that or more"
            )
        rows, given = tokens // length, self.training.model_fields_set
        if "batch_size" in given and self.training.batch_size != rows:
            raise ValueError(
                f"training.batch_size and training.tokens_per_batch are both set, and {tokens} tokens are {rows} rows "
                "of model.max_length; keep one"
            )
        training = self.training.model_copy(update={"batch_size": rows})
        object.__setattr__(self, "training", training)  # sections are frozen once they are whole
        return self

    def ragged_tokens(self) -> Optional[int]:
        """Tokens of a batch whose rows differ in length, so that their number does; None: it is batch_size."""
        return self.training.tokens_per_batch if getattr(self.task, "packing", None) == "none" else None

    @model_validator(mode="after")
    def _head_of_one_label(self) -> "Config":
        if self.training.fit_head and getattr(self.task, "problem", None) != "single_label":
            raise ValueError(
                "training.fit_head: true is for text_classification with problem single_label; leave it false"
            )
        return self

    @model_validator(mode="after")
    def _one_shape_on_tpu(self) -> "Config":
        if self.training.strategy == "tpu" and (problem := self.many_shapes()):
            raise ValueError(problem)
        return self

    def many_shapes(self) -> Optional[str]:
        """What makes batches differ in shape, and the fix; None: all have the one shape that a TPU wants."""
        if self.data.batching == "bucket":
            return (
                "data.batching: bucket makes batches of many lengths, and a TPU compiles each anew; set auto, pack "
                "or pad, which give all one shape"
            )
        return None
