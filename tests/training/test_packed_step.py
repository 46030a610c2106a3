"""A step on packed batches is the step on batches with a row for each text: every task's loss, strategy and form."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.assembly import assemble
from kerasft.config.schema import Config
from kerasft.data.batching.dataset import distribute
from kerasft.data.tables.splits import load_splits
from kerasft.tasks.registry import create_task
from kerasft.training.batches import Batches
from kerasft.training.layers.fused_layers import NAMES
from kerasft.training.objectives.task_loss import TaskLoss
from kerasft.training.optimizer import create_optimizer
from kerasft.training.step import StepPlan, make_train_step

WORDS = "goal match team score coach bank market stock price trade the a of in and".split()
TEXT, PAIR = {"text": "text", "label": "label"}, {"text": "text", "text_pair": "pair"}
TAGS = {"tokens": "tokens", "tags": "tags"}
ANSWERS = {"question": "text", "context": "pair", "answers": "answers"}
# With this optimizer a step takes the gradient off the weights.
GRADIENT = {"name": "sgd", "learning_rate": 1.0, "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant"}
GRADIENT |= {"warmup": 0, "clip_norm": None}
SLOW = {"optimizer": {**GRADIENT, "learning_rate": 0.1}}
DEVICE = tf.distribute.OneDeviceStrategy("/cpu:0")
TASKS = {
    "a label": ({"name": "text_classification"}, TEXT),
    "a label by the mean": ({"name": "text_classification", "pooling": "mean"}, TEXT),
    "a label of a pair": ({"name": "text_classification"}, {**PAIR, "label": "label"}),
    "several labels": ({"name": "text_classification", "problem": "multi_label"}, {"text": "text", "label": "labels"}),
    "a number": ({"name": "text_classification", "problem": "regression"}, {"text": "text", "label": "score"}),
    "tags": ({"name": "token_classification", "stride": 4}, TAGS),
    "tags of a chain": ({"name": "token_classification", "stride": 4, "crf": True}, TAGS),
    "a relation": ({"name": "relation_extraction"}, {"text": "marked", "label": "label"}),
    "answers": ({"name": "question_answering", "stride": 4, "max_question_length": 8}, ANSWERS),
    "pairs among others": ({"name": "text_embedding"}, PAIR),
    "scored pairs": ({"name": "text_embedding"}, {**PAIR, "label": "score"}),
    "hidden tokens": ({"name": "masked_lm", "packing": "none"}, {"text": "text"}),
}


@pytest.fixture
def settings(tmp_path, tiny_preset):
    """Returns a function: a task and its columns -> a config on 21 rows of 1 to 18 words."""
    random = np.random.default_rng(0)
    rows = []
    for i in range(21):
        tokens = [str(token) for token in random.choice(WORDS, random.integers(3, 18))]
        text, label = " ".join(tokens), "sport money".split()[i % 2]
        pair = " ".join(random.choice(WORDS, random.integers(1, 9)))
        rows.append(
            {
                "text": text, "pair": f"{pair} {i}", "label": label,
                "labels": [label, "all"][: 1 + i % 2], "score": i / 7.0,
                "tokens": tokens, "tags": ["B-" + label if token in WORDS[:7] else "O" for token in tokens],
                "marked": f"<e1>{tokens[0]}</e1> {tokens[1]} <e2>{tokens[2]}</e2> {pair}",
                "answers": [{"text": pair.split()[0], "start": 0}],
            }
        )  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def make(task=None, columns=None, batching="pack", **training) -> Config:
        source = str(tmp_path / "rows.jsonl")
        return Config.model_validate(
            {
                "name": "t",
                "task": task or {"name": "text_classification"},
                "model": {"preset": str(tiny_preset), "max_length": 24, "dropout": 0.0},
                "data": {"train": source, "validation": source, "columns": columns or TEXT, "batching": batching},
                "training": {"batch_size": 8, "optimizer": GRADIENT, **training},
            }
        )

    return make


class Run:
    """A model of one layer under a strategy, whose weights are so large that every gradient shows."""

    def __init__(self, config: Config, strategy=DEVICE):
        keras.utils.set_random_seed(1)
        self.config, self.strategy, self.task = config, strategy, create_task(config)
        self.task.check_config()
        tables = load_splits(config, self.task)
        with strategy.scope():
            built = assemble(config, self.task, train=tables["train"], preset=config.model.preset)
        self.model, preprocessor = built.model, built.preprocessor
        self.rows = self.task.prepare(tables["train"], preprocessor, weighted=True)
        random = np.random.default_rng(2)
        self.weights = [value + 0.2 * random.normal(size=value.shape) for value in self.model.get_weights()]

    def trained(self, packs=True, steps=1, fused=(), static=False, **training):
        """Losses and changes of the weights after some steps on batches that are composed for packing."""
        changed = training | {"steps": steps}
        config = self.config.model_copy(update={"training": self.config.training.model_copy(update=changed)})
        self.model.set_weights(self.weights)
        with self.strategy.scope():
            optimizer = create_optimizer(config.training, steps, self.model, {})
        parts, size, replicas = config.training.gradient_accumulation, 8, self.strategy.num_replicas_in_sync
        microbatches = config.training.parallel_microbatches or 1
        batches = Batches.of(config, self.model, self.rows, size, replicas, static)
        assert batches.epochs.method == "pack" and (batches.packing.shape is not None) == static
        packed = batches.packed if packs else None
        objective = TaskLoss(self.model, self.task)
        plan = StepPlan(
            self.model, objective, optimizer, self.strategy, parts, fused, packed, microbatches=microbatches
        )  # fmt: skip
        step = tf.function(make_train_step(plan), jit_compile=static or None)
        dataset = distribute(
            self.rows, lambda: batches.from_step(0), self.strategy, parts * microbatches, size if static else None, 0,
            batches.packing if packs else None,
        )  # fmt: skip
        losses = [float(step(batch)) for batch, _ in zip(dataset, range(steps))]
        return losses, [after - before for after, before in zip(self.model.get_weights(), self.weights)]


def assert_same(one, other):
    np.testing.assert_allclose(one[0], other[0], rtol=1e-5, atol=1e-6)
    scale = max(1.0, *(np.abs(change).max() for change in one[1]))
    assert sum(np.abs(change).max() > 1e-3 for change in one[1]) > 10
    for mine, theirs in zip(one[1], other[1]):
        np.testing.assert_allclose(mine / scale, theirs / scale, atol=1e-5)


@pytest.mark.parametrize("name", TASKS)
def test_every_loss_and_its_gradient(settings, name):
    run = Run(settings(*TASKS[name]))
    assert_same(run.trained(), run.trained(packs=False))


# Three steps: the third batch has 5 rows of 8, which no two replicas share evenly.
THREE = {"steps": 3}


def test_any_accumulation_strategy_and_form(settings, mirrored):
    one, two = Run(settings(**SLOW)), Run(settings(**SLOW), mirrored)
    plain = one.trained(packs=False, **THREE)
    assert_same(plain, one.trained(gradient_accumulation=2, **THREE))
    assert_same(plain, one.trained(gradient_accumulation=2, parallel_microbatches=2, **THREE))
    assert_same(plain, two.trained(fused=NAMES, **THREE))
    assert_same(plain, two.trained(gradient_accumulation=2, **THREE))


def test_one_shape_that_xla_compiles(settings):
    run = Run(settings(**SLOW))
    plain = run.trained(packs=False, **THREE)
    assert_same(plain, run.trained(static=True, **THREE))
    assert_same(plain, run.trained(static=True, gradient_accumulation=2, **THREE))


def test_embeddings_of_two_replicas_are_compared_with_each_other(settings, mirrored):
    config = settings(*TASKS["pairs among others"])
    assert_same(Run(config).trained(packs=False), Run(config, mirrored).trained())
