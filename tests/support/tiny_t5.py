"""A tiny random T5 whose answers depend on all that it reads, with a SentencePiece tokenizer as T5's is."""

import keras_hub
import numpy as np
from tiny_sentence_pieces import train_pieces

TEXTS = ["the quick brown fox", "the lazy dog and the quick cat", "naïve café 我们在这里"]


def t5_pieces(texts=TEXTS) -> bytes:
    """By likelihood, without bytes; texts are normalised and lose spaces that stand beside others."""
    told = {"model_type": "unigram", "byte_fallback": False, "normalization_rule_name": "nmt_nfkc", "vocab_size": 80}
    told |= {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, "pad_piece": "<pad>", "eos_piece": "</s>"}
    return train_pieces(texts, **told | {"unk_piece": "<unk>", "remove_extra_whitespaces": True})


def make_t5(tied: bool = True, strong: bool = True, texts=TEXTS) -> tuple:
    """The backbone, 16 wide, its embedding longer than the vocabulary, and its tokenizer.

    Args:
        tied: as the first T5; otherwise as version 1.1.
        strong: or else as KerasHub draws weights.
    """
    tokenizer = keras_hub.models.T5Tokenizer(proto=t5_pieces(texts))
    backbone = keras_hub.models.T5Backbone(
        vocabulary_size=tokenizer.vocabulary_size() + 3,
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=24,
        key_value_dim=6,
        activation="relu" if tied else "gelu",
        use_gated_activation=not tied,
        tie_embedding_weights=tied,
    )
    if not strong:
        return backbone, tokenizer
    random = np.random.default_rng(6)
    for weight in backbone.weights:
        if weight.path.endswith("weight"):  # of normalisation
            continue
        weight.assign(random.normal(0, 0.6, weight.shape))
    table = backbone.token_embedding.embeddings
    table.assign(4 * table / np.linalg.norm(table, axis=1, keepdims=True))
    return backbone, tokenizer
