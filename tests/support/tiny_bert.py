"""A preset that is random and reads a few words."""

from pathlib import Path

import keras
import keras_hub

from kerasft.models.presets.presets import save_preset

WORDS = "goal match team score coach bank market stock price trade the a of in and".split()


def make_tiny_preset(folder: Path, dropout: float = 0.1, layers: int = 1) -> Path:
    """Writes a random BERT with a vocabulary of a few words to a folder, which any config can name."""
    keras.utils.set_random_seed(0)
    letters = [mark + letter for letter in "abcdefghijklmnopqrstuvwxyz0123456789" for mark in ("", "##")]
    vocabulary = list(dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters]))
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(vocabulary),
        num_layers=layers,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        dropout=dropout,
        max_sequence_length=64,
    )
    save_preset(backbone, keras_hub.models.BertTokenizer(vocabulary, lowercase=True), str(folder))
    return folder
