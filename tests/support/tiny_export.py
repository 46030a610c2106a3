"""A tiny random classifier with every part that an export needs."""

import keras_hub
import numpy as np

from kerasft.config.schema import Config
from kerasft.models.preprocessing.preprocessor import text_preprocessor

LABELS = ["sport", "trade", "two\nlines"]
MAX_LENGTH = 16
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "oil", "price", "shares", "rose", "a", "##b", "fell", "the"]


def make_config(problem="single_label", pair=False):
    columns = {"text": "Text", "label": "Label", **({"text_pair": "Other"} if pair else {})}
    return Config.model_validate(
        {
            "name": "tiny",
            "task": {"name": "text_classification", "problem": problem},
            "model": {"preset": "tiny", "max_length": MAX_LENGTH},
            "data": {"train": "train.csv", "columns": columns},
        }
    )


def make_parts(task):
    """A tiny random BERT with every part an export needs: (task, preprocessor, model)."""
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(VOCABULARY),
        num_layers=2,
        num_heads=2,
        hidden_dim=64,
        intermediate_dim=128,
        dropout=0.1,
        max_sequence_length=MAX_LENGTH,
    )
    model = task.build(backbone)
    random = np.random.default_rng(0)
    # Larger than the initial weights, so that answers to different texts differ by more than the check's tolerance.
    model.set_weights([random.normal(0, 0.3, weight.shape) for weight in model.weights])
    tokenizer = keras_hub.models.BertTokenizer(vocabulary=VOCABULARY, lowercase=True)
    return task, text_preprocessor(backbone, tokenizer, MAX_LENGTH, task.inputs), model
