"""What of config.json KerasHub has one value for, and how it is refused when it is another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kerasft.errors import UserError


class Refusal:
    """Makes the error of a key."""

    def __init__(self, where: str, kind: str):
        self.where, self.kind = where, kind

    def __call__(self, key: str, value: Any, built: str) -> UserError:
        return UserError(
            f"model.preset: {self.where}: {key} is {short(value)}, and KerasHub's {self.kind} {built}; "
            "use a model that agrees with it"
        )


def check_fixed(fixed: Mapping[str, tuple[Any, ...]], values: Mapping[str, Any], wrong: Refusal) -> None:
    """Raises UserError for a key that has none of the values that are allowed; null is transformers' own."""
    for key, allowed in fixed.items():
        if key == "auto_map" and values.get(key):
            raise UserError(
                f"model.preset: {wrong.where}: auto_map is {short(values[key])}: its layers are Python code of its "
                "own, which is never run; use a model of transformers' own classes"
            )
        if values.get(key) is not None and values[key] not in allowed:
            raise wrong(key, values[key], f"has {short(allowed[0])}")


def _bart(values: dict[str, Any], wrong: Refusal) -> None:
    for key in ("layers", "attention_heads", "ffn_dim"):
        encoder, decoder = values[f"encoder_{key}"], values[f"decoder_{key}"]
        if encoder != decoder:
            raise wrong(f"decoder_{key}", decoder, f"takes encoder_{key}, {encoder}, for both")


def _gemma2(values: dict[str, Any], wrong: Refusal) -> None:
    scalar, narrow = values["query_pre_attn_scalar"], values["hidden_size"] // values["num_attention_heads"]
    if scalar not in (values["head_dim"], narrow):
        raise wrong("query_pre_attn_scalar", scalar, f"has head_dim, {values['head_dim']}, or {narrow}")
    every = 6 if values["model_type"] == "gemma3_text" else 2
    _check_layer_types(values, wrong, lambda number: "full" if number % every == every - 1 else "sliding")


def _gemma3(values: dict[str, Any], wrong: Refusal) -> None:
    _gemma2(values, wrong)
    expected = {"sliding_attention": 10000.0, "full_attention": 1000000.0}
    old = {"sliding_attention": "rope_local_base_freq", "full_attention": "rope_theta"}
    new = values.get("rope_parameters") or {}
    for layers, theta in expected.items():
        rope = new.get(layers) or {"rope_theta": values.get(old[layers], theta)}
        if rope.get("rope_theta", theta) != theta:
            raise wrong(f"rope_theta of {layers}", rope["rope_theta"], f"has {theta:g}")
        if rope.get("rope_type", "default") not in ("default", "linear"):
            raise wrong(f"rope_type of {layers}", rope["rope_type"], "has default or linear")


def _all_full(values: dict[str, Any], wrong: Refusal) -> None:
    _check_layer_types(values, wrong, lambda number: "full")


def _smollm3(values: dict[str, Any], wrong: Refusal) -> None:
    layers, every = values["num_hidden_layers"], values.get("no_rope_layer_interval") or 4
    values.setdefault("no_rope_layers", [int((number + 1) % every != 0) for number in range(layers)])
    values.setdefault("layer_types", ["full_attention"] * layers)
    _all_full(values, wrong)
    if len(values["no_rope_layers"]) != layers:
        raise wrong("no_rope_layers", values["no_rope_layers"], f"takes {layers} numbers")


def _check_layer_types(values: Mapping[str, Any], wrong: Refusal, built: Callable[[int], str]) -> None:
    types = values.get("layer_types")
    expected = [f"{built(number)}_attention" for number in range(values["num_hidden_layers"])]
    if types is not None and types != expected:
        raise wrong("layer_types", types, f"has {short(expected)}")


# Checks of families by their `model_type`, once all values are there.
SPECIAL = {
    "bart": _bart,
    "gemma2": _gemma2,
    "gemma3_text": _gemma3,
    "qwen2": _all_full,
    "qwen3": _all_full,
    "smollm3": _smollm3,
}


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
