"""Random presets without dropout, one of each kind of backbone: what one computes is the same each time."""

from pathlib import Path

import keras
import keras_hub
import pytest
from support.shared import shared_folder
from support.tiny_bert import make_tiny_preset

from kerasft.models.presets.from_scratch import train_byte_pairs
from kerasft.models.presets.presets import save_preset

TEXTS = ["the quick brown fox", "the lazy dog and the quick cat", "a fox and a dog"]
SIZES = {"num_heads": 2, "hidden_dim": 16, "intermediate_dim": 32, "dropout": 0.0, "max_sequence_length": 24}


def make_presets(folder: Path) -> None:
    """Writes `encoder`, a BERT of a few words; `decoder`, a GPT-2, and `both`, a BART, of byte pairs."""
    make_tiny_preset(folder / "encoder", dropout=0.0)
    keras.utils.set_random_seed(0)
    for name, family, kind in (
        ("decoder", "gpt2", keras_hub.models.GPT2Backbone),
        ("both", "bart", keras_hub.models.BartBackbone),
    ):
        tokenizer = train_byte_pairs(lambda: TEXTS, 280, family)
        backbone = kind(vocabulary_size=tokenizer.vocabulary_size(), num_layers=1, **SIZES)
        save_preset(backbone, tokenizer, str(folder / name))


@pytest.fixture(scope="session")
def small_presets(tmp_path_factory) -> Path:
    """A folder with a preset of each kind: `encoder`, `decoder` and `both`."""
    return shared_folder(tmp_path_factory, "small-presets", make_presets)
