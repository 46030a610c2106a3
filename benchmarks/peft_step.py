"""What a training step costs by each method of `model.peft`, as a share of a step that trains all weights.

    python -m benchmarks.peft_step [--bfloat16] [--rounds 7]

A random BERT of MiniLM's sizes, 32 rows of 32 tokens, one thread, all cheaper forms; seconds of the processor, the
methods in turns, so that other work on the machine changes the ratios little.
"""

from __future__ import annotations

import argparse
import math
import time

import keras_hub
import numpy as np
import tensorflow as tf

from kerasft.config.schema import Config
from kerasft.models.heads.text_classifier import build_classifier
from kerasft.peft.registry import put_method
from kerasft.tasks.registry import create_task
from kerasft.training.layers.deferred_rows import deferrable_layers
from kerasft.training.layers.fused_layers import KERNELS, chosen_forms
from kerasft.training.layers.precision import bfloat16_products
from kerasft.training.objectives.task_loss import TaskLoss
from kerasft.training.optimizer import create_optimizer
from kerasft.training.step import StepPlan, make_train_step

LABELS, ROWS, TOKENS = 77, 32, 32
METHODS = {
    "all weights": None,
    "lora": {"method": "lora"},
    "lora, query and value": {"method": "lora", "targets": "query_value"},
    "bitfit": {"method": "bitfit"},
    "layernorm": {"method": "layernorm"},
    "ia3": {"method": "ia3"},
    "dora": {"method": "dora"},
    "vera": {"method": "vera"},
    "pissa": {"method": "pissa"},
}


def make_step(peft: dict | None):
    """The trainer's own step, and how many numbers it trains."""
    columns = {"text": "text", "label": "label"}
    config = Config.model_validate(
        {
            "name": "step",
            "task": {"name": "text_classification", "pooling": "mean"},
            "model": {"preset": "none", "max_length": TOKENS, "peft": peft},
            "data": {"train": "none", "columns": columns},
            "training": {"batch_size": ROWS},
        }
    )
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=30522, num_layers=6, num_heads=12, hidden_dim=384, intermediate_dim=1536
    )
    task = create_task(config, {"labels": [str(i) for i in range(LABELS)]})
    model = build_classifier(backbone, LABELS, pooling="mean")
    method = put_method(config, model, backbone) if peft else None
    forms, training = chosen_forms(None), config.training
    rates = method.rates if method else {}
    deferred = deferrable_layers(training, model, forms, 1)
    optimizer = create_optimizer(training, 100, model, {}, deferred, KERNELS in forms, rates)
    plan = StepPlan(
        model=model,
        objective=TaskLoss(model, task),
        optimizer=optimizer,
        strategy=tf.distribute.OneDeviceStrategy("/cpu:0"),
        fused=forms,
        method=method,
    )
    return tf.function(make_train_step(plan)), sum(math.prod(v.shape) for v in model.trainable_variables)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bfloat16", action="store_true", help="training.precision mixed_bfloat16")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    ids = np.random.default_rng(0).integers(1, 30000, (ROWS, TOKENS)).astype("int32")
    features = {"token_ids": ids, "segment_ids": np.zeros_like(ids), "padding_mask": np.ones_like(ids)}
    batch = tf.nest.map_structure(tf.constant, (features, np.arange(ROWS, dtype="int32"), np.ones(ROWS, "float32")))
    steps = {name: make_step(peft) for name, peft in METHODS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    with bfloat16_products(args.bfloat16):
        for turn in range(args.rounds + 1):  # the first traces
            for name, (step, _) in steps.items():
                begun = time.process_time()
                step(batch)
                if turn:
                    seconds[name].append(time.process_time() - begun)
    whole = np.array(seconds["all weights"])
    for name, (_, trained) in steps.items():
        share = np.median(np.array(seconds[name]) / whole)
        print(f"| {name} | {trained:,} | {np.median(seconds[name]):.3f} s | {share:.2f} |")


if __name__ == "__main__":
    main()
