"""A step on packed batches is the step on batches with a row for each text: every task's loss, strategy and form."""

import pytest
from support.packed_run import Run, assert_same
from support.rarely import rarely
from support.task_rows import SLOW, TASKS

from kerasft.training.layers.fused_layers import NAMES

# To another one, whose loss they have.
ALIKE = ("a label by the mean", "a label of a pair", "a relation", "scored pairs")


@pytest.mark.parametrize("name", [*(name for name in TASKS if name not in ALIKE), *rarely(*ALIKE)])
def test_every_loss_and_its_gradient(settings, name):
    run = Run(settings(*TASKS[name]))
    assert_same(run.trained(), run.trained(packs=False))


# Three steps: the third batch has 5 rows of 8, which no two replicas share evenly.
THREE = {"steps": 3}


def test_parts_of_two_replicas_by_cheaper_forms(settings, mirrored):
    one, two = Run(settings(**SLOW)), Run(settings(**SLOW), mirrored)
    plain = one.trained(packs=False, **THREE)
    assert_same(plain, two.trained(fused=NAMES, gradient_accumulation=2, **THREE))


@pytest.mark.long
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
