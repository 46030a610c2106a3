"""Every key of a config file, with its type and default. Defaults stand here and nowhere else."""

from typing import Optional

from pydantic import Field, model_validator

from kerasft.config.audit import AuditConfig
from kerasft.config.augment import AugmentConfig
from kerasft.config.continual import ContinualConfig
from kerasft.config.data import DataConfig
from kerasft.config.distillation import distillation_problem
from kerasft.config.evaluation import EvaluationConfig
from kerasft.config.inspection import InspectConfig
from kerasft.config.model import ModelConfig
from kerasft.config.objective import REFUSED, TAKEN
from kerasft.config.output import NAME, ExportConfig, OutputConfig
from kerasft.config.prompting import PromptingConfig, prompting_problem, shots_problem
from kerasft.config.search import SearchConfig
from kerasft.config.section import Section
from kerasft.config.serving import ServingConfig
from kerasft.config.tasks import Task
from kerasft.config.training import TrainingConfig


class Config(Section):
    """One training run, from data to SavedModel."""

    name: str = Field(
        pattern=NAME,
        max_length=200,
        description="Names the run and the served model: ASCII letters and digits, and after the first also . _ -",
    )
    seed: int = Field(
        0, ge=0, lt=2**31, description="For all random numbers: splits, shuffling, initial weights, dropout."
    )
    task: Task
    model: ModelConfig
    data: DataConfig
    prompting: Optional[PromptingConfig] = Field(
        None, description="Answer by label texts, with nothing learnt or as what training begins with; null: no."
    )
    augment: Optional[AugmentConfig] = None
    training: TrainingConfig = TrainingConfig.defaults()
    continual: Optional[ContinualConfig] = Field(
        None, description="Learn in stages, and keep what was learnt; null: all rows are learnt at once."
    )
    evaluation: EvaluationConfig = EvaluationConfig.defaults()
    output: OutputConfig = OutputConfig.defaults()
    export: ExportConfig = ExportConfig.defaults()
    serving: ServingConfig = ServingConfig.defaults()
    inspect: InspectConfig = InspectConfig.defaults()
    search: Optional[SearchConfig] = Field(None, description="What `kerasft search` tries; null: what suits the task.")
    audit: AuditConfig = AuditConfig.defaults()

    @model_validator(mode="after")
    def _rows_of_tokens(self) -> "Config":
        tokens, length = self.training.tokens_per_batch, self.model.max_length
        if tokens is None:
            return self
        if not self.task.batches_of_tokens:
            raise ValueError(
                f"training.tokens_per_batch: {tokens} is for masked_lm and text_generation, not {self.task.name}; set "
                "training.batch_size instead"
            )
        if tokens < length:
            raise ValueError(
                f"training.tokens_per_batch: {tokens} is less than a row, model.max_length {length}; use that or more"
            )
        rows, fields_set = tokens // length, self.training.model_fields_set
        if "batch_size" in fields_set and self.training.batch_size != rows:
            raise ValueError(
                f"training.batch_size and training.tokens_per_batch are both set, and {tokens} tokens are {rows} rows "
                "of model.max_length; keep one"
            )
        training = self.training.model_copy(update={"batch_size": rows})
        object.__setattr__(self, "training", training)  # sections are frozen once they are whole
        return self

    @property
    def served_name(self) -> str:
        """Of the model that TensorFlow Serving answers from."""
        return self.export.name or self.name

    def ragged_tokens(self) -> Optional[int]:
        """Tokens of a batch whose rows differ in length, so that their number does; None: it is batch_size."""
        return self.training.tokens_per_batch if self.task.ragged else None

    @model_validator(mode="after")
    def _head_of_one_label(self) -> "Config":
        if self.training.fit_head and not self.task.fits_head:
            raise ValueError(
                "training.fit_head: true is for text_classification with problem single_label; leave it false"
            )
        return self

    @model_validator(mode="after")
    def _explained_export(self) -> "Config":
        if self.export.explain is not None and not self.task.fits_head:
            raise ValueError(
                f"export.explain: {self.export.explain} is for text_classification with one label; leave it null"
            )
        return self

    @model_validator(mode="after")
    def _calibrated_labels(self) -> "Config":
        if self.evaluation.calibrate is not None and not self.task.calibrates:
            raise ValueError(
                f"evaluation.calibrate: {self.evaluation.calibrate} is for one label a text, not {self.task.name} as "
                "it is set here; leave it null"
            )
        return self

    @model_validator(mode="after")
    def _filtered_texts(self) -> "Config":
        for number, each in enumerate(self.serving.filters):
            if each.on == "output" and not self.task.writes:
                raise ValueError(
                    f"serving.filters.{number}.on: output is for models that write texts, and {self.task.name} writes "
                    "none, so that the filter would do nothing; use input"
                )
        return self

    @model_validator(mode="after")
    def _few_labels(self) -> "Config":
        if problem := shots_problem(self) or prompting_problem(self):
            raise ValueError(problem)
        if self.training.contrastive is not None and self.augment is not None:
            raise ValueError(
                "augment: its rows differ from epoch to epoch, and training.contrastive draws groups of the same ones; "
                "set one of the two to null"
            )
        return self

    @model_validator(mode="after")
    def _objective_of_the_task(self) -> "Config":
        objective = self.training.objective
        if objective is None:
            return self
        if self.training.steps == 0:
            raise ValueError("training.objective: is for steps, and training.steps is 0; set one of them to null")
        known = TAKEN[self.task.name](self.task) if self.task.name in TAKEN else ()
        if objective.name not in known:
            fix = f"choose one of {', '.join(known)}, or set it to null" if known else "leave it null"
            what = f"{self.task.name} as it is set here" if known else self.task.name
            raise ValueError(f"training.objective.name: {objective.name} is not for {what}; {fix}")
        if problem := distillation_problem(self):
            raise ValueError(problem)
        for path, (refused, reason) in REFUSED.get(objective.name, {}).items():
            section, key = path.split(".")
            value = getattr(getattr(self, section), key)
            if refused(value):
                raise ValueError(f"{path}: {value} does not go with training.objective.name {objective.name}: {reason}")
        return self

    @model_validator(mode="after")
    def _soup_of_whole_weights(self) -> "Config":
        averaging = self.training.averaging
        if averaging is not None and averaging.name == "soup" and self.model.peft is not None:
            raise ValueError(
                "training.averaging.name: soup averages whole weights, not adapters; set model.peft to null"
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
