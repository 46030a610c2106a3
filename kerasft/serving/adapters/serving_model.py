"""A base and the adapters of several runs in one process: the base's weights once, a head and a method for each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasft.errors import UserError
from kerasft.paths import check_no_pattern
from kerasft.peft.adapter_files import Adapter, packing_of, read_adapter
from kerasft.runs import Run
from kerasft.serving.drift.reference import SIGNATURE
from kerasft.serving.servable_graph import METHODS
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from kerasft.peft.base import Method

RESERVED = ("serving_default", "adapter", SIGNATURE, *METHODS)
NEW_ROWS = "kerasft_new_rows.weight"  # in an adapter's file
_CHANGE_BASE = ("bitfit", "layernorm")


@dataclass(frozen=True)
class Source:
    """A run whose adapter is to be served.

    Attributes:
        name: of the adapter in the export.
        run: that was trained with `model.peft`.
        adapter: its files.
    """

    name: str
    run: Run
    adapter: Adapter


@dataclass(frozen=True)
class ServedAdapter:
    """An adapter beside the base.

    Attributes:
        name: of its signature.
        source: see there.
        task: with its state.
        preprocessor: strings -> features.
        model: features -> logits, on the base that all share.
        method: whose forms of layers compute what the adapter adds.
    """

    name: str
    source: Source
    task: Task
    preprocessor: Any
    model: keras.Model
    method: Method

    def answer(self, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """In graph: {input: (batch,) strings} -> the task's answers."""
        with self.method.installed():
            return self.task.answer(self.model, self.preprocessor(columns))


def find_sources(adapters: Mapping[str, str]) -> list[Source]:
    """`export.adapters` -> the runs, of one base; nothing is loaded, and TensorFlow is not needed.

    Raises:
        UserError: a name that no signature can have, a folder that is no run of `model.peft`, a method that can't be
            served so, or runs of different bases.
    """
    sources = [_source(name, place) for name, place in adapters.items()]
    first = sources[0]
    for source in sources[1:]:
        for what, one, other in (
            ("base", first.adapter.base, source.adapter.base),
            ("tokenizer", first.adapter.tokenizer, source.adapter.tokenizer),
        ):
            if one != other:
                presets = (each.run.config.model.preset for each in (source, first))
                raise UserError(
                    f"export.adapters.{source.name}: {source.run.folder} has another {what} than "
                    f"{first.run.folder} ({' and '.join(map(str, presets))}); export them apart"
                )
    return sources


def _source(name: str, place: str) -> Source:
    key = f"export.adapters.{name}"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", name) or name in RESERVED:
        raise UserError(
            f"{key}: {name!r} can't be the name of an adapter; use letters, digits and _, and none of "
            f"{', '.join(RESERVED)}"
        )
    folder = Path(place.removeprefix("run:"))
    check_no_pattern(folder, key)
    run = Run.open(folder)
    section = run.config.model.peft
    if section is None:
        raise UserError(
            f"{key}: {folder} was trained without model.peft; export it by itself, or make an adapter of it: kerasft "
            f"adapter extract {folder}"
        )
    if section.method in _CHANGE_BASE or getattr(section, "style", None) == "houlsby":
        what = section.method if section.method in _CHANGE_BASE else "adapter with style: houlsby"
        raise UserError(
            f"{key}: {folder} is of {what}, which changes weights of the base itself, so that others can't share it; "
            "export it by itself, or train with lora"
        )
    if packing := packing_of(section):
        raise UserError(
            f"{key}: {folder} was trained beside weights in {packing}, which others' base has not; export it by "
            "itself, or train with lora"
        )
    task = create_task(run.config, run.load_state())
    if task.writes:
        raise UserError(f"{key}: {folder} is a {run.config.task.name}, which writes texts; export it by itself")
    adapter = read_adapter(folder)
    if NEW_ROWS in adapter.tensors:
        raise UserError(f"{key}: {folder} has tokens of its own, which the base has not; export it by itself")
    if adapter.base is None:
        raise UserError(f"{key}: {folder} does not say which base it is of; train it again")
    return Source(name, run, adapter)


def load_adapters(sources: list[Source]) -> list[ServedAdapter]:
    """All on one backbone in float32. Raises UserError where the base is not what the adapters were trained beside."""
    from kerasft.assembly import HEAD, head_of, with_head
    from kerasft.models.named_weights import load_variables
    from kerasft.models.presets.presets import load_backbone, load_tokenizer, resolve_preset
    from kerasft.peft.base_digest import base_digest
    from kerasft.peft.registry import METHODS as PEFT_METHODS
    from kerasft.peft.staying import Staying

    first = sources[0]
    preset = resolve_preset(first.run.config.model.preset)
    backbone, tokenizer = load_backbone(str(preset), dropout=None, dtype="float32"), load_tokenizer(str(preset))
    if base_digest(backbone) != first.adapter.base:
        raise UserError(
            f"export.adapters.{first.name}: {first.run.config.model.preset} has other weights now than those that "
            f"{first.run.folder} was trained beside; bring it back as it was"
        )
    served = []
    for source in sources:
        config = source.run.config
        task = create_task(config, source.run.load_state())
        assembled = with_head(task, backbone, tokenizer)
        load_variables(source.run.folder / "model" / HEAD, head_of(assembled))
        section = config.model.peft
        assert section is not None  # find_sources has looked
        method = PEFT_METHODS[section.method](section, assembled.model, backbone, config.seed, source.adapter)
        if isinstance(method, Staying):
            method.leave()
        served.append(ServedAdapter(source.name, source, task, assembled.preprocessor, assembled.model, method))
    return served
