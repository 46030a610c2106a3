"""The one road from a config to a model, and from a trained model to a folder and back.

    model/config.json, model.weights.h5, tokenizer   the backbone, a KerasHub preset
    model/head.weights.npz                           what the task put on it, by path
    model/NAME.weights.npz                           further parts, such as adapters
    model/kerasft_task.json                          the task's state, and the settings of these parts

Every layer of a model belongs to one of its parts. What belongs to none could not be saved, so it is refused by name
before training. LoRA of Keras' own `enable_lora` is added to the kernels on the way to disk.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasft.atomic import write_atomically
from kerasft.config.peft_rows import PROMPT_IDS
from kerasft.config.schema import Config
from kerasft.data.prepared.prepared import TEXTS_A_BATCH
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.models.blocks import set_trainable
from kerasft.models.dtype_policy import dtype_policy
from kerasft.models.named_weights import by_path, load_variables, save_values, save_variables
from kerasft.models.parts import Part, load_parts
from kerasft.models.presets.facts import FACTS, HEAD_FILE, facts_file
from kerasft.models.presets.from_scratch import start_from_scratch
from kerasft.models.presets.presets import load_backbone, load_tokenizer, save_preset
from kerasft.models.savable import SavableParts, variables_of
from kerasft.models.tokenizers.digest import tokenizer_digest
from kerasft.peft.base import Method
from kerasft.peft.base_digest import base_digest
from kerasft.peft.new_rows import fresh_rows
from kerasft.peft.prompt import add_prompt, prompted
from kerasft.peft.registry import put_method
from kerasft.tasks.base import Task

HEAD = HEAD_FILE


@dataclass(frozen=True)
class Assembled:
    """A model with what it is made of.

    Attributes:
        model: features -> logits.
        backbone: the KerasHub backbone in it.
        tokenizer: KerasHub's.
        preprocessor: strings -> features.
        parts: what was put in beside backbone and head.
        savable: the layers and variables that each part can save; None: nothing is known of them.
        method: of `model.peft`; None: `model.trainable` says what trains.
        digests: `base` and `tokenizer` of the preset as it was, where there is a method.
        task: that put the head on; None: not known.
    """

    model: keras.Model
    backbone: keras.Model
    tokenizer: Any
    preprocessor: Any
    parts: tuple[Part, ...] = ()
    savable: SavableParts | None = field(default=None, repr=False, compare=False)
    method: Method | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    task: Task | None = field(default=None, repr=False, compare=False)


# Changes a model that was just made, in the strategy's scope, before anything is frozen: other weights, adapters.
Start = Callable[[Assembled], Assembled]


def assemble(
    config: Config,
    task: Task,
    *,
    preset: str | None,
    train: Table | None = None,
    policy: str = "float32",
    load_weights: bool = True,
    start: Start | None = None,
) -> Assembled:
    """The model of a config, frozen as the config says; call it in the strategy's scope.

    Args:
        config: the sections `model` and `training` and the seed are read.
        task: has learnt its state.
        preset: resolved; None: from scratch.
        train: the training split, which a tokenizer is made from where training starts from scratch.
        policy: the dtype policy of its layers.
        load_weights: False: random ones, for those who need shapes alone.
        start: what else is done to the model before it trains.

    Raises:
        UserError: the preset can't be used, `start` put something in that could not be saved, or the method of
            `model.peft` finds nothing to change in it.
    """
    with dtype_policy(policy):
        backbone, tokenizer, parts = _backbone_of(config, task, train, preset, policy, load_weights)
        digests = _digests(backbone, tokenizer) if config.model.peft is not None and load_weights else {}
        own = backbone
        adapted = add_prompt(config, task.state, *task.adapt(backbone, tokenizer))
        assembled = with_head(task, *adapted, parts)
        if preset is not None and load_weights:
            task.load_head(assembled.model, preset)
        if start is not None:
            assembled = start(assembled)
            check_savable(assembled)
        if config.model.peft is not None:
            fresh = np.union1d(fresh_rows(own, assembled.backbone), task.state.get(PROMPT_IDS, ())).astype(np.int64)
            assembled = _with_method(assembled, config, digests, fresh)
    set_trainable(assembled.backbone, config.model.trainable)
    return assembled


def _with_method(assembled: Assembled, config: Config, digests: Mapping[str, str], fresh: np.ndarray) -> Assembled:
    """The model with the method of `model.peft`, which is a part of it where its layers stay."""
    task, model, backbone = assembled.task, assembled.model, assembled.backbone
    assert task is not None  # `with_head` knows it
    method = put_method(config, model, backbone, digests, fresh, head_of(assembled), task.state.get("labels"))
    if assembled.tokenizer is not None:
        method.read_tokenizer(assembled.tokenizer)
    if task.writes and not method.generates:
        raise UserError(f"model.peft.method: {method.name} is not for {config.task.name}, which writes; use lora")
    assembled = replace(assembled, method=method, digests=digests)
    return with_part(assembled, method.part) if method.part is not None else assembled


def with_head(task: Task, backbone: keras.Model, tokenizer: Any, parts: tuple[Part, ...] = ()) -> Assembled:
    """A backbone with the task's head, whose weights are drawn.

    Args:
        task: has learnt its state.
        backbone: as `task.adapt` left it.
        tokenizer: its tokenizer; None: none is known yet, nor a preprocessor.
        parts: that the backbone has.
    """
    model = task.build(backbone)
    if beside := [layer for part in parts for layer in part.beside]:
        model.beside = beside  # an attribute: their weights are the model's, and they are no layers of its graph
    preprocessor = None if tokenizer is None else task.preprocessor(backbone, tokenizer)
    preprocessor = prompted(preprocessor, task.state.get(PROMPT_IDS), task.config.task.name)
    return Assembled(model, backbone, tokenizer, preprocessor, parts, SavableParts.of(model, backbone), task=task)


def save_model(assembled: Assembled, task: Task, folder: Path) -> None:
    """Writes a model's parts and what its task learnt from data to a folder that exists; adapters are merged.

    Raises:
        UserError: there is something in the model that can't be saved.
    """
    check_savable(assembled)
    with contextlib.ExitStack() as stack:
        if assembled.method is not None:
            stack.enter_context(assembled.method.merged())
        for part in reversed(assembled.parts):
            stack.enter_context(part.taken_out())
        save_preset(assembled.backbone, assembled.tokenizer, str(folder))
    save_variables(folder / HEAD, head_of(assembled))
    for part in assembled.parts:
        save_values(part.file_in(folder), part.stored)
    facts: dict[str, Any] = {"task": task.config.task.name, "state": task.state}
    if assembled.parts:
        facts["parts"] = [{"name": part.name, "settings": dict(part.settings)} for part in assembled.parts]
    write_atomically(folder / FACTS, json.dumps(facts, indent=2, ensure_ascii=False))


def load_model(folder: Path, task: Task, policy: str = "float32", dropout: float | None = None) -> Assembled:
    """What `save_model` wrote to `folder`, a run's `model/`.

    Args:
        task: with the state of `load_facts`.
        policy: the dtype policy of its layers.
        dropout: rate everywhere; None: that of the saved model.

    Raises:
        UserError: a file lacks something, or holds what the model has not.
    """
    with dtype_policy(policy):
        backbone = load_backbone(str(folder), dropout=dropout, dtype=policy)
        assembled = with_head(task, backbone, load_tokenizer(str(folder)), _load_parts(folder, backbone))
    load_variables(folder / HEAD, head_of(assembled))
    return assembled


def load_facts(folder: Path) -> dict[str, Any]:
    """What a saved model's task learnt from data, `state`, and the settings of its `parts`."""
    return {"parts": []} | json.loads(facts_file(folder).read_text(encoding="utf-8"))


def check_savable(assembled: Assembled) -> None:
    """Raises UserError for a layer or variable that belongs to no part of the model, which would not be saved."""
    if assembled.savable is not None:
        parts = [*assembled.parts, *([assembled.method] if assembled.method else [])]
        assembled.savable.check(assembled.model, assembled.backbone, parts)


def with_part(assembled: Assembled, part: Part) -> Assembled:
    """The same model, to which a part was added."""
    return replace(assembled, parts=(*assembled.parts, part))


def _digests(backbone: keras.Model, tokenizer: Any) -> dict[str, str]:
    """Of a preset as it is, before a task or a method changes it."""
    return {"base": base_digest(backbone), "tokenizer": tokenizer_digest(tokenizer)}


def _backbone_of(
    config: Config, task: Task, train: Table | None, preset: str | None, policy: str, load_weights: bool
) -> tuple[keras.Model, Any, tuple[Part, ...]]:
    """The backbone, all of it trainable, and the tokenizer that training starts from."""
    if preset is not None:
        kept, rate = config.model.layers, config.model.dropout
        backbone = load_backbone(preset, dropout=rate, dtype=policy, load_weights=load_weights, layers=kept)
        if len(backbone.trainable_weights) < len(backbone.weights):
            backbone.trainable = False  # Keras skips setting a value that is there already, with all that lies below it
            backbone.trainable = True
        return backbone, load_tokenizer(preset), _load_parts(Path(preset), backbone)
    if train is None:
        raise ValueError("a tokenizer can't be made without the training split")

    def texts() -> Iterator[str]:
        for batch in train.batches(TEXTS_A_BATCH, list(task.texts)):
            for column in batch.values():
                yield from column

    return *start_from_scratch(config.model, texts, policy, task.positions), ()


def _load_parts(folder: Path, backbone: keras.Model) -> tuple[Part, ...]:
    """Puts the parts that a model was saved with into its backbone; none where the folder is no such model."""
    return load_parts(load_facts(folder)["parts"], folder, backbone) if facts_file(folder).is_file() else ()


def head_of(assembled: Assembled) -> dict[str, keras.Variable]:
    """The variables that the task put on the backbone, by path."""
    others = {id(variable) for variable in assembled.backbone.variables}
    others |= {id(variable) for part in assembled.parts for variable in variables_of(part)}
    others |= {id(variable) for variable in variables_of(assembled.method)} if assembled.method else set()
    return by_path(variable for variable in assembled.model.weights if id(variable) not in others)
