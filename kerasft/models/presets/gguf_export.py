"""A KerasHub Llama with a byte-level tokenizer -> a GGUF file, as llama.cpp's converter writes one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quants

from kerasft.errors import UserError
from kerasft.models.presets.gguf_file import SPLITTERS
from kerasft.models.presets.gguf_llama import gguf_variables

ARCHITECTURE = "llama"
_BLOCK = 32  # numbers that share a scale in Q8_0; a row is a whole number of blocks


def check_llama(backbone: keras.Model, tokenizer: Any) -> None:
    """Raises UserError where a model is no Llama with a byte-level tokenizer, as GGUF files are written here."""
    if type(backbone) not in (keras_hub.models.LlamaBackbone, keras_hub.models.Llama3Backbone):
        raise UserError(
            f"export.formats: gguf: a {type(backbone).__name__} is no Llama; leave gguf out, or use a Llama such as "
            "SmolLM2"
        )
    scaled = getattr(backbone, "rope_frequency_adjustment_factor", None)
    if scaled is not None or getattr(backbone, "rope_position_scaling_factor", 1.0) != 1.0:
        raise UserError("export.formats: gguf: this Llama's positions are scaled, which is not written; leave gguf out")
    if not isinstance(tokenizer, keras_hub.tokenizers.BytePairTokenizer):
        raise UserError(
            f"export.formats: gguf: a {type(tokenizer).__name__} is not written; leave gguf out, or use a Llama whose "
            "tokenizer is byte-level BPE"
        )


def write_gguf(file: Path, backbone: keras.Model, tokenizer: Any, name: str, positions: int) -> None:
    """Writes matrices in 8 bits (Q8_0), where a row is a multiple of 32 numbers; otherwise in float16.

    Args:
        file: is made.
        backbone: a Llama, see `check_llama`.
        tokenizer: byte-level BPE.
        name: of the model.
        positions: tokens that it was trained on.
    """
    writer = GGUFWriter(str(file), ARCHITECTURE)
    writer.add_name(name)
    writer.add_block_count(backbone.num_layers)
    writer.add_context_length(positions)
    writer.add_embedding_length(backbone.hidden_dim)
    writer.add_feed_forward_length(backbone.intermediate_dim)
    writer.add_head_count(backbone.num_query_heads)
    writer.add_head_count_kv(backbone.num_key_value_heads)
    writer.add_rope_freq_base(float(backbone.rope_max_wavelength))
    writer.add_layer_norm_rms_eps(float(backbone.layer_norm_epsilon))
    _add_tokenizer(writer, tokenizer, int(backbone.vocabulary_size))
    for tensor, values in gguf_variables(backbone):
        kind = _kind(values)
        data = values if kind == GGMLQuantizationType.F32 else quants.quantize(values, kind)
        writer.add_tensor(tensor, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _kind(values: np.ndarray) -> GGMLQuantizationType:
    if values.ndim == 1:
        return GGMLQuantizationType.F32
    return GGMLQuantizationType.F16 if values.shape[-1] % _BLOCK else GGMLQuantizationType.Q8_0


def _add_tokenizer(writer: GGUFWriter, tokenizer: Any, rows: int) -> None:
    """Writes a token for each row of the table: llama.cpp takes their number for the number of rows."""
    ids = dict(tokenizer.vocabulary)
    special = {*tokenizer.special_tokens, *(tokenizer.unsplittable_tokens or [])}
    tokens = [f"[PAD{number}]" for number in range(rows)]  # as llama.cpp's converter calls a row without a token
    kinds = [TokenType.UNUSED] * rows
    for token, number in ids.items():
        tokens[number] = token
        kinds[number] = TokenType.CONTROL if token in special else TokenType.NORMAL
    splits = bool(getattr(tokenizer, "split_digits", False))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(next(name for name, digits in SPLITTERS.items() if digits == splits))
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(list(tokenizer.merges))
    start, end = (getattr(tokenizer, f"{name}_token_id", None) for name in ("start", "end"))
    if start is not None:
        writer.add_bos_token_id(int(start))
    if end is not None:
        writer.add_eos_token_id(int(end))
    # As `layout` reads it: where one token begins and ends texts, it only parts documents.
    writer.add_add_bos_token(start is not None and start != end)
