"""Ensembles of every task that has them, in graph, beside the model alone; and those that have none."""

import numpy as np
import pytest
import tensorflow as tf
from support.task_rows import TASKS, settings  # noqa: F401

from kerasft.assembly import assemble
from kerasft.data.tables.splits import load_splits
from kerasft.ensembles.combined import Ensemble, EnsembleTask, Members
from kerasft.ensembles.plan import Settings, check_settings
from kerasft.errors import UserError
from kerasft.evaluation.evaluate import Evaluator
from kerasft.tasks.registry import create_task

JOINED = ("a label", "several labels", "a number", "tags", "a relation", "answers")


@pytest.mark.parametrize("name", JOINED)
def test_copies_answer_as_the_model_and_others_by_their_mean(settings, name, tiny_preset):  # noqa: F811
    config = settings(*TASKS[name])
    check_settings(config, Settings())
    task = create_task(config)
    tables = load_splits(config, task)
    assembled = [assemble(config, task, preset=str(tiny_preset)) for _ in range(2)]
    one, other = (each.model for each in assembled)
    for model, seed in ((one, 0), (other, 1)):
        for variable in model.weights:  # far from random ones, whose answers are all alike
            variable.assign(variable + 0.3 * tf.random.stateless_normal(variable.shape, (seed, 0)))
    reader = assembled[0].preprocessor
    prepared = task.prepare(tables["validation"], reader)
    states = [task.state] * 2

    def logits(model) -> np.ndarray:
        return Evaluator(model, tf.distribute.get_strategy(), 8, task.condense).logits(prepared)

    task.tune(prepared, logits(one))
    copies = Ensemble(Members([one, one], states, reader, 1), task, [0.5, 0.5])
    np.testing.assert_allclose(logits(copies), logits(one), atol=2e-4)
    both = Ensemble(Members([one, other], states, reader, 0), task, [0.5, 0.5])
    assert not np.allclose(logits(both), logits(one), atol=1e-2)
    rows = tables["validation"].rows(range(3))
    texts = {key: tf.constant([row[key] for row in rows]) for key in task.inputs}
    features = tf.function(reader, autograph=False)(texts)
    alone = task.answer(one, features)
    same, apart = (EnsembleTask(task).answer(model, features) for model in (copies, both))
    assert same.keys() - alone.keys() == {"uncertainty"}
    for key, value in alone.items():
        if value.dtype.is_floating:
            np.testing.assert_allclose(same[key], value, atol=2e-4)
        else:
            assert (same[key].numpy() == value.numpy()).all()
    np.testing.assert_allclose(same["uncertainty"], np.zeros(3), atol=2e-3)
    assert apart["uncertainty"].shape == (3,) and (apart["uncertainty"].numpy() > 1e-4).all()


@pytest.mark.parametrize("name", ["tags of a chain", "pairs among others", "hidden tokens"])
def test_a_task_without_ensembles_says_so(settings, name):  # noqa: F811
    with pytest.raises(UserError, match="kerasft ensemble: .* has no ensemble"):
        check_settings(settings(*TASKS[name]), Settings())
