"""Tiny decoders of each family, and the numbers that a request to one may have."""

import keras_hub
import numpy as np
import tensorflow as tf

SPECS = {"max_new_tokens": tf.int32, "temperature": tf.float32, "top_p": tf.float32, "seed": tf.int64}


def strengthened(model):
    """Weights large enough that what a token says depends on every other."""
    random = np.random.default_rng(0)
    model.set_weights([random.normal(0, 0.4, weight.shape) for weight in model.weights])
    return model


def gpt2():
    return keras_hub.models.GPT2Backbone(
        vocabulary_size=50, num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=16, max_sequence_length=16
    )


def llama(tied: bool):
    sizes = {"num_layers": 2, "num_query_heads": 4, "num_key_value_heads": 2, "hidden_dim": 16, "intermediate_dim": 24}
    return keras_hub.models.Llama3Backbone(
        vocabulary_size=50, tie_word_embeddings=tied, rope_max_wavelength=1000, **sizes
    )


def mistral():
    """One whose window is shorter than its rows."""
    sizes = {"num_layers": 2, "num_query_heads": 4, "num_key_value_heads": 2, "hidden_dim": 16, "intermediate_dim": 24}
    return keras_hub.models.MistralBackbone(vocabulary_size=50, sliding_window=5, rope_max_wavelength=1000, **sizes)


MAKERS = {"gpt2": gpt2, "llama": lambda: llama(False), "tied llama": lambda: llama(True), "mistral": mistral}
