"""Trains the same tiny runs by one process, by logical devices and by two workers, for tests that compare them.

    python tests/support/agreement.py RECIPE [WAY...]     in an empty folder; leaves runs/RECIPE-{one,mirrored,workers}

TensorFlow is imported once; each process of a training is a fork that has not run an operation before.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from chaos import WORDS, _in_a_fork, _make_decoder, _make_encoder_decoder, _make_preset, _preload
from slice_hosts import imitate_slice, serving_hosts

from kerasft.distribution.cluster import Cluster
from kerasft.launch import free_addresses

STEPS = 50
# The last batch of an epoch has one row: the second worker has only a row that counts nothing.
ROWS = {"train": 65, "validation": 21, "test": 13}
TEXT = {"text": "text", "label": "label"}
RECIPES: dict[str, dict[str, Any]] = {
    "classification": {"task": {"name": "text_classification"}, "columns": TEXT, "preset": "preset", "batching": "pad"},
    "decoder": {"task": {"name": "text_classification"}, "columns": TEXT, "preset": "gpt2"},
    "entities": {
        "task": {"name": "token_classification", "stride": 8},
        "columns": {"tokens": "tokens", "tags": "tags"}, "preset": "preset",
    },
    "packed": {
        "task": {"name": "token_classification", "stride": 8},
        "columns": {"tokens": "tokens", "tags": "tags"}, "preset": "preset", "batching": "pack",
    },
    "masked_lm": {  # batches of tokens are the same where they divide into as many parts
        "task": {"name": "masked_lm", "packing": "none"}, "columns": {"text": "text"}, "preset": "preset",
        "training": {"tokens_per_batch": 512},
        "parts": {"one": {"gradient_accumulation": 4}, "mirrored": {"gradient_accumulation": 2}},
    },
    "text_generation": {
        "task": {"name": "text_generation", "decoding": {"max_new_tokens": 8}, "samples": 4},
        "columns": {"text": "text"}, "preset": "gpt2", "batching": "pad",
    },
    "seq2seq": {
        "task": {
            "name": "seq2seq", "max_output_length": 12, "decoding": {"max_new_tokens": 8}, "samples": 4,
            "measured_answers": 4,
        },
        "columns": {"input": "text", "output": "label"}, "preset": "bart", "batching": "pad",
    },
}  # fmt: skip
ON_SLICES = [name for name, recipe in RECIPES.items() if "batching" in recipe]  # `auto` is not the same batches there
WAYS: dict[str, dict[str, Any]] = {
    "one": {"strategy": "one_device"},
    "mirrored": {"strategy": "mirrored", "devices": 2},
    "workers": {"strategy": "multi_worker", "gradient_accumulation": 2},
    "slice": {"strategy": "tpu", "steps_per_loop": 4},
}
PRESETS = {"preset": _make_preset, "gpt2": _make_decoder, "bart": _make_encoder_decoder}
CACHED = ("workers", "slice")  # two workers make the features at the same time; the one who comes later reads them


def main(name: str, *ways: str) -> int:
    recipe = RECIPES[name]
    _in_a_fork(PRESETS[recipe["preset"]])
    _preload()
    _write_rows()
    for way in ways or ways_of(name):
        cache, parts = f"{name}-features" if way in CACHED else None, recipe.get("parts", {}).get(way, {})
        _write_config(f"{name}-{way}", recipe, WAYS[way] | recipe.get("training", {}) | parts, cache)
        if way == "slice":
            with serving_hosts(free_addresses(2)) as hosts:
                codes = ended([start_on_slice(f"{name}-{way}.yaml", hosts.name)])
        else:
            codes = ended(start(f"{name}-{way}.yaml", 2 if way == "workers" else 1))
        if any(codes):
            print(f"{name} {way}: exit codes {codes}, see its logs", file=sys.stderr)
            return 1
    return 0


def ways_of(name: str) -> list[str]:
    """All that a recipe can be trained by."""
    return [way for way in WAYS if way != "slice" or name in ON_SLICES]


def start(config: str, workers: int, *flags: str) -> list[int]:
    """The process ids of a training's workers; what they say goes to NAME.INDEX.log."""
    addresses = free_addresses(workers)
    return [
        _fork(config, Cluster(addresses, index) if workers > 1 else None, f"{Path(config).stem}.{index}.log", flags)
        for index in range(workers)
    ]


def start_on_slice(config: str, name: str, *flags: str) -> int:
    """The process id of a training that drives what TPU_NAME names."""
    return _fork(config, None, f"{Path(config).stem}.0.log", flags, name)


def ended(processes: list[int]) -> list[int]:
    """Their exit codes, or minus the signals that killed them."""
    return [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]


def _fork(config: str, cluster: Cluster | None, log: str, flags: tuple[str, ...], tpu_name: str = "") -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        with open(log, "ab", 0) as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        if cluster is not None:
            os.environ["TF_CONFIG"] = cluster.tf_config
        if tpu_name:
            imitate_slice(tpu_name)
        from kerasft import train

        code = train.main([config, *flags])
    finally:
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        os._exit(code)  # it would go on as the parent does


def _write_rows() -> None:
    random = np.random.default_rng(0)
    for split, rows in ROWS.items():
        with open(f"{split}.jsonl", "w", encoding="utf-8") as file:
            for _ in range(rows):
                label = int(random.integers(2))
                tokens = random.choice(WORDS[5 * label : 5 * label + 5] + WORDS[10:], random.integers(2, 20)).tolist()
                tags = ["B-sport" if token in WORDS[:5] else "O" for token in tokens]
                row = {"text": " ".join(tokens), "label": "sport money".split()[label], "tokens": tokens, "tags": tags}
                file.write(json.dumps(row) + "\n")


def _write_config(name: str, recipe: dict[str, Any], training: dict[str, Any], cache: str | None = None) -> None:
    config = {
        "name": name, "task": recipe["task"],
        "model": {"preset": recipe["preset"], "max_length": 32, "dropout": recipe.get("dropout", 0.0)},
        "data": {split: f"{split}.jsonl" for split in ROWS}
        | {"columns": recipe["columns"], "batching": recipe.get("batching", "auto"), "cache": cache},
        "training": {
            "steps": STEPS, "batch_size": 16, "evaluation_batch_size": 8, "evaluate_every": 25,
            "optimizer": {"learning_rate": 1e-3}, **training,
        },
        "export": {"enabled": False},
    }  # fmt: skip
    Path(f"{name}.yaml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
