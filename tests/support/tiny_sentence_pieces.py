"""SentencePiece models as Llama's and Mistral's are, trained on the spot, and such models in Hugging Face form."""

import io
import json
from pathlib import Path

import keras_hub
import numpy as np
import sentencepiece
from safetensors.numpy import save_file

TEXTS = ["The capital of France is Paris.", "the quick fox", "naïve café 我们在这里 😀", "def f(x):\n    return x"]


def train_pieces(texts=TEXTS, **settings) -> bytes:
    """By merges, with bytes, and a space before a text, as Llama's."""
    model = io.BytesIO()
    told = {"model_type": "bpe", "byte_fallback": True, "normalization_rule_name": "identity", "vocab_size": 330}
    told |= {"remove_extra_whitespaces": False, "hard_vocab_limit": False, "minloglevel": 2, "num_threads": 1}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(texts * 3), model_writer=model, **told | settings)
    return model.getvalue()


def make_llama(cls: str = "Llama", **sizes) -> tuple:
    """A random backbone of one layer whose answers depend on all that it reads, and its tokenizer."""
    tokenizer = getattr(keras_hub.models, f"{cls.removesuffix('3')}Tokenizer")(proto=train_pieces())
    told = {"num_layers": 1, "num_query_heads": 2, "num_key_value_heads": 1, "hidden_dim": 8, "intermediate_dim": 16}
    backbone = getattr(keras_hub.models, f"{cls}Backbone")(vocabulary_size=tokenizer.vocabulary_size(), **told | sizes)
    random = np.random.default_rng(0)
    backbone.set_weights([random.normal(0, 0.6, weight.shape) for weight in backbone.weights])
    return backbone, tokenizer


def write_huggingface(folder: Path, model_type: str) -> bytes:
    """A random Llama 2 or Mistral of one layer, 8 wide, with a tokenizer.model; returns that."""
    proto = train_pieces()
    vocabulary = sentencepiece.SentencePieceProcessor(model_proto=proto).vocab_size()
    config = {
        "model_type": model_type, "vocab_size": vocabulary, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "hidden_size": 8, "intermediate_size": 16, "rope_theta": 10000.0,
        "rms_norm_eps": 1e-6, "tie_word_embeddings": False, "sliding_window": 16, "head_dim": 4,
    }  # fmt: skip
    layer = "model.layers.0."
    shapes = {
        "model.embed_tokens.weight": (vocabulary, 8), "lm_head.weight": (vocabulary, 8), "model.norm.weight": (8,),
        f"{layer}input_layernorm.weight": (8,), f"{layer}post_attention_layernorm.weight": (8,),
        f"{layer}self_attn.q_proj.weight": (8, 8), f"{layer}self_attn.k_proj.weight": (4, 8),
        f"{layer}self_attn.v_proj.weight": (4, 8), f"{layer}self_attn.o_proj.weight": (8, 8),
        f"{layer}mlp.gate_proj.weight": (16, 8), f"{layer}mlp.up_proj.weight": (16, 8),
        f"{layer}mlp.down_proj.weight": (8, 16),
    }  # fmt: skip
    random = np.random.default_rng(0)
    weights = {name: random.normal(0, 0.6, shape).astype(np.float32) for name, shape in shapes.items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.model").write_bytes(proto)
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE"}, "pre_tokenizer": None}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"}))
    return proto
