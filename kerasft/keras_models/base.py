"""What the Keras classes have in common: a task's model that reads strings, by KerasHub's grammar."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import keras
import tensorflow as tf

from kerasft.assembly import Assembled
from kerasft.data.sources.sources import Record
from kerasft.errors import UserError
from kerasft.inference.local import LocalPredictor
from kerasft.keras_models import making, saved_file
from kerasft.keras_models.answers import answers, check_read, figures
from kerasft.keras_models.columns import holds_text, plain
from kerasft.keras_models.examples import MEASURED, fit_arguments, measured_data, quiet_end
from kerasft.keras_models.exports import export_model
from kerasft.keras_models.loss import mean_loss
from kerasft.keras_models.optimizer import default_optimizer
from kerasft.keras_models.settings import Settings
from kerasft.tasks.base import Task

Self = TypeVar("Self", bound="TaskModel")
BATCH = 32  # rows of a training step where nobody says
AUTO = "auto"


class TaskModel(keras.Model):
    """A backbone with a task's head, which trains on strings and answers strings.

    `from_preset` or `from_backbone` makes one, compiled: AdamW with a learning rate of 5e-5 and the task's own loss.
    `fit` and `evaluate` take (texts, labels): lists, arrays, or a `tf.data.Dataset` of batches of them. Data without
    strings count as preprocessed, and go to Keras unchanged.

    Attributes:
        backbone: KerasHub's.
        preprocessor: strings -> what the model reads; None: it reads what is given.
        network: the backbone with its head: features -> logits.
        task: that of the command line, with what it learned from the data.
    """

    task_name: ClassVar[str]
    label_role: ClassVar[str | None] = "label"

    def __init__(self, assembled: Assembled, task: Task, settings: Settings, **kwargs: Any):
        super().__init__(**kwargs)
        self.assembled, self.task, self.settings = assembled, task, settings
        self.network = assembled.model
        self.built = True
        self._predictor: LocalPredictor | None = None
        self._writer: Any = None  # of a task that writes texts
        self.compile()

    @classmethod
    def from_preset(cls: type[Self], preset: str, labels: Any = None, **options: Any) -> Self:
        """A pre-trained model with a new head; a trained model, if the preset is one and no labels are given.

        Args:
            preset: as `model.preset` in a config: `pypi:...`, `hf:OWNER/NAME`, `kaggle:HANDLE`, `run:DIR`,
                `gguf:FILE`, a folder; also one of `save_to_preset`.
            labels: names, or their number, for classes that take them.
            options: `max_length`, `dropout`, `trainable`, `label_smoothing`, `class_weights`, `seed` and keys of the
                task's section (docs/config.md); those of the class; `dtype`, `float32` or
                `mixed_bfloat16`; `preprocessor=None`: data are preprocessed.

        Raises:
            UserError: the preset can't be had or does not fit, or an option is unknown.
        """
        return cls(*making.from_preset(cls, preset, labels, dict(options)))

    @classmethod
    def from_backbone(
        cls: type[Self], backbone: keras.Model, tokenizer: Any = None, labels: Any = None, **options: Any
    ) -> Self:
        """Like `from_preset`, with a KerasHub backbone and tokenizer; no tokenizer: data must be preprocessed."""
        return cls(*making.from_backbone(cls, backbone, tokenizer, labels, dict(options)))

    @property
    def backbone(self) -> keras.Model:
        return self.assembled.backbone

    @property
    def preprocessor(self) -> Any:
        return self.assembled.preprocessor

    @property
    def text_columns(self) -> list[str]:
        """Names of the texts of an example, in order."""
        return [role for role in self.settings.roles if role != self.label_role]

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        return self.network(inputs, training=training)

    # Training, by Keras.
    def compile(self, optimizer: Any = AUTO, loss: Any = AUTO, *, metrics: Any = AUTO, **kwargs: Any) -> None:
        """Keras' `compile`; `auto`: AdamW for fine-tuning, the command line's loss, and the metrics of the class.

        Your own loss is called with the task's targets and logits.
        """
        self._chosen = tuple(
            name for name, value in (("optimizer", optimizer), ("loss", loss), ("metrics", metrics)) if value == AUTO
        )
        super().compile(
            optimizer=default_optimizer(self.trainable_variables) if "optimizer" in self._chosen else optimizer,
            loss=None if "loss" in self._chosen else loss,
            metrics=self._default_metrics() if "metrics" in self._chosen else metrics,
            **{"jit_compile": False, **kwargs},  # XLA would compile each length of texts anew
        )

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training=True):
        """The task's loss, as a step of the command line has it: the weighted mean over the batch."""
        if "loss" not in self._chosen:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        weights = tf.ones(tf.shape(y)[:1]) if sample_weight is None else tf.cast(sample_weight, tf.float32)
        return tf.add_n([mean_loss(self.task, y, y_pred, weights), *self.losses])

    def fit(self, x=None, y=None, batch_size=None, epochs=1, *, sample_weight=None, shuffle=True, **kwargs):
        """Trains as Keras does, and returns its History.

        Args:
            x: texts, or a `tf.data.Dataset` of batches of (texts, labels).
            y: labels, in the form that the class describes.
            batch_size: rows of a step; None: 32. A data set has its own batches.
            epochs: passes over the data.
            sample_weight: (texts,) weight of each in the loss.
            shuffle: whether each epoch has a new order, by the option `seed`; texts of similar length share a batch.
            kwargs: other arguments of Keras' `fit`, such as `validation_data=(texts, labels)`, `validation_split`,
                `callbacks`.

        Raises:
            UserError: texts and labels do not fit each other or the model.
        """
        check_read(self, x)
        if not holds_text(x):
            kwargs |= {"sample_weight": sample_weight, "shuffle": shuffle and not isinstance(x, tf.data.Dataset)}
            return super().fit(x, y, batch_size, epochs, **kwargs)
        kwargs = {"epochs": epochs, "batch_size": batch_size or BATCH, **kwargs}
        with quiet_end():
            return super().fit(**fit_arguments(self, (x, y, sample_weight), shuffle, kwargs))

    def evaluate(self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, **kwargs):
        """Loss and metrics of Keras, with the arguments of `fit`. `measure` gives the figures of a run."""
        check_read(self, x)
        if not holds_text(x):
            return super().evaluate(x, y, batch_size, verbose, sample_weight, **kwargs)
        x = measured_data(self, (x, y, sample_weight), batch_size or MEASURED)
        with quiet_end():
            return super().evaluate(x, verbose=verbose, **kwargs)

    def measure(self, x: Any, y: Any = None, batch_size: int = MEASURED) -> dict[str, Any]:
        """The figures that a run writes to metrics.json, such as `accuracy`, `f1`, `perplexity`.

        Args:
            x, y, batch_size: as in `fit`, but not a data set.
        """
        return figures(self, x, y, batch_size)

    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = AUTO, **kwargs: Any) -> Any:
        """Answers to texts, like those of `kerasft predict`: a dict for each text, in order.

        Args:
            x: texts, or a `tf.data.Dataset` of batches of them; for preprocessed data, the answer is logits.
            batch_size, verbose, kwargs: as in Keras; None: 64 texts in each call of the model.
        """
        check_read(self, x)
        if not holds_text(x):
            return super().predict(x, batch_size, verbose, **kwargs)
        return self._as_answers(answers(self, x, batch_size or MEASURED))

    # To disk and back.
    def save_to_preset(self, preset_dir: str | Path) -> None:
        """Writes a folder, head included, that `from_preset` and `model.preset` of a config can load.

        A folder that this wrote before is replaced, once all is written. Raises UserError if it holds anything else.
        """
        saved_file.save_preset_folder(self.assembled, self.task, self.settings, Path(preset_dir))

    def export(self, directory: str | Path) -> Path:
        """Writes the SavedModel that the command line writes: strings in, answers out, checked.

        Args:
            directory: such as `saved_models/NAME`; the folder of the version is made in it, and returned.

        Raises:
            ServableError, UserError: as `kerasft.serving.exporter.export`; or the model reads no strings.
        """
        if self.preprocessor is None:
            raise UserError("export: this model reads preprocessed data; make it without preprocessor=None")
        return export_model(self.assembled, self.task, Path(directory), self.settings.dtype)

    def get_config(self) -> dict[str, Any]:
        return saved_file.config_of(self.assembled, self.task, self.settings) | {"name": self.name}

    @classmethod
    def from_config(cls: type[Self], config: dict[str, Any], custom_objects: Any = None) -> Self:
        settings, task, assembled = saved_file.parts_of(config)
        return cls(assembled, task, settings, name=config.get("name"))

    def get_compile_config(self) -> dict[str, Any]:
        return super().get_compile_config() | dict.fromkeys(self._chosen, AUTO)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def save_assets(self, dir_path: str) -> None:
        saved_file.save_assets(self.assembled, dir_path)

    def load_assets(self, dir_path: str) -> None:
        self.assembled = making.reading(saved_file.with_tokenizer(self.assembled, self.task, dir_path), self.settings)

    # What a class says of itself.
    @classmethod
    def _roles(cls, options: dict[str, Any]) -> tuple[str, ...]:
        """Roles of an example's columns; takes the class' own options out of `options`."""
        return ("text", "label")

    @classmethod
    def _labelled(cls, labels: Any, options: dict[str, Any]) -> None:
        """Puts labels among the options. Raises UserError."""
        if labels is not None:
            raise UserError(f"{cls.__name__} has no labels; leave labels out")

    @classmethod
    def _first_state(cls, config: Any) -> dict[str, Any]:
        """What the task knows before it has seen data."""
        return {}

    def _default_metrics(self) -> list[keras.metrics.Metric]:
        """Of targets and logits."""
        return []

    def _learns(self) -> bool:
        """Whether the task has still to learn something from training data, other than weights."""
        return False

    def _labels(self, y: Any) -> list[Any]:
        """Labels in a caller's form -> those of the task's column."""
        return plain(y)

    def _row(self, record: Record) -> dict[str, Any]:
        """An example by its roles -> a row of the task's schema."""
        return self.task.parse(record)

    def _as_answers(self, answers: list[dict[str, Any]]) -> Any:
        """What `predict` gives."""
        return answers
