"""What every method of parameter-efficient fine-tuning must hold to; a method joins with a line of SECTIONS."""

import itertools

import numpy as np
import pytest
from support.peft_run import PeftRun
from support.tiny_split import prepared  # noqa: F401

from kerasft.kernels import library
from kerasft.peft.registry import METHODS
from kerasft.training.layers.fused_layers import KERNELS, NAMES

# The section of each method, with a second word where it has several forms, and what of a BERT trains by it.
SECTIONS = {
    "lora": {"rank": 2},
    "bitfit": {},
    "layernorm": {},
    "ia3": {},
    "adapter": {"width": 3},
    "adapter houlsby": {"width": 3, "style": "houlsby"},
    "adapter parallel": {"width": 3, "style": "parallel", "scale": 4.0},
    "dora": {"rank": 2},
    "adalora": {"rank": 4, "target_rank": 2, "allocate_from": 0.5},
    "vera": {"rank": 4},
    "pissa": {"rank": 2},
    "qlora": {"rank": 2},
    "prefix": {"tokens": 3},
    "prefix reparameterized": {"tokens": 3, "reparameterize": True, "hidden": 4},
    "prompt": {"tokens": 3},
    "pruning": {"sparsity": 0.6},
    "pruning movement": {"sparsity": 0.6, "by": "movement"},
    "p_tuning": {"tokens": 3, "hidden": 5},
    "prompt_pool": {"tokens": 1, "chosen": 3, "pool": 3},
}
# The first outputs are those of the base in every bit, unless sums of the same numbers are taken in another order.
CLOSE = ("dora",)
# Those that change the outputs from the start.
BEGIN_ELSEWHERE = ("prefix", "prompt", "p_tuning", "qlora", "prompt_pool")
# What an objective of continual learning alone moves.
OF_AN_OBJECTIVE = ("peft/pool.keys",)
# Each two of the four switches are on together and apart at least once: kernels, pack, rematerialize, microbatches.
COMBINATIONS = [
    (True, False, False, 1),
    (True, True, True, 2),
    (True, False, True, 2),
    (False, True, True, 1),
    (False, True, False, 2),
    (True, True, False, 1),
    (False, False, False, 2),
]


@pytest.fixture(params=SECTIONS)
def run(request, tiny_bert, prepared) -> PeftRun:  # noqa: F811
    return PeftRun({"method": request.param.split()[0], **SECTIONS[request.param]}, tiny_bert(), prepared)


def available() -> tuple[str, ...]:
    try:
        library.load()
    except library.Unavailable:
        return tuple(name for name in NAMES if name != KERNELS)
    return NAMES


def assert_close(mine, other, most=1e-5) -> None:
    assert len(mine) == len(other)
    for one, two in zip(mine, other):
        scale = max(1.0, float(np.abs(two).max()))
        np.testing.assert_allclose(one / scale, two / scale, atol=most)


def check_updates(run: PeftRun, combinations) -> None:
    plain = run.steps()
    for kernels, packs, recomputed, microbatches in combinations:
        forms = available() if kernels else ()
        assert_close(run.steps(1, forms, packs, recomputed, microbatches), plain)


def test_every_method_is_held_to_it():
    assert {name.split()[0] for name in SECTIONS} == METHODS.keys()


def test_a_new_method_changes_nothing_that_the_model_gives(run):
    if run.method.name in BEGIN_ELSEWHERE:
        pytest.skip("what every token attends to can't be nothing, nor a base in 4 bits what it was")
    np.testing.assert_array_equal(run.logits(), run.before)
    most = 1e-5 if run.method.name in CLOSE else 0
    np.testing.assert_allclose(run.step_logits(), run.before, rtol=0, atol=most)


def test_two_steps_move_all_that_trains_and_nothing_else(run):
    frozen = [weight for weight in run.backbone.weights if not weight.trainable]
    bits = [weight.numpy() for weight in frozen]
    own = {id(variable) for variable in [*run.backbone.weights, *run.method.bank.weights]}
    head = {weight.path for weight in run.model.weights if id(weight) not in own}
    assert {variable.path for variable in run.trained} == head | {v.path for v in run.method.variables.values()}
    changes = run.steps(2)
    still = [variable.path for variable, change in zip(run.trained, changes) if not np.abs(change).max() > 0]
    still = [path for path in still if path not in OF_AN_OBJECTIVE]
    assert [path for path in still if not path.endswith("key/bias")] == []  # softmax takes a key's bias away
    for weight, before in zip(frozen, bits):
        np.testing.assert_array_equal(weight.numpy(), before)


def test_merged_weights_give_what_a_step_computes_and_the_bits_come_back(run):
    run.steps(2)
    base, computed = [weight.numpy() for weight in run.backbone.weights], run.step_logits()
    assert np.abs(computed - run.before).max() > 1e-3
    with run.method.merged():
        np.testing.assert_allclose(run.logits(), computed, atol=1e-5)
    for weight, before in zip(run.backbone.weights, base):
        np.testing.assert_array_equal(weight.numpy(), before)


def test_updates_are_the_same_whatever_form_layers_have(run):
    run.disturb()
    check_updates(
        run, COMBINATIONS if run.method.changes() or run.method.part or run.method.new_rows else COMBINATIONS[:2]
    )


@pytest.mark.long
def test_updates_are_the_same_in_every_combination_of_forms(run):
    run.disturb()
    check_updates(run, itertools.product((True, False), (True, False), (True, False), (1, 2)))
