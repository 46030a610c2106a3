"""Which class is which method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from kerasft.config.schema import Config
from kerasft.errors import UserError
from kerasft.models.savable import lora_layers
from kerasft.peft.adalora import Adalora
from kerasft.peft.adapter_files import Adapter, packing_of, read_adapter
from kerasft.peft.base import Method
from kerasft.peft.base_digest import new_pooler
from kerasft.peft.bitfit import Bitfit
from kerasft.peft.bottleneck import BottleneckAdapters
from kerasft.peft.dora import Dora
from kerasft.peft.head_tensors import is_of_head, load_head
from kerasft.peft.ia3 import Ia3
from kerasft.peft.layernorm import Layernorm
from kerasft.peft.lora import Lora
from kerasft.peft.module_names import known_prefix
from kerasft.peft.new_rows import TENSOR as NEW_ROWS
from kerasft.peft.pissa import Pissa
from kerasft.peft.prefix import PrefixTuning
from kerasft.peft.prompt import Prompt, PTuning
from kerasft.peft.prompt_pool import PromptPool
from kerasft.peft.pruning import Pruning
from kerasft.peft.qlora import Qlora
from kerasft.peft.staying import staying_layers
from kerasft.peft.targets import left_out
from kerasft.peft.vera import Vera

_OF_PAIRS = (Lora, Dora, Adalora, Vera, Pissa, Qlora)
_OTHERS = (Bitfit, Layernorm, Ia3, BottleneckAdapters, PrefixTuning, Prompt, PTuning, PromptPool, Pruning)
METHODS: dict[str, type[Method]] = {kind.name: kind for kind in (*_OF_PAIRS, *_OTHERS)}


def put_method(
    config: Config,
    model: keras.Model,
    backbone: keras.Model,
    digests: Mapping[str, str] | None = None,
    fresh: Sequence[int] | np.ndarray = (),
    head: Mapping[str, keras.Variable] | None = None,
    labels: Sequence[str] | None = None,
) -> Method:
    """Puts the method of `model.peft` into a model, in the strategy's scope: its backbone is frozen from here on.

    Args:
        config: whose section `model.peft` says which method, where and how large.
        model: features -> logits.
        backbone: in the model; the method's layers go into it.
        digests: `base` and `tokenizer` of the preset, which an adapter to start from must be of; None: of no matter.
        fresh: ids of tokens that the preset does not have; their rows train.
        head: variables of the task, by path, which an adapter of the same labels may have weights for.
        labels: of the task; None: it has none.

    Raises:
        UserError: the backbone has nothing that the method could change, or not as the config says; or the adapter to
            start from is of another base.
    """
    section = config.model.peft
    assert section is not None
    _check_plain(config, model, backbone)
    start = None if section.start is None else _adapter_of(section.start, config, digests)
    method = METHODS[section.method](section, model, backbone, config.seed, start)
    method.peft_config()  # what can't be saved is said before it is trained
    method.add_rows(np.asarray(fresh))
    model.peft = method.bank  # its weights and random states are the model's, and it is no layer of its graph
    if getattr(section, "targets", None) == "all_linear" and (left := left_out(backbone)):
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        method.notes.append(
            f"model.peft.targets: all_linear leaves out {left[0]}{more}, which KerasHub has in another form"
        )
    if start is not None:
        _check_all_taken(method, start)
        same = start.facts.get("labels", ()) == labels
        taken = same and load_head(start, model, backbone, head or {})
        what = "the adapter's" if taken else "new: the adapter has none for these labels"
        method.notes.append(f"model.peft.start: {start.folder}; the head is {what}")
    return method


def _check_plain(config: Config, model: keras.Model, backbone: keras.Model) -> None:
    """Raises UserError for a backbone whose weights can't all be frozen, or are not its preset's alone."""
    if {id(weight) for weight in new_pooler(backbone)} & {id(weight) for weight in model.weights}:
        raise UserError(
            f"model.peft: {config.model.preset} has no pooler, and a random one would stay as it is; set task.pooling: "
            "cls, which trains one of its own"
        )
    if with_forms := staying_layers(backbone):
        raise UserError(
            f"model.peft: {config.model.preset} has an adapter that stays beside {with_forms[0].path}; train all of it "
            "with model.peft: null, or start from its base with model.peft.start"
        )
    if with_lora := lora_layers(backbone):
        raise UserError(
            f"model.peft: {with_lora[0].path} has a LoRA of Keras' own, by enable_lora; leave that out, or model.peft"
        )


def _adapter_of(folder: str, config: Config, digests: Mapping[str, str] | None) -> Adapter:
    """An adapter to start from, which was trained beside this preset. Raises UserError."""
    start, preset = read_adapter(folder), config.model.preset
    if start.facts and start.packing != (ours := packing_of(config.model.peft)):
        raise UserError(
            f"model.peft.start: {start.folder} was trained beside {start.packing or 'whole'} weights, and model.peft "
            f"has {ours or 'whole'} ones, which are another base; set model.peft to what it was trained with"
        )
    for part, its, ours in (
        ("beside other weights than those", start.base, (digests or {}).get("base")),
        ("with another tokenizer than that", start.tokenizer, (digests or {}).get("tokenizer")),
    ):
        if its is not None and ours is not None and its != ours:
            there = start.facts.get("base", {}).get("preset")
            raise UserError(
                f"model.peft.start: {start.folder} was trained {part} of model.preset {preset}; use {there}"
            )
    return start


def _check_all_taken(method: Method, start: Adapter) -> None:
    """Raises UserError for a weight of the backbone in an adapter that no layer of ours takes."""
    prefix = known_prefix(method.backbone)
    mine = method.tensors().keys()
    known = {*mine, *(name.removeprefix(prefix) for name in mine), NEW_ROWS}
    left = sorted(name for name in start.tensors if name not in known and not is_of_head(name))
    if left:
        raise UserError(
            f"model.peft.start: {start.folder} has {left[0]}, which no layer takes here ({len(left)} such); change "
            "model.peft.layers or targets to what it was trained with, or train it without that"
        )
