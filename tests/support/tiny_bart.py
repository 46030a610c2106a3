"""A tiny random BART whose answers depend on all that it reads, with a byte-level tokenizer."""

import json
import sys
from pathlib import Path

import keras_hub
import numpy as np
from safetensors.numpy import save_file

from kerasft.models.presets.from_scratch import train_byte_pairs

TEXTS = ["the quick brown fox", "the lazy dog and the quick cat", "naïve café 我们在这里 😀"]
POSITIONS = 12


def make_bart(positions: int = POSITIONS, strong: bool = True) -> tuple:
    """The backbone, 16 wide with so many positions on either side, and its tokenizer; not strong: as KerasHub."""
    tokenizer = train_byte_pairs(lambda: TEXTS, 275, "bart")
    backbone = keras_hub.models.BartBackbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=16,
        max_sequence_length=positions,
    )
    if not strong:
        return backbone, tokenizer
    random = np.random.default_rng(6)
    for weight in backbone.weights:
        if weight.name not in ("gamma", "beta", "bias"):  # strong ones of these say the same whatever was read
            weight.assign(random.normal(0, 1.5, weight.shape))
    # The output layer is the embedding: long vectors in it would always be the likeliest.
    table = backbone.token_embedding.embeddings
    table.assign(table / np.linalg.norm(table, axis=1, keepdims=True))
    return backbone, tokenizer


def write_huggingface(folder: Path) -> Path:
    """A BART of two layers in Hugging Face form, as transformers 5 writes a BartForConditionalGeneration.

    `benchmarks/peers/hf_bart_logits.py FOLDER` says what transformers makes of it.
    """
    tokenizer = train_byte_pairs(lambda: TEXTS, 275, "bart")
    config = {
        "model_type": "bart", "architectures": ["BartForConditionalGeneration"], "vocab_size": 275, "d_model": 16,
        "encoder_layers": 2, "decoder_layers": 2, "num_hidden_layers": 2, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "dropout": 0.1,
        "max_position_embeddings": POSITIONS, "activation_function": "gelu", "bos_token_id": 0, "pad_token_id": 1,
        "eos_token_id": 2, "decoder_start_token_id": 2, "tie_word_embeddings": True,
    }  # fmt: skip
    shapes = {"shared.weight": (275, 16)}
    for side in ("encoder", "decoder"):
        shapes |= {f"{side}.embed_positions.weight": (POSITIONS + 2, 16)} | _pair(f"{side}.layernorm_embedding", 16)
        for layer in (f"{side}.layers.{number}" for number in range(2)):
            for attention in ("self_attn", *(("encoder_attn",) if side == "decoder" else ())):
                for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    shapes |= _pair(f"{layer}.{attention}.{part}", 16, 16)
                shapes |= _pair(f"{layer}.{attention}_layer_norm", 16)
            shapes |= (
                _pair(f"{layer}.fc1", 32, 16) | _pair(f"{layer}.fc2", 16, 32) | _pair(f"{layer}.final_layer_norm", 16)
            )
    random = np.random.default_rng(1)
    weights = {}
    for name, shape in shapes.items():
        drawn = random.normal(0, 0.7, shape) if len(shape) > 1 else 0.1 * random.normal(0, 1, shape)
        weights[f"model.{name}"] = (drawn + name.endswith(("norm.weight", "embedding.weight"))).astype(np.float32)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.json").write_text(json.dumps(dict(tokenizer.vocabulary)))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(tokenizer.merges) + "\n")
    return folder


def _pair(name: str, *shape: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


if __name__ == "__main__":
    write_huggingface(Path(sys.argv[1]))
