"""Four bits a number: what is stored is what is computed, and GPTQ and AWQ lose less than rounding."""

import numpy as np

from kerasft.compress.rounding import awq_scales, disturbance, gptq
from kerasft.models.presets.four_bits import from_arrays, nearest


def matrix_and_inputs(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(500, 24)) @ random.normal(size=(24, 70)) + 0.3 * random.normal(size=(500, 70))
    inputs *= np.exp(random.normal(size=70))  # some are much larger
    return random.normal(size=(70, 12)).astype(np.float32), inputs.astype(np.float32)


def test_rounding_is_off_by_half_a_step_and_files_hold_it():
    matrix = matrix_and_inputs()[0]
    matrix[:32, 0] = 0.0
    bits = nearest(matrix, (7, 10, 3, 4))
    steps = np.repeat(bits.scales.astype(np.float32), 32, axis=0)[:70]
    assert (np.abs(bits.values().reshape(70, 12) - matrix) <= 0.52 * steps + 1e-6).all()
    arrays = bits.arrays()
    assert arrays[""].shape == (35, 12) and arrays[""].dtype == np.uint8
    np.testing.assert_array_equal(from_arrays(arrays).values(), bits.values())
    odd = nearest(matrix[:33])
    np.testing.assert_array_equal(from_arrays(odd.arrays()).values(), odd.values())


def test_numbers_that_had_sixteen_levels_a_group_stay_what_they_are():
    random = np.random.default_rng(0)
    integers = random.integers(0, 16, (64, 12))
    integers[0], integers[1], integers[32], integers[33] = 0, 15, 0, 15  # each group reaches from end to end
    scales = random.uniform(0.5, 2, (2, 12)).astype(np.float16).astype(np.float32)
    least = -scales * random.uniform(3, 12, (2, 12)).astype(np.float32)  # at no multiple of a scale
    matrix = (integers.reshape(2, 32, 12) * scales[:, None] + least[:, None]).reshape(64, 12)
    bits = nearest(matrix)
    np.testing.assert_array_equal(bits.integers, integers)
    assert (np.abs(bits.values() - matrix) <= np.repeat(scales, 32, axis=0) / 31).all()


def test_zeros_of_a_pruned_matrix_stay_zeros_and_older_files_are_read():
    matrix = matrix_and_inputs()[0]
    matrix[np.random.default_rng(0).random(matrix.shape) < 0.3] = 0.0
    bits = nearest(matrix)
    assert (bits.values()[matrix == 0] == 0).all() and (bits.zeros % 16 == 0)[:2].all()
    arrays = bits.arrays()
    assert set(arrays) == {"", "_scales", "_sixteenths", "_shape"}
    whole = {**{name: value for name, value in arrays.items() if name != "_sixteenths"}, "_zeros": bits.zeros // 16}
    older = from_arrays(whole)
    np.testing.assert_array_equal(older.zeros, bits.zeros // 16 * 16)


def test_gptq_with_an_identity_hessian_is_rounding():
    matrix = matrix_and_inputs()[0]
    np.testing.assert_array_equal(gptq(matrix, np.eye(70)).integers, nearest(matrix).integers)


def test_gptq_and_awq_disturb_outputs_less_than_rounding():
    for seed in range(3):
        matrix, inputs = matrix_and_inputs(seed)
        inputs[:, 5] = 0.0  # never used
        products = inputs.T @ inputs

        def error(values, matrix=matrix, inputs=inputs):
            return np.square(inputs @ (values - matrix)).sum()

        rounding = error(nearest(matrix).values())
        assert error(gptq(matrix, products).values()) < 0.6 * rounding
        scales = awq_scales([matrix], products, np.abs(inputs).mean(0))
        awq = nearest(matrix * scales[:, None]).values() / scales[:, None]
        assert error(awq) < 0.9 * rounding
        np.testing.assert_allclose(disturbance(awq - matrix, products), error(awq), rtol=1e-3)
