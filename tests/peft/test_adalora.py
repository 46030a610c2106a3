"""AdaLoRA: the budget falls as its schedule says, what matters least goes, and the penalty is that of the paper."""

import numpy as np
import pytest
import tensorflow as tf
from support.peft_run import PeftRun
from support.tiny_split import prepared  # noqa: F401

from kerasft.peft.adalora import E, P, Q
from kerasft.peft.budget import BETA, Budget

SECTION = {"method": "adalora", "rank": 4, "target_rank": 1, "allocate_from": 0.25, "allocate_until": 0.75}


@pytest.fixture
def run(tiny_bert, prepared) -> PeftRun:  # noqa: F811
    return PeftRun(SECTION, tiny_bert(), prepared)


def live(run: PeftRun) -> list[int]:
    return [int(importance.live.numpy().sum()) for importance in run.method.importances]


def test_the_budget_falls_by_a_cubic_from_one_number_to_another():
    budget = Budget(first=100, last=20, begin=10, end=30, every=5)
    assert [budget.at(step) for step in (0, 10, 20, 30, 40)] == [100, 100, 30, 20, 20]
    assert [step for step in range(60) if budget.chooses(step)] == [15, 20, 25, 30]
    assert Budget(12, 12, 0, 1).at(5) == 12


def test_live_values_are_as_many_as_the_schedule_says_after_every_step(run):
    layers = len(run.method.adapters)
    for steps in range(1, 9):
        run.steps(steps)
        assert sum(live(run)) == run.method.budget.at(steps), steps
        ranks = run.method.figures["ranks"]
        assert list(ranks.values()) == live(run)  # values without a place are zero, and all others have learnt
    assert sum(live(run)) == layers and len(set(live(run))) > 1  # some layers have more than others


def test_the_choice_is_settled_after_the_budget_has_fallen(run):
    run.steps(6)
    settled = [importance.live.numpy() for importance in run.method.importances]
    run.steps(8)
    for importance, before in zip(run.method.importances, settled):
        np.testing.assert_array_equal(importance.live.numpy(), before)


def test_what_matters_is_computed_as_in_the_paper(run):
    importance, adapter = run.method.importances[0], run.method.adapters[0]
    random = np.random.default_rng(0)
    means = {name: 0.0 for name in (P, E, Q)}
    spreads = dict(means)
    adapter.variables[E].assign(random.normal(size=4))
    for _ in range(3):
        gradients = {name: random.normal(size=variable.shape) for name, variable in adapter.variables.items()}
        importance.update({name: tf.constant(value, tf.float32) for name, value in gradients.items()})
        for name, gradient in gradients.items():
            seen = np.abs(adapter.value(name) * gradient)
            means[name] = BETA * means[name] + (1 - BETA) * seen
            spreads[name] = BETA * spreads[name] + (1 - BETA) * np.abs(seen - means[name])
    each = {name: means[name] * spreads[name] for name in means}
    expected = each[E] + each[P].mean(0) + each[Q].mean(1)
    np.testing.assert_allclose(importance.scores(), expected, rtol=1e-4)


def test_the_highest_scores_of_all_layers_have_places(run):
    masks = Budget(6, 3, 0, 2).masks(
        [tf.constant([0.1, 0.9, 0.5]), tf.constant([0.5, 0.2, 0.7])], [tf.ones(3)] * 2, tf.constant(2, tf.int64)
    )
    np.testing.assert_array_equal(masks, [[0, 1, 1], [0, 0, 1]])  # of two that are alike the first stays


def test_the_penalty_is_the_gradient_of_what_is_not_orthogonal(run):
    adapter = run.method.adapters[0]
    with tf.GradientTape() as tape:
        p, q = (tf.convert_to_tensor(adapter.variables[name]) for name in (P, Q))
        tape.watch([p, q])
        one = tf.eye(4)
        loss = 0.1 * sum(tf.reduce_sum((a - one) ** 2) for a in (tf.transpose(p) @ p, q @ tf.transpose(q)))
    penalty = run.method._penalty(adapter)
    for mine, theirs in zip((penalty[P], penalty[Q]), tape.gradient(loss, [p, q])):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
