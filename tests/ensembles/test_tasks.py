"""Ensembles of every task that has them, in graph, beside the model alone; and those that have none."""

import numpy as np
import pytest
import tensorflow as tf
from support.task_rows import TASKS, configured, settings  # noqa: F401

from kerasft.assembly import assemble
from kerasft.data.splits import load_splits
from kerasft.ensembles.combined import Ensemble, EnsembleTask, Members
from kerasft.ensembles.plan import Settings, check_settings
from kerasft.errors import UserError
from kerasft.evaluation.evaluate import Evaluator
from kerasft.tasks.registry import create_task

JOINED = ("a label", "several labels", "a number", "tags", "tags of a chain", "a relation", "answers")


@pytest.mark.parametrize("name", JOINED)
def test_copies_answer_as_the_model_and_others_by_their_mean(settings, name, tiny_preset):  # noqa: F811
    config = settings(*TASKS[name])
    check_settings(config, Settings())
    task = create_task(config)
    tables = load_splits(config, task)
    tasks = [create_task(config, task.state) for _ in range(2)]
    assembled = [assemble(config, each, preset=str(tiny_preset)) for each in tasks]
    task.state |= {key: value for key, value in tasks[0].state.items() if key == "marker_ids"}  # as a run of members
    one, other = (each.model for each in assembled)
    for model, seed in ((one, 0), (other, 1)):
        for variable in model.weights:  # far from random ones, whose answers are all alike
            variable.assign(variable + 0.3 * tf.random.stateless_normal(variable.shape, (seed, 0)))
    reader = assembled[0].preprocessor
    prepared = task.prepare(tables["validation"], reader)

    def logits(model) -> np.ndarray:
        return Evaluator(model, tf.distribute.get_strategy(), 8, task.condense).logits(prepared)

    copies = Ensemble(Members([one, one], [tasks[0]] * 2, reader, 1), task, [0.5, 0.5])
    task.tune(prepared, logits(one))
    np.testing.assert_allclose(logits(copies), logits(one), atol=2e-4)
    joined = create_task(config, task.state)
    both = Ensemble(Members([one, other], tasks, reader, 0), joined, [0.5, 0.5])
    assert not np.allclose(logits(both), logits(one), atol=1e-2)
    rows = tables["validation"].rows(range(3))
    texts = {key: tf.constant([row[key] for row in rows]) for key in task.inputs}
    features = tf.function(reader, autograph=False)(texts)
    alone = task.answer(one, features)
    same, apart = (EnsembleTask(each.task).answer(each, features) for each in (copies, both))
    assert same.keys() - alone.keys() == {"uncertainty"}
    for key, value in alone.items():
        if value.dtype.is_floating:
            np.testing.assert_allclose(same[key], value, atol=2e-4)
        else:
            assert (same[key].numpy() == value.numpy()).all()
    np.testing.assert_allclose(same["uncertainty"], np.zeros(3), atol=2e-3)
    assert apart["uncertainty"].shape == (3,) and (apart["uncertainty"].numpy() > 1e-4).all()


@pytest.mark.parametrize("name", ["answers to prompts", pytest.param("outputs", marks=pytest.mark.long)])
def test_texts_are_written_by_the_mean_of_next_tokens(configured, name):  # noqa: F811
    config = configured(name, "bucket")
    check_settings(config, Settings())
    task = create_task(config)
    tables = load_splits(config, task)
    tasks = [create_task(config, task.state) for _ in range(2)]
    built = [assemble(config, each, train=tables["train"], preset=None) for each in tasks]
    for place, each in enumerate(built):
        for variable in each.model.weights:
            variable.assign(variable + 0.3 * tf.random.stateless_normal(variable.shape, (place, 0)))
    reader = built[0].preprocessor
    models = [each.model for each in built]
    copies, both = create_task(config, task.state), create_task(config, task.state)
    Ensemble(Members([models[0]] * 2, [tasks[0]] * 2, reader, 1), copies, [0.5, 0.5])
    model = Ensemble(Members(models, tasks, reader, 0), both, [0.25, 0.75])
    rows = tables["validation"].rows(range(3))
    features = reader({key: tf.constant([row[key] for row in rows]) for key in task.inputs})
    alone, same, mixed = (each.answer(model, features) for each in (tasks[0], copies, both))
    assert (alone["text"].numpy() == same["text"].numpy()).all()
    assert set(EnsembleTask(both).answer(model, features)) == {"text", "tokens"}
    limits = tf.fill([3], 4)
    decoders = [each.generator.decoder for each in (*tasks, both)]
    states = [decoder.prefill(features, limits) for decoder in decoders]
    for step in range(2):  # the next token after what is given, and after one more
        one, other, mean = (tf.nn.softmax(d.logits(s.hidden)).numpy() for d, s in zip(decoders, states))
        np.testing.assert_allclose(mean, 0.25 * one + 0.75 * other, atol=1e-5)
        assert np.abs(one - other).max() > 1e-3
        for place, (decoder, state) in enumerate(zip(decoders, states)):
            hidden, cache = decoder.decode_step(tf.fill([3], 7), state.lengths + step, state.cache, state.shared)
            states[place] = state._replace(hidden=hidden, cache=cache)
    # Perplexity is that of the same mean.
    split = task.prepare(tables["validation"], reader)
    some, targets, _ = split.batch(np.arange(2))
    one, other, mean = (tf.nn.softmax(m(some, training=False)).numpy() for m in (*models, model))
    real = targets >= 0
    np.testing.assert_allclose(mean[real], (0.25 * one + 0.75 * other)[real], atol=1e-5)
    assert len(mixed["text"]) == 3


@pytest.mark.parametrize("name", ["pairs among others", "hidden tokens"])
def test_a_task_without_ensembles_says_so(settings, name):  # noqa: F811
    with pytest.raises(UserError, match="kerasft ensemble: .* has no ensemble"):
        check_settings(settings(*TASKS[name]), Settings())
