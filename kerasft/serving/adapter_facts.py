"""What `assets.extra/kerasft.json` says of an export with adapters, and what it is asked in a check; no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kerasft.serving.probes import Inputs, probe_inputs

KEY = "adapters"  # of kerasft.json: name -> config, state, labels, inputs, max_length
INPUT = "adapter"  # of serving_default: which adapter answers a row
DEFAULT = "serving_default"


def all_inputs(adapters: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The strings that serving_default takes besides `adapter`: those of all adapters."""
    return list(dict.fromkeys(name for each in adapters.values() for name in each["inputs"]))


def probes_of(adapters: Mapping[str, Mapping[str, Any]]) -> dict[str, Inputs]:
    """Signature -> texts that break servers; rows of serving_default are each adapter's in turn."""
    longest = max(int(each["max_length"]) for each in adapters.values())
    inputs, names = probe_inputs(all_inputs(adapters), longest), [name.encode() for name in adapters]
    rows = max(len(next(iter(inputs.values()))), len(names))  # each adapter has one at least
    inputs = {key: (texts * rows)[:rows] for key, texts in inputs.items()}
    own: dict[str, Inputs] = {name: {key: inputs[key] for key in each["inputs"]} for name, each in adapters.items()}
    return {**own, DEFAULT: {**inputs, INPUT: [names[row % len(names)] for row in range(rows)]}}


def samples_of(samples: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Sequence[str]]]:
    """{adapter: {input: text}} such as users would send -> signature -> rows of them, as columns."""
    names = list(dict.fromkeys(key for sample in samples.values() for key in sample))
    mixed = {key: [sample.get(key, "") for sample in samples.values()] for key in names}
    return {
        **{name: {key: [text] for key, text in sample.items()} for name, sample in samples.items()},
        DEFAULT: {**mixed, INPUT: list(samples)},
    }
