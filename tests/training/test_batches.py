"""What `data.batching` stands for, and a whole training whose batches have one shape."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.packed_run import Run
from support.task_rows import DEVICE, SLOW, TASKS

from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.data.prepared.prepared import Prepared
from kerasft.errors import UserError
from kerasft.tasks.registry import create_task
from kerasft.training.batches import Batches
from kerasft.training.plan import TrainingPlan
from kerasft.training.trainer import Trainer

ROWS, STEPS = 21, 6


def config(batching="auto") -> Config:
    return Config.model_validate(
        {
            "name": "t",
            "task": {"name": "text_classification"},
            "model": {"preset": "x", "max_length": 32},
            "data": {"train": "x", "columns": {"text": "text", "label": "label"}, "batching": batching},
            "training": {"batch_size": 4, "steps": STEPS, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
        }
    )


def prepared(lengths: np.ndarray) -> Prepared:
    random, tokens = np.random.default_rng(0), int(lengths.sum())
    return Prepared(
        features={
            "token_ids": random.integers(1, 100, tokens).astype(np.int32),
            "padding_mask": np.ones(tokens, bool),
            "segment_ids": np.zeros(tokens, np.int32),
        },
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        full_lengths=lengths,
        targets=random.integers(0, 2, len(lengths)).astype(np.int32),
        weights=np.ones(len(lengths), np.float32),
        pad_values={"token_ids": 0, "padding_mask": 0, "segment_ids": 0},
        longest=32,
    )


SHORT, LONG = prepared(np.arange(ROWS) % 7 + 3), prepared(np.full(ROWS, 32))


@pytest.mark.parametrize(
    ("batching", "split", "static", "method"),
    [
        ("auto", SHORT, False, "bucket"),
        ("auto", SHORT, True, "pack"),
        ("auto", LONG, True, "pad"),  # texts as long as a row can't share it
        ("pack", LONG, True, "pack"),
        ("pack", SHORT, False, "pack"),
        ("pad", SHORT, True, "pad"),
    ],
)
def test_what_batching_stands_for(tiny_bert, batching, split, static, method):
    made = Batches.of(config(batching), tiny_bert(), split, 4, 2, static)
    assert made.epochs.method == method and (made.packed is not None) == (method == "pack")
    assert (made.filling is not None) == (static and method == "pack")


def test_layers_that_know_no_packing_are_padded_on_a_tpu_and_refused_where_packing_is_asked_for():
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in ("token_ids", "padding_mask")}
    model = keras.Model(inputs, keras.layers.Embedding(9, 4)(inputs["token_ids"]))
    assert Batches.of(config(), model, SHORT, 4, 1, True).epochs.method == "pad"
    with pytest.raises(UserError, match="data.batching: pack does not know .* use bucket, or pad on a TPU"):
        Batches.of(config("pack"), model, SHORT, 4, 1, True)


def test_a_training_of_one_shape_ends_as_others_do(tiny_bert, tmp_path, monkeypatch):
    def trained(name: str):
        keras.utils.set_random_seed(1)
        chosen, strategy = config("pack"), tf.distribute.OneDeviceStrategy("/cpu:0")
        task = create_task(chosen, {"labels": ["a", "b"]})
        with strategy.scope():
            model = task.build(tiny_bert())
        said, folder = io.StringIO(), tmp_path / name
        terminal, checkpoints = Terminal(stream=said), str(folder / "checkpoints")
        plan = TrainingPlan(chosen, task, model, SHORT, SHORT, strategy, folder, checkpoints, terminal)
        trainer = Trainer(plan)
        trainer.fit()
        return trainer, said.getvalue()

    usual, said = trained("usual")
    assert not usual.static and "packing:" not in said
    monkeypatch.setattr(tf.distribute, "TPUStrategy", tf.distribute.OneDeviceStrategy)
    fixed, said = trained("fixed")
    assert fixed.static and "packing: 4 texts share" in said
    for mine, other in zip(fixed.model.get_weights(), usual.model.get_weights()):
        np.testing.assert_allclose(mine, other, atol=1e-5)


@pytest.mark.parametrize("batching", ["pad", "pack"])
def test_batches_of_tokens_end_each_epoch_where_every_row_was_seen_and_go_on_from_any_step(
    settings,
    tmp_path,
    batching,
):
    often = {"checkpoint": {"every_steps": 3, "keep": 9}, "gradient_accumulation": 2, "epochs": 3}
    chosen = settings(*TASKS["hidden tokens"], batching, **SLOW, **often, tokens_per_batch=96, batch_size=4)
    run, terminal, checkpoints = Run(chosen), Terminal(stream=io.StringIO()), str(tmp_path / "checkpoints")
    plan = TrainingPlan(chosen, run.task, run.model, run.rows, run.rows, DEVICE, tmp_path, checkpoints, terminal)
    trainer = Trainer(plan)
    trainer.fit()
    epochs = trainer.batches.epochs
    assert [epochs.limit.tokens, epochs.limit.parts] == [96, 2] and epochs.method == batching
    ends = [epochs.steps_of(number) for number in (1, 2, 3)]
    assert batching == "pack" or len(set(np.diff([0, *ends]))) > 1  # their epochs differ
    assert [row["step"] for row in trainer.progress.history if "validation" in row] == ends
    assert trainer.checkpoints.step == trainer.steps == ends[-1]
    assert trainer.progress.spent["examples"] == 3 * len(trainer.train_data)
    whole, _ = trainer.checkpoints.states.entries()
    midway = next(entry for entry in whole if ends[0] < entry.step < ends[1])
    assert trainer.replay(midway, ends[-1]) == trainer.sha256
    trainer.checkpoints.progress.parts = 4
    with pytest.raises(UserError, match="tokens_per_batch: the run's batches have 4 parts .* would have 2"):
        trainer.data_at(1).__enter__()
