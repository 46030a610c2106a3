"""What a backbone and its tokenizer have to do with the features that are made for them, as a few words of JSON."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import keras
import keras_hub


def reader_digest(backbone: keras.Model, tokenizer: keras_hub.tokenizers.Tokenizer) -> dict[str, Any]:
    """Of what a preprocessor reads of a model: features are alike only where this is.

    Returns:
        The backbone's class, inputs and vocabulary; the tokenizer's class, settings and files, as one SHA-256.
    """
    return {
        "backbone": type(backbone).__name__,
        "inputs": [tensor.name for tensor in backbone.inputs],
        "vocabulary": int(backbone.token_embedding.input_dim),
        "tokenizer": tokenizer_digest(tokenizer),
    }


def tokenizer_digest(tokenizer: keras_hub.tokenizers.Tokenizer) -> str:
    """SHA-256 of a tokenizer's class, settings, special tokens and files, as a preset would keep them."""
    settings = {name: value for name, value in tokenizer.get_config().items() if name != "name"}
    # KerasHub's own config leaves this one out (0.25 to 0.32).
    settings |= {"split_on_cjk": getattr(tokenizer, "split_on_cjk", None)}
    if getattr(tokenizer, "strip_left", None) is not None:
        settings |= {"strip_left": sorted(tokenizer.strip_left)}
    settings |= {"class": type(tokenizer).__name__, "special": sorted(map(str, tokenizer.special_tokens))}
    whole = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    with tempfile.TemporaryDirectory(prefix="kerasft-") as folder:
        tokenizer.save_assets(folder)
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                whole.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()
