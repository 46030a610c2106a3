"""NF4 and int8: numbers that bitsandbytes has, sizes, and what is lost."""

from pathlib import Path

import numpy as np
import pytest

from kerasft.peft.packed_matrices import BLOCK, LEVELS, Int8, Nf4, dynamic_levels

FIXTURE = Path(__file__).parents[1] / "fixtures" / "nf4.npz"  # benchmarks/peers/bnb_nf4_fixture.py made it
MATRIX = np.random.default_rng(0).normal(0, 0.1, (96, 192)).astype(np.float32)


@pytest.mark.parametrize("name", ["plain", "double"])
def test_nf4_has_the_codes_scales_and_numbers_of_bitsandbytes(name):
    expected = np.load(FIXTURE)
    packed = Nf4(MATRIX, double=name == "double")
    np.testing.assert_array_equal(packed.codes.numpy(), expected[f"{name}_codes"])
    np.testing.assert_array_equal(packed.scales.numpy(), expected[f"{name}_scales"])
    np.testing.assert_allclose(packed.unpacked().numpy()[::8], expected[f"{name}_values"], atol=1e-7)


def test_the_scales_of_scales_are_those_of_bitsandbytes():
    np.testing.assert_allclose(dynamic_levels(), np.load(FIXTURE)["levels"], atol=1e-7)


def test_bits_a_number():
    assert Nf4(MATRIX, double=False).bytes * 8 / MATRIX.size == 4.5
    assert Nf4(MATRIX).bytes * 8 / MATRIX.size == pytest.approx(4 + 8 / 64 + 32 * 3 / MATRIX.size)
    assert Int8(MATRIX).bytes * 8 / MATRIX.size == pytest.approx(8 + 32 / 192)


def test_a_number_becomes_the_nearest_level_of_its_block():
    matrix = np.random.default_rng(1).normal(size=(3, 50)).astype(np.float32)  # 2 blocks and 22 numbers
    blocks = np.pad(matrix.reshape(-1), (0, 3 * BLOCK - 150)).reshape(3, BLOCK)
    scales = np.abs(blocks).max(1, keepdims=True)
    nearest = LEVELS[np.abs(blocks[..., None] / scales[..., None] - LEVELS).argmin(-1)] * scales
    np.testing.assert_allclose(Nf4(matrix, double=False).unpacked().numpy().reshape(-1), nearest.reshape(-1)[:150])


def test_int8_is_off_by_half_a_step_of_a_row_at_most():
    off = np.abs(Int8(MATRIX).unpacked().numpy() - MATRIX)
    assert (off <= np.abs(MATRIX).max(1, keepdims=True) / 254 + 1e-7).all() and off.max() > 0


@pytest.mark.parametrize("pack", [Nf4, Int8])
def test_a_matrix_of_zeros_stays_one(pack):
    np.testing.assert_array_equal(pack(np.zeros((4, 64), np.float32)).unpacked().numpy(), 0.0)
