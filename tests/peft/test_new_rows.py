"""Tokens of a task's own are rows of a frozen table, and train where a method leaves the table as it is."""

import numpy as np
import pytest
import tensorflow as tf
from support.task_rows import TASKS, settings  # noqa: F401

from kerasft.assembly import assemble
from kerasft.config.schema import Config
from kerasft.data.splits import load_splits
from kerasft.peft.adapter_files import Adapter
from kerasft.tasks.registry import create_task


@pytest.fixture
def relation(settings):  # noqa: F811
    """A relation extractor, with its markers, that LoRA was put into; and its features."""
    config = settings(*TASKS["a relation"])
    model = config.model.model_dump() | {"peft": {"method": "lora", "rank": 2, "targets": "query_value"}}
    config = Config.model_validate(config.model_dump() | {"model": model})
    task = create_task(config)
    table = load_splits(config, task)["train"]
    assembled = assemble(config, task, preset=config.model.preset)
    features, _, _ = task.prepare(table, assembled.preprocessor).batch(np.arange(4))
    return assembled, features


def test_rows_of_markers_train_and_no_other_row(relation):
    assembled, features = relation
    model, method = assembled.model, assembled.method
    table = assembled.backbone.token_embedding.embeddings
    rows = method.new_rows
    assert len(rows.ids) == 4 and any(v is rows.moved for v in model.trainable_variables) and not table.trainable
    before, base = model(features).numpy(), table.numpy()
    with method.installed(), tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.sin(model(features)))
        np.testing.assert_array_equal(model(features), before)
    assert (np.abs(tape.gradient(loss, rows.moved.value)).max(axis=1) > 0).all()
    rows.moved.assign(np.random.default_rng(0).normal(size=rows.moved.shape))
    with method.installed():
        computed = model(features).numpy()
    with method.merged():
        np.testing.assert_allclose(model(features), computed, atol=1e-6)
        changed = np.flatnonzero((table.numpy() != base).any(axis=1))
        np.testing.assert_array_equal(changed, rows.ids)
    assert np.abs(computed - before).max() > 1e-4
    np.testing.assert_array_equal(table.numpy(), base)


def test_rows_come_back_with_the_adapter(relation):
    assembled, _ = relation
    rows = assembled.method.new_rows
    rows.moved.assign(np.random.default_rng(0).normal(size=rows.moved.shape))
    moved = rows.moved.numpy()
    saved = Adapter("x", {}, assembled.method.saved_tensors(), {})
    rows.moved.assign(0 * moved)
    assert rows.start_from(saved)
    np.testing.assert_allclose(rows.moved.numpy(), moved, atol=1e-6)
