"""A Llama in a GGUF file -> KerasHub's backbone and a tokenizer."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import keras_hub
import numpy as np

from kerasft.models.presets.gguf_file import dequantised, read_gguf
from kerasft.models.presets.weight_files import check_finite
from kerasft.models.tokenizers.byte_level_tokenizer import ByteLevelTokenizer


def gguf_backbone(path: str, dtype: str | None, load_weights: bool) -> keras_hub.models.Backbone:
    """The backbone with the file's weights, dequantised to float32.

    Args:
        path: of the file.
        dtype: dtype policy; None: Keras' own.
        load_weights: False: random ones.

    Raises:
        UserError: see `kerasft.models.presets.gguf_file.read_gguf`.
    """
    file = read_gguf(path)
    # KerasHub's converter of Hugging Face folders (0.25 to 0.32) leaves the epsilon at 1e-6; `sizes` has the file's.
    backbone = keras_hub.models.Llama3Backbone(dtype=dtype, **file.sizes)
    if not load_weights:
        return backbone
    heads, stored = backbone.num_query_heads, dequantised(file)

    def weights(name: str) -> np.ndarray:
        value = stored(name)
        check_finite(value, f"{path}: {name}")
        return value

    backbone.token_embedding.embeddings.assign(weights("token_embd.weight"))
    if not backbone.tie_word_embeddings:
        backbone.token_embedding.reverse_embeddings.assign(weights("output.weight").T)
    backbone.layer_norm.scale.assign(weights("output_norm.weight"))
    for number, layer in enumerate(backbone.transformer_layers):
        values = {
            variable: weights(f"blk.{number}.{variable}.weight")
            for variable in ("attn_norm", "ffn_norm", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
        }
        values["attn_q"] = in_halves(weights(f"blk.{number}.attn_q.weight"), heads)
        values["attn_k"] = in_halves(weights(f"blk.{number}.attn_k.weight"), backbone.num_key_value_heads)
        for name, variable in _variables(layer).items():
            # (out, in) -> (in, out), and heads apart
            variable.assign(values[name].T.reshape(variable.shape))
    return backbone


def gguf_variables(backbone: keras.Model) -> Iterator[tuple[str, np.ndarray]]:
    """A Llama's weights by llama.cpp's names, float32 and (out, in): what `gguf_backbone` reads, the other way."""

    def value(variable: keras.Variable) -> np.ndarray:
        return np.asarray(keras.ops.convert_to_numpy(variable), np.float32)

    yield "token_embd.weight", value(backbone.token_embedding.embeddings)
    if not backbone.tie_word_embeddings:
        yield "output.weight", np.ascontiguousarray(value(backbone.token_embedding.reverse_embeddings).T)
    yield "output_norm.weight", value(backbone.layer_norm.scale)
    heads = {"attn_q": backbone.num_query_heads, "attn_k": backbone.num_key_value_heads}
    for number, layer in enumerate(backbone.transformer_layers):
        for name, variable in _variables(layer).items():
            weights = value(variable)
            if weights.ndim > 1:  # (in, out), heads apart -> (out, in)
                inputs = weights.shape[0] if name != "attn_output" else weights.size // weights.shape[-1]
                weights = np.ascontiguousarray(weights.reshape(inputs, -1).T)
            if name in heads:
                weights = side_by_side(weights, heads[name])
            yield f"blk.{number}.{name}.weight", weights


def side_by_side(weights: np.ndarray, heads: int) -> np.ndarray:
    """What `in_halves` undoes: two numbers of a head that are turned together become neighbours."""
    rows, columns = weights.shape
    turned = weights.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
    return np.ascontiguousarray(turned)


def _variables(layer) -> dict[str, keras.Variable]:
    """Name in llama.cpp -> variable of KerasHub's LlamaTransformerDecoder (0.25 to 0.32)."""
    attention = layer._self_attention_layer
    return {
        "attn_norm": layer._self_attention_layernorm.scale,
        "attn_q": attention._query_dense.kernel,
        "attn_k": attention._key_dense.kernel,
        "attn_v": attention._value_dense.kernel,
        "attn_output": attention._output_dense.kernel,
        "ffn_norm": layer._feedforward_layernorm.scale,
        "ffn_gate": layer._feedforward_gate_dense.kernel,
        "ffn_up": layer._feedforward_intermediate_dense.kernel,
        "ffn_down": layer._feedforward_output_dense.kernel,
    }


def in_halves(weights: np.ndarray, heads: int) -> np.ndarray:
    """Undoes what llama.cpp does to query and key weights, where two numbers that are turned together are neighbours.

    Args:
        weights: (heads * width, in); within a head rows 0, 1, 2, ... are turned in pairs (0, 1), (2, 3), ...
        heads: of queries or of keys.

    Returns:
        The same with the first numbers of all pairs of a head before the second ones, as KerasHub has them.
    """
    rows, columns = weights.shape
    return weights.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def gguf_tokenizer(path: str) -> ByteLevelTokenizer:
    """The tokenizer of the file's own vocabulary and merges. Raises as `gguf_backbone` does."""
    return ByteLevelTokenizer(**read_gguf(path).tokenizer)
