"""Units that others can stand for go without a loss, and fewer bits lose no more than they must."""

import numpy as np
import pytest
import tensorflow as tf

from kerasft.compress.feed_forward import kept_count
from kerasft.compress.unit_removal import pruned
from kerasft.models.presets.narrow_weights import dequantized, quantized


def product_of(units: np.ndarray) -> np.ndarray:
    ones = np.hstack([units, np.ones((len(units), 1))])
    return ones.T @ ones


def test_units_that_others_can_stand_for_go_without_a_loss():
    random = np.random.default_rng(0)
    free = random.normal(size=(500, 6))
    units = np.hstack([free, free @ random.normal(size=(6, 5)), np.full((500, 1), 3.0)])  # 6 of 12 say it all
    kernel, bias = random.normal(size=(12, 4)), random.normal(size=4)
    kept, new_kernel, new_bias, loss = pruned(product_of(units), kernel, bias, 6)
    before, after = units @ kernel + bias, units[:, kept] @ new_kernel + new_bias
    assert len(kept) == 6 and 11 not in kept  # a constant unit is a bias
    assert loss < 0.01
    assert np.square(after - before).sum() < 1e-3 * np.square(before - before.mean(0)).sum()


def test_the_fit_is_that_of_least_squares_on_the_units_that_stay():
    random = np.random.default_rng(1)
    units = np.maximum(random.normal(size=(400, 8)) @ random.normal(size=(8, 8)), 0)
    kernel, bias = random.normal(size=(8, 3)), random.normal(size=3)
    kept, new_kernel, new_bias, _ = pruned(product_of(units), kernel, bias, 5)
    ones = np.hstack([units[:, kept], np.ones((400, 1))])
    best = np.linalg.lstsq(ones, units @ kernel + bias, rcond=None)[0]
    found = np.vstack([new_kernel, new_bias])
    error = [np.square(ones @ fit - (units @ kernel + bias)).sum() for fit in (best, found)]
    assert error[0] <= error[1] < 1.01 * error[0]
    dropped = units[:, kept] @ kernel[kept] + bias  # what is left where nothing makes up for it
    assert error[1] < 0.7 * np.square(dropped - (units @ kernel + bias)).sum()


def test_groups_stay_and_go_together_and_are_chosen_and_fitted_as_by_hand():
    random = np.random.default_rng(3)
    units = random.normal(size=(300, 8)) @ random.normal(size=(8, 8))
    kernel, bias = random.normal(size=(8, 3)), random.normal(size=3)
    truth, ones = units @ kernel + bias, np.ones((300, 1))
    errors = {}
    for gone in range(4):  # which one of four pairs costs least where the others make up for it
        left = np.delete(np.arange(8), [2 * gone, 2 * gone + 1])
        inputs = np.hstack([units[:, left], ones])
        errors[gone] = np.square(inputs @ np.linalg.lstsq(inputs, truth, rcond=None)[0] - truth).sum()
    cheapest = min(errors, key=errors.__getitem__)
    kept, new_kernel, new_bias, _ = pruned(product_of(units), kernel, bias, 3, size=2)
    assert kept.tolist() == np.delete(np.arange(8), [2 * cheapest, 2 * cheapest + 1]).tolist()
    error = np.square(units[:, kept] @ new_kernel + new_bias - truth).sum()
    assert error == pytest.approx(errors[cheapest], rel=0.01)


def test_a_smaller_layer_equals_the_masked_one():
    """Contract: pruned matrices give what full ones give whose units are zero."""
    random = np.random.default_rng(2)
    inputs, first, second = (random.normal(size=size).astype(np.float32) for size in ((9, 4), (4, 6), (6, 4)))
    kept = np.array([0, 2, 5])
    mask = np.isin(np.arange(6), kept).astype(np.float32)
    masked = (tf.nn.gelu(inputs @ first) * mask) @ second
    small = tf.nn.gelu(inputs @ first[:, kept]) @ second[kept]
    np.testing.assert_allclose(small, masked, atol=1e-5)


@pytest.mark.parametrize("units, share, count", [(1536, 0.5, 768), (32, 0.5, 16), (8, 0.5, 4), (1536, 0.001, 16)])
def test_how_many_units_stay(units, share, count):
    assert kept_count(units, share) == count


def test_eight_bits_are_off_by_half_a_step_at_most():
    values = np.random.default_rng(0).normal(size=(7, 50)).astype(np.float32)
    values[0, :32] = 0.0
    integers, scales = quantized(values)
    assert integers.dtype == np.int8 and scales.shape == (11,)
    steps = np.repeat(scales.astype(np.float32), 32)[: values.size].reshape(values.shape)
    error = np.abs(dequantized(integers, scales) - values)
    assert (error <= 0.51 * steps + 1e-6).all()
