"""A preset, or a backbone, and options -> all that a Keras class is made of."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from kerasft.assembly import Assembled, assemble, load_facts, load_model, with_head
from kerasft.keras_models.settings import HERE, Settings, saved_settings
from kerasft.models.blocks import set_trainable
from kerasft.models.dtype_policy import dtype_policy
from kerasft.models.preprocessing.preprocessor import fitting_length
from kerasft.models.presets.presets import resolve_preset
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task

if TYPE_CHECKING:
    from kerasft.keras_models.base import TaskModel

Parts = tuple[Assembled, Task, Settings]


def from_preset(kind: type[TaskModel], preset: str, labels: Any, options: dict[str, Any]) -> Parts:
    """See `TaskModel.from_preset`. The preset of a trained model of this task gives its head, too, and its options."""
    resolved = resolve_preset(preset)
    saved = saved_settings(resolved, kind.task_name) if labels is None else None
    if saved is None:
        settings = _settings(kind, preset, labels, options)
        task = _task(settings, kind._first_state(settings.config()))
        return reading(assemble(task.config, task, preset=resolved, policy=settings.dtype), settings), task, settings
    preprocessed = options.pop("preprocessor", "auto") is None
    merged = {**saved.options, **options}
    settings = dataclasses.replace(saved, preset=preset, options=merged, preprocessed=preprocessed).fitted()
    folder = Path(resolved)
    task = _task(settings, load_facts(folder)["state"])
    made = load_model(folder, task, settings.dtype, task.config.model.dropout)
    set_trainable(made.backbone, task.config.model.trainable)
    return reading(made, settings), task, settings


def from_backbone(
    kind: type[TaskModel], backbone: keras.Model, tokenizer: Any, labels: Any, options: dict[str, Any]
) -> Parts:
    """See `TaskModel.from_backbone`."""
    options.setdefault("max_length", fitting_length(backbone, None, 128))
    if tokenizer is None:
        options["preprocessor"] = None
    settings = _settings(kind, HERE, labels, options)
    task = _task(settings, kind._first_state(settings.config()))
    with dtype_policy(settings.dtype):
        made = with_head(task, *task.adapt(backbone, tokenizer))
    set_trainable(made.backbone, task.config.model.trainable)
    return reading(made, settings), task, settings


def reading(assembled: Assembled, settings: Settings) -> Assembled:
    """The model without its preprocessor, where what it reads is preprocessed."""
    return dataclasses.replace(assembled, preprocessor=None) if settings.preprocessed else assembled


def _settings(kind: type[TaskModel], preset: str, labels: Any, options: dict[str, Any]) -> Settings:
    preprocessed = options.pop("preprocessor", "auto") is None
    kind._labelled(labels, options)
    return Settings(kind.task_name, kind._roles(options), options, preset, preprocessed).fitted()


def _task(settings: Settings, state: dict[str, Any]) -> Task:
    task = create_task(settings.config(), state)
    task.check_config()
    return task
