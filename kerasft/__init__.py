"""kerasft: fine-tune BERT- and GPT-type language models in TensorFlow and Keras 3, and serve them.

    import kerasft

    outcome = kerasft.train("configs/reuters-r8.yaml")
    kerasft.load(outcome.run.folder).answer(["wheat prices fell"])

Each name is imported when it is first used, so that `import kerasft` is quick and loads no TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasft.evaluate import evaluate as evaluate
    from kerasft.inference.predictor import load as load
    from kerasft.serving.client import Client as Client
    from kerasft.train import train as train

__version__ = "0.1.0"

# Name -> its module, and what it is called there; None: the module itself, which can be called.
_NAMES = {
    "train": ("kerasft.train", None),
    "evaluate": ("kerasft.evaluate", None),
    "load": ("kerasft.inference.predictor", "load"),
    "Client": ("kerasft.serving.client", "Client"),
}
__all__ = ["Client", "evaluate", "load", "train"]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'kerasft' has no attribute {name!r}")
    path, attribute = _NAMES[name]
    module = importlib.import_module(path)
    return module if attribute is None else getattr(module, attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *_NAMES])
