"""Kills a short training at random moments, again and again, and compares what it ends with.

    python tests/support/chaos.py [--kills 50] [--seed 0]

TensorFlow is imported once; each attempt is a fork of this process that has not run an operation yet, so that an
attempt costs a second or two. It is killed by SIGKILL at a random time after its start, or at a random one of the
moments at which Python opens, renames or removes a file: those around a checkpoint are few and the ones that matter.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np

WORDS = "goal match team score coach bank market stock price trade the a of in and".split()
EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir")
RECIPES = {
    "bucketed, accumulated, averaged": {
        "ema": 0.9, "gradient_accumulation": 2, "checkpoint": {"every_steps": 3, "keep": 2}, "evaluate_every": 8,
    },
    "bfloat16, early stopping": {
        "precision": "mixed_bfloat16", "early_stopping": {"metric": "accuracy", "patience": 3}, "evaluate_every": 5,
        "checkpoint": {"every_steps": 2, "keep": 1}, "steps_per_loop": 2, "parallel_microbatches": 2,
    },
    "packed, accumulated": {
        "gradient_accumulation": 2, "checkpoint": {"every_steps": 3, "keep": 2}, "evaluate_every": 6,
    },
    "a decoder that writes, batches of tokens": {
        "tokens_per_batch": 512, "checkpoint": {"every_steps": 5, "keep": 2},
    },
    "an encoder with a decoder": {"checkpoint": {"every_steps": 5, "keep": 2}, "evaluate_every": 12},
}  # fmt: skip
CLASSIFICATION: dict[str, Any] = {
    "task": {"name": "text_classification"}, "model": {"preset": "preset", "max_length": 32},
    "columns": {"text": "text", "label": "label"},
}  # fmt: skip
GENERATION: dict[str, Any] = {
    "task": {"name": "text_generation", "packing": "none", "decoding": {"max_new_tokens": 8}, "samples": 3},
    "model": {"preset": "gpt2", "max_length": 32}, "columns": {"text": "text"},
}  # fmt: skip
SEQ2SEQ: dict[str, Any] = {
    "task": {"name": "seq2seq", "decoding": {"max_new_tokens": 8}, "samples": 3, "measured_answers": 3},
    "model": {"preset": "bart", "max_length": 32}, "columns": {"input": "text", "output": "label"},
}  # fmt: skip
PROJECTS = {"a decoder that writes, batches of tokens": GENERATION, "an encoder with a decoder": SEQ2SEQ}
MEASURED = ("peak_memory_bytes", "checkpoint_bytes")  # of this machine and moment, as TIMES are
TIMES = ("seconds", "step_seconds", "input_wait", "examples_per_second", "real_tokens_per_second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        print(chaos(args.kills, args.seed))


def chaos(kills: int, seed: int) -> str:
    """Works in the current folder; raises AssertionError where a run's end differs from the uninterrupted one's."""
    _in_a_fork(_make_preset)
    _in_a_fork(_make_decoder)
    _in_a_fork(_make_encoder_decoder)
    _preload()
    done, rng = 0, random.Random(seed)
    for recipe, (name, training) in enumerate(RECIPES.items()):
        share, number = (recipe + 1) * kills // len(RECIPES), 0
        if done == share:  # kills are fewer than recipes
            continue
        project = PROJECTS.get(name, CLASSIFICATION)
        config = _write_project(f"recipe{recipe}", "pack" if "packed" in name else "bucket", training, **project)
        begun = time.monotonic()
        assert _attempt(config, f"whole{recipe}") == 0
        took = time.monotonic() - begun
        while done < share:
            number += 1
            run = f"killed{recipe}-{number}"
            while (code := _attempt(config, run, _Kill(rng, took) if done < share else None)) == -signal.SIGKILL:
                done += 1
            assert code == 0, (name, code)
            _compare(f"whole{recipe}", run)
    recipes = min(kills, len(RECIPES))
    return f"{done} kills, {recipes} recipes: weights, optimizer, history, metrics and predictions are the same"


class _Kill:
    """When a fork kills itself."""

    def __init__(self, rng: random.Random, took: float):
        self.after = rng.uniform(0.2, 1.0) * took if rng.random() < 0.5 else None
        self.event = rng.randrange(1, 120)  # of the events within the run's folder

    def arm(self, folder: str) -> None:
        if self.after is not None:
            timer = threading.Timer(self.after, os.kill, (os.getpid(), signal.SIGKILL))
            timer.daemon = True
            timer.start()
            return
        seen = 0

        def hook(event: str, arguments: tuple) -> None:
            nonlocal seen
            if event in EVENTS and any(folder in str(argument) for argument in arguments[:2]):
                seen += 1
                if seen == self.event:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)


def _attempt(config: str, run: str, kill: _Kill | None = None) -> int:
    def program() -> int:
        from kerasft import train

        if kill is not None:
            kill.arm(run)
        return train.main([config, "--resume", f"name={run}"])

    return _in_a_fork(program)


def _in_a_fork(program: Any) -> int:
    """Its exit code, or minus the signal that killed it."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        with open("output.log", "ab", 0) as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        code = program() or 0
    finally:
        os._exit(code)


def _preload() -> None:
    """Imports and tables of Python alone: threads of a runtime would not come along in a fork."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import sacrebleu  # noqa: F401

    import kerasft.export
    import kerasft.results
    import kerasft.training.fit  # noqa: F401
    from kerasft.models.tokenizers import unicode_table

    unicode_table.bert_table(True, True, True)
    unicode_table.class_table()
    gc.freeze()  # no fork looks through all of it


def _make_preset() -> None:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras_hub

    from kerasft.models.presets.presets import save_preset

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(vocabulary), num_layers=2, num_heads=2, hidden_dim=16, intermediate_dim=32,
        dropout=0.1, max_sequence_length=32,
    )  # fmt: skip
    save_preset(backbone, keras_hub.tokenizers.BertTokenizer(vocabulary, lowercase=True), "preset")


def _make_decoder() -> None:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras_hub

    from kerasft.models.presets.presets import save_preset
    from kerasft.models.tokenizers.byte_pair import byte_characters

    vocabulary = {token: number for number, token in enumerate([*byte_characters(), "th", "<|endoftext|>"])}
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=len(vocabulary), num_layers=2, num_heads=2, hidden_dim=16, intermediate_dim=32,
        dropout=0.1, max_sequence_length=64,
    )  # fmt: skip
    save_preset(backbone, keras_hub.tokenizers.GPT2Tokenizer(vocabulary, ["t h"]), "gpt2")


def _make_encoder_decoder() -> None:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    from tiny_bart import make_bart

    from kerasft.models.presets.presets import save_preset

    save_preset(*make_bart(32, strong=False), "bart")


def _write_project(
    name: str,
    batching: str,
    training: dict[str, Any],
    task: dict[str, Any],
    model: dict[str, Any],
    columns: dict[str, str],
) -> str:
    random_ = np.random.default_rng(0)
    for split, rows in (("train", 160), ("test", 20)):
        with open(f"{split}.jsonl", "w", encoding="utf-8") as file:
            for _ in range(rows):
                label = int(random_.integers(2))
                words = random_.choice(WORDS[5 * label : 5 * label + 5] + WORDS[10:], random_.integers(1, 20))
                file.write(json.dumps({"text": " ".join(words), "label": "sport money".split()[label]}) + "\n")
    config = {
        "name": name, "task": task, "model": model,
        "data": {"train": "train.jsonl", "test": "test.jsonl", "columns": columns, "batching": batching},
        "training": {"steps": 24, "batch_size": 16, "optimizer": {"learning_rate": 1e-2}, **training},
        "export": {"enabled": False},
    }  # fmt: skip
    Path(f"{name}.yaml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
    return f"{name}.yaml"


def _compare(whole: str, killed: str) -> None:
    one, other = (
        json.loads(Path("runs", name, "metrics.json").read_text(encoding="utf-8")) for name in (whole, killed)
    )
    for metrics in (one, other):
        for name in TIMES:
            metrics["training"].pop(name)
        for name in MEASURED:
            metrics["model"].pop(name)
    assert one == other, [(one[key], other[key]) for key in one if one[key] != other.get(key)]
    for name in ("model/model.weights.h5", "model/head.weights.npz", "predictions/test.jsonl"):
        _same_file(Path("runs", whole, name), Path("runs", killed, name))
    left = [path for path in Path("runs").rglob(".*") if killed in str(path)]
    assert not left, left


def _same_file(one: Path, other: Path) -> None:
    if one.suffix == ".npz":  # zip files bear their time
        with np.load(one) as first, np.load(other) as second:
            assert all(np.array_equal(first[key], second[key]) for key in first), other
    elif one.suffix == ".h5":  # so do these
        with h5py.File(one) as first, h5py.File(other) as second:
            names: list[str] = []
            first.visit(names.append)
            weights = [name for name in names if isinstance(first[name], h5py.Dataset)]
            assert weights and all(np.array_equal(first[name][()], second[name][()]) for name in weights), other
    elif one.suffix == ".jsonl":
        assert one.read_bytes() == other.read_bytes(), other


if __name__ == "__main__":
    main()
