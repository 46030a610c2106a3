"""kerasft: fine-tune BERT- and GPT-type language models in TensorFlow and Keras 3, and serve them.

    import kerasft

    outcome = kerasft.train("configs/reuters-r8.yaml")
    kerasft.load(outcome.run.folder).answer(["wheat prices fell"])

or with Keras classes, which train and answer on strings:

    model = kerasft.TextClassifier.from_preset("hf:google-bert/bert-base-uncased", labels=["bad", "good"])
    model.fit(texts, labels)
    model.predict(["What a day!"])

Each name is imported when it is first used, so that `import kerasft` is quick and loads no TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasft.audit import audit as audit
    from kerasft.evaluate import evaluate as evaluate
    from kerasft.inference.predictor import load as load
    from kerasft.keras_models.causal_lm import CausalLM as CausalLM
    from kerasft.keras_models.masked_lm import MaskedLM as MaskedLM
    from kerasft.keras_models.question_answerer import QuestionAnswerer as QuestionAnswerer
    from kerasft.keras_models.relation_classifier import RelationClassifier as RelationClassifier
    from kerasft.keras_models.seq2seq_lm import Seq2SeqLM as Seq2SeqLM
    from kerasft.keras_models.text_classifier import TextClassifier as TextClassifier
    from kerasft.keras_models.text_embedder import TextEmbedder as TextEmbedder
    from kerasft.keras_models.token_classifier import TokenClassifier as TokenClassifier
    from kerasft.search import search as search
    from kerasft.serving.client import Client as Client
    from kerasft.train import train as train

__version__ = "0.1.0"

# Name -> its module, and what it is called there; None: the module itself, which can be called.
_NAMES = {
    "train": ("kerasft.train", None),
    "evaluate": ("kerasft.evaluate", None),
    "audit": ("kerasft.audit", None),
    "load": ("kerasft.inference.predictor", "load"),
    "search": ("kerasft.search", None),
    "Client": ("kerasft.serving.client", "Client"),
}
# Classes of Keras: asking for one loads TensorFlow.
KERAS_CLASSES = {
    "TextClassifier": "text_classifier",
    "TokenClassifier": "token_classifier",
    "RelationClassifier": "relation_classifier",
    "QuestionAnswerer": "question_answerer",
    "TextEmbedder": "text_embedder",
    "MaskedLM": "masked_lm",
    "CausalLM": "causal_lm",
    "Seq2SeqLM": "seq2seq_lm",
}
_NAMES |= {name: (f"kerasft.keras_models.{module}", name) for name, module in KERAS_CLASSES.items()}
__all__ = [
    "CausalLM",
    "Client",
    "MaskedLM",
    "QuestionAnswerer",
    "RelationClassifier",
    "Seq2SeqLM",
    "TextClassifier",
    "TextEmbedder",
    "TokenClassifier",
    "audit",
    "evaluate",
    "load",
    "search",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'kerasft' has no attribute {name!r}")
    path, attribute = _NAMES[name]
    module = importlib.import_module(path)
    return module if attribute is None else getattr(module, attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *_NAMES])
