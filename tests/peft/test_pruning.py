"""Masks: of the lowest scores, more and more, and the same after a resume."""

import numpy as np
import pytest
import tensorflow as tf
from support.peft_run import PeftRun
from support.tiny_split import prepared  # noqa: F401

from kerasft.peft.pruning import mask_of, share_of_zeros


def test_the_lowest_scores_become_zero_by_a_cubic():
    scores = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    mask = mask_of(tf.constant(scores), tf.constant(0.6)).numpy()
    assert mask.sum() == 8 and scores[mask == 1].min() > scores[mask == 0].max()
    shares = [share_of_zeros(step, 2, 10, 0.8) for step in range(12)]
    assert shares[:3] == [0, 0, 0] and shares[10] == shares[11] == 0.8
    assert shares[6] == pytest.approx(0.8 * (1 - 0.5**3))


@pytest.mark.parametrize("by", ["magnitude", "movement"])
def test_zeros_stay_zero_through_training_and_a_resume(tiny_bert, prepared, by):  # noqa: F811
    section = {"method": "pruning", "sparsity": 0.6, "by": by, "every": 2}
    run = PeftRun(section, tiny_bert(), prepared)
    method = run.method
    assert [method.settled(step) for step in (0, 5, 6, 8)] == [False, False, True, True]
    run.steps(4)
    state = [variable.numpy() for variable in [*run.model.variables, *run.optimizer.variables]]
    run.go_on(4, 8)
    kernels = [kernel.numpy() for kernel in method.kernels]
    assert [np.mean(mask.numpy() == 0) for mask in method.masks] == pytest.approx([0.6] * len(kernels), abs=0.01)
    assert method.figures["sparsity"] == pytest.approx(0.6, abs=0.01)
    for kernel, mask in zip(kernels, method.masks):
        assert (kernel[mask.numpy() == 0] == 0).all()
    # What a checkpoint has is enough to come to the same bits.
    assert {id(mask) for mask in (*method.masks, *method.movements)} == {id(each) for each in method.untrained}
    for variable, value in zip([*run.model.variables, *run.optimizer.variables], state):
        variable.assign(value)
    run.go_on(4, 8)
    for kernel, before in zip(method.kernels, kernels):
        np.testing.assert_array_equal(kernel.numpy(), before)
