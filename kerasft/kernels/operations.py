"""The kernels as functions of tensors, with their gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from kerasft.kernels.library import load

BYTES = 256  # values of a byte: rates of dropout are multiples of 1/256


def dropped_bytes(rate: float) -> int:
    """How many of the values of a byte say that an element is dropped."""
    return round(rate * BYTES)


def dropout(x: tf.Tensor, seed: tf.Tensor, rate: float) -> tf.Tensor:
    """Drops elements by a byte each, drawn for its place by a counter-based generator (seed: int32, (2,))."""
    return load().kerasft_dropout(x=x, seed=seed, dropped=dropped_bytes(rate))


def norm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Layer normalisation over the last axis (Ba et al. 2016, arXiv:1607.06450): (..., width) -> (..., width)."""
    return load().kerasft_norm(x=x, gamma=gamma, beta=beta, epsilon=epsilon).y


def residual_norm(x, bias, residual, gamma, beta, seed, rate: float, epsilon: float) -> tuple[tf.Tensor, tf.Tensor]:
    """norm(dropout(x + bias) + residual), in float32 and in the type of x, for the products that read it.

    Args:
        x: (..., width), float32 or bfloat16.
        bias: (width).
        residual: like x, float32.
        gamma: (width); so is beta.
        beta: of the normalisation.
        seed: int32, (2,).
        rate: of dropout.
        epsilon: of the normalisation.
    """
    settings = {"dropped": dropped_bytes(rate), "epsilon": epsilon}
    outputs = load().kerasft_residual_norm(
        x=x, bias=bias, residual=residual, gamma=gamma, beta=beta, seed=seed, **settings
    )
    return outputs.y, outputs.operand


def gelu(x: tf.Tensor, bias: tf.Tensor, approximate: bool) -> tf.Tensor:
    """GELU (Hendrycks and Gimpel 2016, arXiv:1606.08415) of x + bias.

    Args:
        x: (..., width), float32 or bfloat16.
        bias: (width), float32.
        approximate: by tanh.
    """
    kernel = load().kerasft_gelu_tanh if approximate else load().kerasft_gelu
    return kernel(x=x, bias=bias).y


def attention_weights(scores, bias, seed, rate: float, scale: float) -> tf.Tensor:
    """dropout(softmax(scores * scale + bias)) over the last axis.

    Args:
        scores: (batch, heads, to, from), float32 or bfloat16.
        bias: (batch, 1 or to, from), alike for all heads.
        seed: int32, (2,).
        rate: of dropout.
        scale: of the scores.
    """
    settings = {"scale": scale, "dropped": dropped_bytes(rate)}
    return load().kerasft_softmax(scores=scores, bias=bias, seed=seed, **settings).kept


def has_attention() -> bool:
    """Whether this processor has `attention`."""
    return hasattr(load(), "kerasft_attention")


def attention(query, key, value, bias, seed, heads: int, rate: float, scale: float) -> tf.Tensor:
    """dropout(softmax(query key^T * scale + bias)) value, head by head, summed in float32.

    Args:
        query: (batch * length, heads * width), float32 or bfloat16; so are key and value, and the result.
        key: like query.
        value: like query.
        bias: (batch, 1 or length, length), alike for all heads.
        seed: int32, (2,).
        heads: side by side in a row.
        rate: of dropout.
        scale: of the scores.
    """
    settings = {"heads": heads, "scale": scale, "dropped": dropped_bytes(rate)}
    return load().kerasft_attention(query=query, key=key, value=value, bias=bias, seed=seed, **settings).y


def adam(weight, moments, gradient, scale, rate, decay, betas: tuple[float, float], epsilon: float) -> tf.Operation:
    """A step of AdamW on a variable, in place: m += (g - m) (1 - beta1), v += (g² - v) (1 - beta2),
    w = kept w - rate m / (sqrt(v) + epsilon), g being scale times the gradient.

    Args:
        weight: a float32 variable.
        moments: two more of its shape, m and v.
        gradient: dense, of its shape.
        scale: a number; so is each that follows.
        rate: the learning rate with the correction for young moments.
        decay: 1 less the share of the weights that decays.
        betas: of the moments.
        epsilon: of Adam.
    """
    settings = {"beta1": betas[0], "beta2": betas[1], "epsilon": epsilon}
    handles = {"weight": weight.handle, "first": moments[0].handle, "second": moments[1].handle}
    return load().kerasft_adam(**handles, gradient=gradient, scale=scale, rate=rate, kept=decay, **settings)


def has_products() -> bool:
    """Whether this processor multiplies in bfloat16 faster by our kernels than by oneDNN's; see products.h."""
    return hasattr(load(), "kerasft_product")


def four_bit_product(x: tf.Tensor, packed, scales, zeros, columns: int) -> tf.Tensor:
    """x (rows, inner) by a matrix of scale * (integer - zero), integers of 4 bits -> (rows, columns), in float32.

    It is for a few rows: its time is that of reading the matrix. There is no gradient.

    Args:
        x: float32.
        packed: uint8, (tiles, inner / 2, 64): columns in tiles of 64, of two inputs the second in the upper bits; inner
            is filled up to whole groups of 32 here.
        scales: float16, (tiles, groups, 64).
        zeros: uint8, (tiles, groups, 64), in sixteenths.
        columns: of the matrix; the last tile may have fewer.
    """
    return load().kerasft_four_bit_product(x=x, packed=packed, scales=scales, zeros=zeros, columns=columns)


def eight_bit_lookup(x: tf.Tensor, table, scales) -> tf.Tensor:
    """x (rows, inner) by each row of a table -> (rows, entries), in float32; for a few rows, without a gradient.

    Args:
        x: float32; inner is a multiple of 32.
        table: int8, (entries, inner).
        scales: float16, (entries, inner / 32).
    """
    return load().kerasft_eight_bit_lookup(x=x, table=table, scales=scales)


def pack(kernel: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A float32 kernel (inner, outer) in the form that products read it in, forward and back; for `product`."""
    packed = load().kerasft_pack(weight=kernel)
    return packed.forward, packed.back


def product(
    x: tf.Tensor,
    kernel: tf.Tensor,
    packed: tuple[tf.Tensor, tf.Tensor],
    bias: tf.Tensor | None,
    later: Callable[[tf.Tensor, tf.Tensor], None] | None = None,
) -> tf.Tensor:
    """x (rows, inner) by kernel (inner, outer), plus bias (outer) -> (rows, outer), x and the result in bfloat16.

    Args:
        x: `inner` is even, and so is `outer`.
        kernel: float32; the gradient, in float32, is its own.
        packed: what `pack` made of it.
        bias: float32.
        later: given x and the gradient of the result, of which it has `product_gradients` made; kernel and bias have no
            gradient then.
    """

    @tf.custom_gradient
    def multiplied(x, kernel, bias, forward, back):
        inner, outer = kernel.shape

        def gradient(upstream):
            inward = by_packed(upstream, back, inner)
            if later is not None:
                later(x, upstream)
                return inward, None, None, None, None
            dkernel, dbias = product_gradients([x], [upstream])
            return inward, dkernel, dbias if bias.shape[0] else None, None, None

        return by_packed(x, forward, outer, bias), gradient

    return multiplied(x, kernel, tf.zeros([0]) if bias is None else bias, *packed)


def by_packed(x: tf.Tensor, packed: tf.Tensor, columns: int, bias: tf.Tensor | None = None) -> tf.Tensor:
    """x (rows, inner) by one of the forms that `pack` made -> (rows, columns); without a gradient."""
    return load().kerasft_product(x=x, packed=packed, bias=tf.zeros([0]) if bias is None else bias, columns=columns)


def product_gradients(xs: Sequence[tf.Tensor], upstreams: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Of a kernel (inner, outer) and a bias (outer), summed over several products: xs (rows, inner), upstreams (rows,
    outer), all in bfloat16; in float32."""
    gradients = load().kerasft_product_grad(x=list(xs), dy=list(upstreams))
    return gradients.dweight, gradients.dbias


@tf.RegisterGradient("KerasftDropout")
def _(op, upstream):
    return load().kerasft_dropout(x=upstream, seed=op.inputs[1], dropped=op.get_attr("dropped")), None


@tf.RegisterGradient("KerasftNorm")
def _(op, upstream, *_):
    x, gamma, _ = op.inputs
    _, mean, inverse = op.outputs
    return load().kerasft_norm_grad(dy=upstream, x=x, gamma=gamma, mean=mean, inverse=inverse)


@tf.RegisterGradient("KerasftResidualNorm")
def _(op, upstream, of_operand, *_):
    gamma, seed = op.inputs[3], op.inputs[5]
    _, _, h, mean, inverse = op.outputs
    forward = {"h": h, "gamma": gamma, "mean": mean, "inverse": inverse, "seed": seed}
    gradients = load().kerasft_residual_norm_grad(
        dy=upstream, doperand=of_operand, dropped=op.get_attr("dropped"), **forward
    )
    return gradients.dx, gradients.dbias, gradients.dresidual, gradients.dgamma, gradients.dbeta, None


@tf.RegisterGradient("KerasftSoftmax")
def _(op, _, upstream):
    settings = {"scale": op.get_attr("scale"), "dropped": op.get_attr("dropped")}
    gradients = load().kerasft_softmax_grad(upstream=upstream, weights=op.outputs[0], seed=op.inputs[2], **settings)
    return gradients, None, None


@tf.RegisterGradient("KerasftAttention")
def _(op, upstream, _):
    settings = {name: op.get_attr(name) for name in ("heads", "scale", "dropped")}
    forward = dict(zip(("query", "key", "value"), op.inputs), weights=op.outputs[1], seed=op.inputs[4])
    return [*load().kerasft_attention_grad(dy=upstream, **forward, **settings), None, None]


@tf.RegisterGradient("KerasftGelu")
@tf.RegisterGradient("KerasftGeluTanh")
def _(op, upstream, _):
    return load().kerasft_activation_grad(dy=upstream, slope=op.outputs[1])
