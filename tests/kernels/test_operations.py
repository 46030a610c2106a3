"""Kernels give what TensorFlow's own operations give: values, gradients, dropout's law; and the same bits each time."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.kernels import library, operations
from kerasft.models.generation.four_bit_weights import EightBitTable, FourBitKernel
from kerasft.models.presets.four_bits import nearest
from kerasft.models.presets.narrow_weights import dequantized, quantized

try:
    library.load()
except library.Unavailable as reason:
    pytest.skip(f"no kernels: {reason}", allow_module_level=True)

SEED = tf.constant([3, -7], tf.int32)
SIZES = st.tuples(st.integers(1, 70), st.integers(1, 90))
# Of two or three numbers the deviation may be next to nothing, and rounding then is all that a gradient shows.
NORMALIZED = st.tuples(st.integers(1, 70), st.integers(8, 90))


def random(*shape: int, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng((seed, *shape)).normal(size=shape), tf.float32)


def with_gradients(function, *inputs: tf.Tensor) -> list[np.ndarray]:
    """The result, and the gradient of each input; every number of the result has a weight of its own in the loss."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        result = tf.cast(function(*inputs), tf.float32)
        loss = tf.reduce_sum(result * tf.cos(tf.reshape(tf.range(tf.size(result), dtype=tf.float32), result.shape)))
    return [value.numpy() for value in (result, *tape.gradient(loss, inputs))]


def agree(found: list[np.ndarray], expected: list[np.ndarray], tolerance: float = 1e-5) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        scale = max(1.0, np.abs(other).max(initial=0))
        np.testing.assert_allclose(one / scale, other / scale, atol=tolerance)


def plain_norm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
    mean, variance = tf.nn.moments(x, -1, keepdims=True)
    return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-5)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(NORMALIZED)
def test_normalisation(sizes):
    rows, width = sizes
    inputs = 5 + random(rows, width), random(width), random(width, seed=1)
    agree(with_gradients(lambda *a: operations.norm(*a, 1e-5), *inputs), with_gradients(plain_norm, *inputs), 1e-4)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(NORMALIZED)
def test_bias_residual_and_normalisation(sizes):
    rows, width = sizes
    inputs = random(rows, width), random(width, seed=1), random(rows, width, seed=2)
    inputs += random(width), random(width, seed=3)

    def ours(*inputs):
        y, operand = operations.residual_norm(*inputs, SEED, 0.0, 1e-5)
        return y + 2 * operand

    def plain(x, bias, residual, gamma, beta):
        return 3 * plain_norm(x + bias + residual, gamma, beta)

    agree(with_gradients(ours, *inputs), with_gradients(plain, *inputs), 1e-4)


def test_what_is_dropped_before_a_residual_gets_no_gradient():
    x, residual = random(40, 64), random(40, 64, seed=1)
    kept = operations.dropout(tf.ones_like(x), SEED, 0.3)
    gamma, beta, none = tf.ones(64), tf.zeros(64), tf.zeros(64)

    def ours(x, residual):
        return operations.residual_norm(x, none, residual, gamma, beta, SEED, 0.3, 1e-5)[0]

    def plain(x, residual):
        return plain_norm(x * kept + residual, gamma, beta)

    agree(with_gradients(ours, x, residual), with_gradients(plain, x, residual))


@pytest.mark.parametrize("approximate", [True, False])
@settings(deadline=None, max_examples=25, derandomize=True)
@given(sizes=SIZES)
def test_gelu(approximate, sizes):
    rows, width = sizes
    inputs = 3 * random(rows, width), random(width)
    found = with_gradients(lambda x, bias: operations.gelu(x, bias, approximate), *inputs)
    agree(found, with_gradients(lambda x, bias: tf.nn.gelu(x + bias, approximate), *inputs), 2e-5)


@pytest.mark.parametrize("approximate", [True, False])
def test_gelu_far_from_zero(approximate):
    x = tf.constant([[-1e30, -90.0, -20.0, -6.0, -0.0, 6.0, 20.0, 90.0, 1e30]])
    y, dx, _ = with_gradients(lambda x, bias: operations.gelu(x, bias, approximate), x, tf.zeros(9))
    np.testing.assert_allclose(y[0, 5:], x[0, 5:], rtol=1e-6)
    np.testing.assert_allclose(y[0, :5], 0, atol=1e-7)
    assert np.isfinite(dx).all()


@pytest.mark.parametrize("own", [1, 5])
@settings(deadline=None, max_examples=20, derandomize=True)
@given(width=st.integers(1, 70))
def test_attention_weights(own, width):
    """One mask for every token that looks, or one for each."""
    scores = random(3, 2, 5, width)
    mask = np.random.default_rng(width).random((3, own, width)) < 0.6
    mask[..., 0] = True
    bias = tf.constant(np.where(mask, 0, -1e9), tf.float32)
    found = with_gradients(lambda s: operations.attention_weights(s, bias, SEED, 0.0, 0.4), scores)
    agree(found, with_gradients(lambda s: tf.nn.softmax(0.4 * s + bias[:, None]), scores))
    kept = operations.dropout(tf.ones_like(scores), SEED, 0.25)
    found = with_gradients(lambda s: operations.attention_weights(s, bias, SEED, 0.25, 0.4), scores)
    agree(found, with_gradients(lambda s: kept * tf.nn.softmax(0.4 * s + bias[:, None]), scores))


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="mask"):
        operations.attention_weights(random(3, 2, 5, 7), tf.zeros((3, 1, 6)), SEED, 0.0, 1.0)


class TestAttention:
    @pytest.fixture(autouse=True)
    def _processor(self):
        if not operations.has_attention():
            pytest.skip("this processor has no AVX512")

    @staticmethod
    def plain(query, key, value, bias, heads, kept=1.0, scale=0.4):
        """By TensorFlow's operations, in float32."""
        batch, length = bias.shape[0], bias.shape[2]

        def split(x):
            x = tf.reshape(tf.cast(x, tf.float32), (batch, length, heads, -1))
            return tf.transpose(x, [0, 2, 1, 3])

        query, key, value = map(split, (query, key, value))
        weights = kept * tf.nn.softmax(scale * tf.matmul(query, key, transpose_b=True) + bias[:, None])
        return tf.reshape(tf.transpose(weights @ value, [0, 2, 1, 3]), (batch * length, -1))

    @pytest.mark.parametrize("own", [False, True])
    @settings(deadline=None, max_examples=25, derandomize=True)
    @given(length=st.integers(1, 70), heads=st.integers(1, 3), width=st.integers(1, 70))
    def test_values_and_gradients(self, own, length, heads, width):
        """One mask for every token that looks, or one for each."""
        inputs = [random(2 * length, heads * width, seed=seed) for seed in range(3)]
        mask = np.random.default_rng(width).random((2, length if own else 1, length)) < 0.6
        mask[..., 0] = True
        bias = tf.constant(np.where(mask, 0, -1e9), tf.float32)
        found = with_gradients(lambda *a: operations.attention(*a, bias, SEED, heads, 0.0, 0.4), *inputs)
        agree(found, with_gradients(lambda *a: self.plain(*a, bias, heads), *inputs), 2e-5)

    def test_dropout(self):
        inputs, bias = [random(3 * 21, 2 * 8, seed=seed) for seed in range(3)], tf.zeros((3, 1, 21))
        kept = operations.dropout(tf.ones((3, 2, 21, 21)), SEED, 0.25)
        found = with_gradients(lambda *a: operations.attention(*a, bias, SEED, 2, 0.25, 0.4), *inputs)
        agree(found, with_gradients(lambda *a: self.plain(*a, bias, 2, kept), *inputs), 2e-5)

    def test_in_bfloat16(self):
        inputs = [tf.cast(random(3 * 21, 2 * 8, seed=seed), tf.bfloat16) for seed in range(3)]
        bias = tf.zeros((3, 1, 21))
        found = with_gradients(lambda *a: operations.attention(*a, bias, SEED, 2, 0.0, 0.4), *inputs)
        agree(found, with_gradients(lambda *a: self.plain(*a, bias, 2), *inputs), 1e-2)

    def test_no_texts(self):
        nothing = tf.zeros((0, 16))
        assert operations.attention(nothing, nothing, nothing, tf.zeros((0, 1, 5)), SEED, 2, 0.1, 1.0).shape == (0, 16)

    @pytest.mark.parametrize("mask", [(3, 1, 6), (2, 1, 7), (3, 2, 7)])
    def test_a_mask_of_another_size_is_refused(self, mask):
        rows = random(21, 8)
        with pytest.raises(tf.errors.InvalidArgumentError, match="mask"):
            operations.attention(rows, rows, rows, tf.zeros(mask), SEED, 2, 0.0, 1.0)


class TestBfloat16:
    """The same numbers as in float32, rounded once at the end: within half of the last of 8 bits."""

    @staticmethod
    def rounded(*shape: int, seed: int = 0) -> tf.Tensor:
        return tf.cast(random(*shape, seed=seed), tf.bfloat16)

    def test_gelu(self):
        x, bias = self.rounded(50, 33), random(33)
        found = with_gradients(lambda x, b: operations.gelu(x, b, True), x, bias)
        agree(found, with_gradients(lambda x, b: tf.nn.gelu(tf.cast(x, tf.float32) + b, True), x, bias), 1e-2)

    def test_residual_and_normalisation(self):
        x, inputs = self.rounded(50, 33), (random(33), random(50, 33, seed=2), random(33, seed=1), random(33, seed=3))

        def ours(x, *inputs):
            y, operand = operations.residual_norm(x, *inputs, SEED, 0.0, 1e-5)
            assert operand.dtype == tf.bfloat16
            np.testing.assert_array_equal(operand, tf.cast(y, tf.bfloat16))
            return y

        def plain(x, bias, residual, gamma, beta):
            return plain_norm(tf.cast(x, tf.float32) + bias + residual, gamma, beta)

        agree(with_gradients(ours, x, *inputs), with_gradients(plain, x, *inputs), 1e-2)

    def test_attention_weights(self):
        scores, bias = self.rounded(3, 2, 5, 20), tf.zeros((3, 1, 20))
        found = with_gradients(lambda s: operations.attention_weights(s, bias, SEED, 0.0, 0.4), scores)
        agree(found, with_gradients(lambda s: tf.nn.softmax(0.4 * tf.cast(s, tf.float32)), scores), 1e-2)


class TestDropout:
    @pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
    def test_as_many_are_dropped_as_were_asked_for(self, rate):
        result = operations.dropout(tf.ones((400, 1001)), SEED, rate).numpy()
        assert np.mean(result == 0) == pytest.approx(rate, abs=1 / 256)
        assert result.mean() == pytest.approx(1.0, abs=0.02)
        assert len(np.unique(result)) == 2

    def test_neighbours_rows_and_seeds_are_independent(self):
        zero, other = (operations.dropout(tf.ones((512, 1024)), [seed, 0], 0.25).numpy() == 0 for seed in (1, 2))
        pairs = [(zero[:, :-d], zero[:, d:]) for d in (1, 2, 4, 16, 32, 64, 128, 256)]
        pairs += [(zero[:-1], zero[1:]), (zero, other)]
        for one, another in pairs:
            assert np.mean(one & another) == pytest.approx(0.25**2, abs=0.003)

    def test_the_gradient_passes_where_the_value_passed(self):
        value, gradient = with_gradients(lambda x: operations.dropout(x, SEED, 0.5), tf.ones((9, 13)))
        np.testing.assert_array_equal(gradient == 0, value == 0)

    def test_a_rate_of_a_whole_byte_is_refused(self):
        with pytest.raises(tf.errors.InvalidArgumentError, match="256"):
            operations.dropout(tf.ones((2, 2)), SEED, 1.0)


@pytest.mark.parametrize("place", [0, 40, 79])
def test_what_is_no_number_is_not_hidden(place):
    x = random(2, 80).numpy()
    x[1, place] = np.nan
    zeros, ones = tf.zeros(80), tf.ones(80)
    for result in (
        operations.norm(x, ones, zeros, 1e-5),
        operations.residual_norm(x, zeros, tf.zeros((2, 80)), ones, zeros, SEED, 0.0, 1e-5)[0],
        operations.attention_weights(tf.reshape(x, (2, 1, 1, 80)), tf.zeros((2, 1, 80)), SEED, 0.0, 1.0),
        operations.gelu(x, zeros, True),
        operations.gelu(x, zeros, False),
        tf.cast(operations.gelu(tf.cast(x, tf.bfloat16), zeros, False), tf.float32),
    ):
        finite = np.isfinite(np.asarray(result)).reshape(2, 80)
        assert finite[0].all() and not finite[1, place]


def test_sums_over_rows_have_the_same_bits_each_time():
    """Threads take stretches of rows in any order."""
    inputs = random(3000, 64), random(64), random(64, seed=1)
    first = with_gradients(lambda *a: operations.norm(*a, 1e-5), *inputs)
    for _ in range(5):
        for one, other in zip(first, with_gradients(lambda *a: operations.norm(*a, 1e-5), *inputs)):
            np.testing.assert_array_equal(one, other)


def test_no_rows():
    inputs = tf.zeros((0, 8)), tf.ones(8), tf.ones(8)
    y, dx, dgamma, dbeta = with_gradients(lambda *a: operations.norm(*a, 1e-5), *inputs)
    assert y.shape == dx.shape == (0, 8) and not dgamma.any() and not dbeta.any()


class TestProduct:
    """Of operands in bfloat16: as near to the exact product as TensorFlow's own in bfloat16."""

    @pytest.fixture(autouse=True)
    def _processor(self):
        if not operations.has_products():
            pytest.skip("this processor's products are oneDNN's")

    @staticmethod
    def near(found: tf.Tensor, left: tf.Tensor, right: tf.Tensor, **turned: bool) -> None:
        """Whether found is the product of left and right, compared with theirs in bfloat16."""
        exact = tf.matmul(*(tf.cast(part, tf.float64) for part in (left, right)), **turned).numpy()
        plain = tf.matmul(*(tf.cast(part, tf.bfloat16) for part in (left, right)), **turned)
        errors = [np.linalg.norm(tf.cast(each, tf.float64) - exact) for each in (found, plain)]
        assert errors[0] <= 1.2 * errors[1] + 2e-3 * np.linalg.norm(exact)

    @settings(deadline=None, max_examples=40, derandomize=True)
    @given(rows=st.integers(0, 120), inner=st.integers(1, 200), outer=st.integers(1, 80))
    def test_values_and_gradients(self, rows, inner, outer):
        x = tf.cast(random(rows, 2 * inner), tf.bfloat16)
        kernel, bias = random(2 * inner, 2 * outer, seed=1), random(2 * outer)
        upstream = tf.cast(random(rows, 2 * outer, seed=2), tf.bfloat16)
        with tf.GradientTape() as tape:
            tape.watch((x, kernel, bias))
            result = operations.product(x, kernel, operations.pack(kernel), bias)
        dx, dkernel, dbias = tape.gradient(result, (x, kernel, bias), upstream)
        self.near(operations.product(x, kernel, operations.pack(kernel), None), x, kernel)
        with_ones = tf.concat([tf.cast(x, tf.float32), tf.ones((rows, 1))], 1), tf.concat([kernel, bias[None]], 0)
        self.near(result, *with_ones)
        self.near(dx, upstream, kernel, transpose_b=True)
        self.near(dkernel, x, upstream, transpose_a=True)
        agree([dbias.numpy()], [tf.reduce_sum(tf.cast(upstream, tf.float32), 0).numpy()])

    @settings(deadline=None, max_examples=40, derandomize=True)
    @given(rows=st.integers(1, 120), inner=st.integers(1, 100), outer=st.integers(1, 140))
    def test_small_whole_numbers_are_exact(self, rows, inner, outer):
        """Whatever the sums are taken in: they and the operands have few bits."""
        random = np.random.default_rng((rows, inner, outer))
        sizes = (rows, 2 * inner), (2 * inner, 2 * outer), (2 * outer,), (rows, 2 * outer)
        x, kernel, bias, upstream = (random.integers(-3, 4, size).astype("float32") for size in sizes)
        rounded, ups = tf.constant(x, tf.bfloat16), tf.constant(upstream, tf.bfloat16)
        kernel, bias = tf.constant(kernel), tf.constant(bias)
        with tf.GradientTape() as tape:
            tape.watch((rounded, kernel, bias))
            result = operations.product(rounded, kernel, operations.pack(kernel), bias)
        dx, dkernel, dbias = tape.gradient(result, (rounded, kernel, bias), ups)
        np.testing.assert_array_equal(result, tf.cast(x @ kernel + bias, tf.bfloat16))
        np.testing.assert_array_equal(dx, tf.cast(tf.matmul(upstream, kernel, transpose_b=True), tf.bfloat16))
        np.testing.assert_array_equal(dkernel, x.T @ upstream)
        np.testing.assert_array_equal(dbias, upstream.sum(0))

    def test_more_rows_than_are_taken_at_a_time(self):
        x, upstream = (tf.cast(random(2501, 70, seed=seed), tf.bfloat16) for seed in (0, 1))
        kernel = random(70, 70)
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            result = operations.product(x, kernel, operations.pack(kernel), None)
        self.near(tape.gradient(result, kernel, upstream), x, upstream, transpose_a=True)

    def test_gradients_of_several_products_are_their_sum(self):
        sizes = 33, 1, 1500
        xs = [tf.cast(random(rows, 70), tf.bfloat16) for rows in sizes]
        upstreams = [tf.cast(random(rows, 130, seed=1), tf.bfloat16) for rows in sizes]
        dkernel, dbias = operations.product_gradients(xs, upstreams)
        whole = [tf.cast(tf.concat(parts, 0), tf.float32) for parts in (xs, upstreams)]
        self.near(dkernel, *whole, transpose_a=True)
        agree([dbias.numpy()], [tf.reduce_sum(whole[1], 0).numpy()])

    @pytest.mark.parametrize("size", [1e-30, 1e-12, 1e12])
    def test_rows_of_any_size_are_as_exact_as_others(self, size):
        x = random(30, 200) * tf.where(tf.range(30)[:, None] % 2 == 0, 1.0, size)
        kernel = random(200, 40, seed=1)
        for large in (1.0, 1e3):
            found = operations.product(tf.cast(x, tf.bfloat16), large * kernel, operations.pack(large * kernel), None)
            for rows in (slice(0, None, 2), slice(1, None, 2)):
                self.near(found[rows], tf.cast(x, tf.bfloat16)[rows], large * kernel)

    @pytest.mark.parametrize("size", [1e-30, 1e-8, 1e8])
    def test_gradients_of_any_size(self, size):
        x, upstream = (tf.cast(random(50, 64, seed=seed), tf.bfloat16) for seed in (0, 1))
        kernel, upstream = random(64, 64), upstream * tf.cast(size, tf.bfloat16)
        with tf.GradientTape() as tape:
            tape.watch((x, kernel))
            result = operations.product(x, kernel, operations.pack(kernel), None)
        dx, dkernel = tape.gradient(result, (x, kernel), upstream)
        self.near(dx, upstream, kernel, transpose_b=True)
        self.near(dkernel, x, upstream, transpose_a=True)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_what_is_no_number_is_not_hidden(self, value):
        x, kernel, upstream = (random(64, 64, seed=seed).numpy() for seed in range(3))
        upstream[7, 9] = x[5, 3] = value
        x, upstream = (tf.constant(part, tf.bfloat16) for part in (x, upstream))
        with tf.GradientTape() as tape:
            tape.watch((x, kernel := tf.constant(kernel)))
            result = operations.product(x, kernel, operations.pack(kernel), None)
        dx, dkernel = tape.gradient(result, (x, kernel), upstream)
        for found, row in ((result, 5), (dx, 7), (dkernel, 3)):
            finite = np.isfinite(tf.cast(found, tf.float32))
            assert not finite[row].any()
        broken = kernel.numpy()
        broken[2, 4] = value
        packed = operations.pack(tf.constant(broken))
        found = operations.product(tf.ones((3, 64), tf.bfloat16), tf.constant(broken), packed, None)
        assert not np.isfinite(tf.cast(found, tf.float32)[:, 4]).any()

    def test_nothing_by_something_is_nothing(self):
        kernel = random(64, 64)
        found = operations.product(tf.zeros((5, 64), tf.bfloat16), kernel, operations.pack(kernel), None)
        np.testing.assert_array_equal(tf.cast(found, tf.float32), 0)
        kernel = tf.zeros((64, 64))
        found = operations.product(tf.cast(random(5, 64), tf.bfloat16), kernel, operations.pack(kernel), None)
        np.testing.assert_array_equal(tf.cast(found, tf.float32), 0)

    def test_a_weight_packed_for_other_sizes_is_refused(self):
        x, kernel = tf.zeros((3, 4), tf.bfloat16), random(6, 8)
        with pytest.raises(tf.errors.InvalidArgumentError, match="other sizes"):
            operations.product(x, tf.zeros((4, 8)), operations.pack(kernel), None)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(st.integers(0, 9), st.integers(1, 100), st.integers(1, 200))
def test_products_by_four_bits_are_those_of_the_numbers_that_they_stand_for(rows, inner, columns):
    bits = nearest(random(inner, columns).numpy())
    held, x = FourBitKernel.of(bits), random(rows, inner, seed=1)
    agree([held.product(x, False).numpy()], [x.numpy() @ bits.values()])


@settings(deadline=None, max_examples=25, derandomize=True)
@given(st.integers(0, 9), st.integers(1, 4), st.integers(1, 600))
def test_a_table_in_eight_bits_gives_what_its_numbers_give(rows, groups, entries):
    bits = quantized(random(entries, 32 * groups).numpy())
    held, x = EightBitTable.of(bits), random(rows, 32 * groups, seed=1)
    agree([held.product(x, True).numpy()], [x.numpy() @ dequantized(*bits).T])


def test_bits_of_another_shape_are_refused():
    held = FourBitKernel.of(nearest(random(40, 8).numpy()))
    with pytest.raises(tf.errors.InvalidArgumentError, match="the four bits are not those of 70 x 8"):
        held.product(random(2, 70), False)
    with pytest.raises(tf.errors.InvalidArgumentError, match="matrices of one width"):
        EightBitTable.of(quantized(random(5, 64).numpy())).product(random(2, 32), True)
