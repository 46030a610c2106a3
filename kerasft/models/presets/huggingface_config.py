"""config.json of a model of transformers -> how KerasHub's backbone has to be built to be the same model, or why not.

Without TensorFlow. Each key is honoured, or has no effect, or has the value that KerasHub builds; otherwise the preset
is refused by the key's name. `huggingface_families` is the table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from kerasft.errors import UserError
from kerasft.models.presets.huggingface_checks import SPECIAL, Refusal, check_fixed, is_number, short
from kerasft.models.presets.huggingface_families import FAMILIES, FIXED_EVERYWHERE, IGNORED, HuggingFaceFamily

# Name in transformers -> name in `kerasft.models.presets.layer_settings`.
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_approximate",
    "gelu_fast": "gelu_approximate",
    "gelu_accurate": "gelu_approximate",
    "gelu_pytorch_tanh": "gelu_approximate",
    "gelu_python_tanh": "gelu_approximate",
    "relu": "relu",
    "relu6": "relu6",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "mish": "mish",
    "linear": "linear",
}
# Families whose layers take another activation: the others have it in code.
_ACTIVATION_CAN_CHANGE = ("bert", "roberta", "xlm-roberta", "distilbert", "albert", "gpt2", "bart")
_WITH_MASKS = ("bert", "roberta", "xlm-roberta", "distilbert", "albert")
# Argument of the backbone for positions that are scaled by one number.
_LINEAR = dict.fromkeys(("mistral", "mixtral", "qwen2", "qwen3"), "rope_scaling_factor")
_ROPE_KEYS = {"rope_theta", "rope_scaling", "rope_parameters", "rope_local_base_freq"}


class BackboneConfig(NamedTuple):
    """What a config.json asks for.

    Attributes:
        model_type: of transformers.
        family: its row of the table.
        values: config.json with transformers' defaults, as KerasHub's converter reads it.
        arguments: of KerasHub's backbone, beside what its converter makes of `values`.
        settings: of layers, see `kerasft.models.presets.layer_settings`.
        remarks: sentences that a user should read.
    """

    model_type: str
    family: HuggingFaceFamily
    values: dict[str, Any]
    arguments: dict[str, Any]
    settings: dict[str, Any]
    remarks: list[str]


def read_config(config: Mapping[str, Any], where: str) -> BackboneConfig:
    """Reads what config.json says of the backbone.

    Args:
        config: its content.
        where: its path or address, for messages.

    Raises:
        UserError: a key is missing, of a wrong kind, or asks for what KerasHub does not build.
    """
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise UserError(
            f"model.preset: {where}: model_type is {str(kind)[:60]!r}, which is not read in Hugging Face form; "
            f"read are {', '.join(sorted(FAMILIES))}, and what KerasHub has saved"
        )
    family = FAMILIES[kind]
    values = {**family.defaults, **config}
    wrong = Refusal(where, kind)
    check_fixed({**FIXED_EVERYWHERE, **family.fixed}, values, wrong)
    _check_sizes(family, values, wrong)
    arguments = {argument: values[key] for key, argument in family.sizes.items() if argument}
    arguments |= _rotary(kind, family, values, wrong)
    settings = _layers(kind, family, values, arguments, wrong)
    remarks = _rates(family, values, arguments, settings, wrong)
    SPECIAL.get(kind, lambda values, wrong: None)(values, wrong)
    if unknown := _unknown(family, config):
        remarks.append(f"{where}: not known here, and left aside: {', '.join(sorted(unknown))[:200]}")
    return BackboneConfig(kind, family, values, arguments, settings, remarks)


def _check_sizes(family: HuggingFaceFamily, values: dict[str, Any], wrong: Refusal) -> None:
    _fill_in(family, values)
    for key in family.sizes:
        if key not in values:
            raise UserError(f"model.preset: {wrong.where} has no {key}; fetch the model again")
        size = values[key]
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise UserError(
                f"model.preset: {wrong.where}: {key} is {short(size)}, and not a number of 1 or more; "
                "fetch the model again"
            )
    hidden, heads = (values[names] for names in _width_and_heads(family))
    if "head_dim" not in family.sizes and hidden % heads:
        raise wrong(_width_and_heads(family)[1], heads, f"divides the width, {hidden}, by it without a rest")
    width = values.get("head_dim")
    if "head_dim" not in family.sizes and wrong.kind != "mistral" and width not in (None, hidden // heads):
        raise wrong("head_dim", width, f"has {hidden // heads}, the width by the heads")


def _fill_in(family: HuggingFaceFamily, values: dict[str, Any]) -> None:
    """Sizes that transformers takes from others where they are null or missing."""
    if "n_inner" in family.sizes and values.get("n_inner") is None and isinstance(values.get("n_embd"), int):
        values["n_inner"] = 4 * values["n_embd"]
    if "num_key_value_heads" in family.sizes and values.get("num_key_value_heads") is None:
        values["num_key_value_heads"] = values.get("num_attention_heads")
    width, heads = values.get("hidden_size"), values.get("num_attention_heads")
    if "head_dim" in family.sizes and values.get("head_dim") is None and isinstance(width, int) and heads:
        values["head_dim"] = width // heads
    if "encoder_layers" in values:
        values["num_hidden_layers"] = values["encoder_layers"]


def _width_and_heads(family: HuggingFaceFamily) -> tuple[str, str]:
    for width, heads in (("d_model", "encoder_attention_heads"), ("n_embd", "n_head"), ("dim", "n_heads")):
        if width in family.sizes:
            return width, heads
    return "hidden_size", "num_attention_heads"


def _rotary(kind: str, family: HuggingFaceFamily, values: dict[str, Any], wrong: Refusal) -> dict[str, Any]:
    """Arguments for scaled positions; `values` gets what KerasHub's converter reads."""
    if not family.rotary:
        return {}
    new, old = values.pop("rope_parameters", None) or {}, values.pop("rope_scaling", None) or {}
    if not isinstance(new, Mapping) or not isinstance(old, Mapping):
        raise wrong("rope_parameters", new or old, "reads a table there")
    rope = {**new, **({"rope_type": old["type"]} if "type" in old else {}), **old}  # as in transformers
    values["rope_theta"] = rope.get("rope_theta", values["rope_theta"])
    if not is_number(values["rope_theta"]) or values["rope_theta"] <= 0:
        raise wrong("rope_theta", values["rope_theta"], "takes a number above 0")
    if "rope_theta" in family.fixed:
        check_fixed({"rope_theta": family.fixed["rope_theta"]}, values, wrong)
    if rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise wrong("partial_rotary_factor", rope["partial_rotary_factor"], "turns all numbers of a head")
    way = rope.get("rope_type", "default")
    if way in (None, "default"):
        return {}
    if way == "linear" and kind in _LINEAR and is_number(rope.get("factor")):
        return {_LINEAR[kind]: float(rope["factor"])}
    if way == "llama3" and kind == "llama":
        values["rope_scaling"] = dict(rope, rope_type="llama3")
        return {}
    supported = ["default", *(["linear"] if kind in _LINEAR else []), *(["llama3"] if kind == "llama" else [])]
    raise wrong("rope_type", way, f"has {' or '.join(supported)}")


def _layers(
    kind: str, family: HuggingFaceFamily, values: Mapping[str, Any], arguments: dict[str, Any], wrong: Refusal
) -> dict[str, Any]:
    """Settings of layers; an epsilon that the constructor takes goes to `arguments`."""
    settings: dict[str, Any] = {}
    key, built = family.activation
    name = ACTIVATIONS.get(values[key]) if isinstance(values[key], str) else None
    if name is None or (name != built and kind not in _ACTIVATION_CAN_CHANGE):
        supported = ", ".join(ACTIVATIONS) if kind in _ACTIVATION_CAN_CHANGE else built
        raise wrong(key, values[key], f"is built with {supported}")
    if name != built:
        settings["activation"] = name
    # A RoBERTa's head has GELU whatever its layers have; DistilBERT's epsilon stands in code.
    head = {"activation": "gelu" if "roberta" in kind else name, "epsilon": 1e-12}
    if family.epsilon:
        key, built_epsilon = family.epsilon
        epsilon = values[key]
        if not is_number(epsilon) or not 0 < epsilon < math.inf:
            raise wrong(key, epsilon, "takes a number above 0")
        if family.epsilon_argument:
            arguments["layer_norm_epsilon"] = float(epsilon)
        elif epsilon != built_epsilon:
            settings["epsilon"] = float(epsilon)
        head["epsilon"] = float(epsilon)
    if kind in _WITH_MASKS and head != {"activation": "gelu", "epsilon": 1e-12}:
        settings["head"] = head
    return settings


def _rates(
    family: HuggingFaceFamily,
    values: Mapping[str, Any],
    arguments: dict[str, Any],
    settings: dict[str, Any],
    wrong: Refusal,
) -> list[str]:
    """Puts dropout into `arguments` and `settings`; returns what is to be said."""
    rates = {kind: values[key] for kind, key in family.rates.items()}
    for kind, rate in rates.items():
        if not is_number(rate) or not 0 <= rate < 1:
            raise wrong(family.rates[kind], rate, "takes a rate of 0 or more, below 1")
    if rates:
        arguments["dropout"] = float(max(rates.values()))
        if len(set(rates.values())) > 1:
            settings["rates"] = {kind: float(rate) for kind, rate in rates.items()}
    return [
        f"{wrong.where}: {key} is {short(values[key])}, for which KerasHub's {wrong.kind} has no layer; it trains "
        "without, or with model.dropout"
        for key in family.unbuilt_rates
        if values.get(key)
    ]


_ALSO_READ = {
    "no_rope_layers",
    "layer_types",
    "head_dim",
    "sliding_window",
    "use_sliding_window",
    "num_hidden_layers",
    "num_key_value_heads",
    "hidden_act",
}


def _unknown(family: HuggingFaceFamily, config: Mapping[str, Any]) -> list[str]:
    """Keys that nobody here has heard of, but for those that are off."""
    understood = IGNORED | set(family.sizes) | set(family.defaults) | set(family.fixed) | set(FIXED_EVERYWHERE)
    understood |= set(family.rates.values()) | set(family.unbuilt_rates) | _ROPE_KEYS | _ALSO_READ
    return [key for key, value in config.items() if key not in understood and value not in (None, False, [], {}, "")]
