"""What may be raised where a preset is loaded and can't be had."""

from __future__ import annotations

import importlib.util

# Errors of the hubs' clients that are no OSError or ValueError. A client that is not installed raises none; which
# modules there are differs: huggingface_hub uses httpx from its version 1.0 on and requests before.
_CLIENT_ERRORS = {
    "httpx": ("HTTPError",),
    "huggingface_hub.errors": ("EntryNotFoundError",),
    "kagglehub.exceptions": (
        "BackendError",
        "CredentialError",
        "DataCorruptionError",
        "NotFoundError",
        "UnauthenticatedError",
    ),
    "safetensors": ("SafetensorError",),
}


def loading_errors() -> tuple[type[Exception], ...]:
    """What KerasHub, its hubs' clients and the readers of weights raise for a preset that can't be had.

    OSError: the network (requests' errors too), missing files. ValueError: an unknown handle or architecture,
    malformed JSON, weights of another shape. KeyError: a config without a key that KerasHub reads. TypeError: one with
    a key that it does not take. ImportError: a hub's client is not installed.
    """
    errors: list[type[Exception]] = [OSError, ValueError, KeyError, TypeError, ImportError]
    for module, names in _CLIENT_ERRORS.items():
        if importlib.util.find_spec(module.partition(".")[0]) is not None:
            errors += [getattr(importlib.import_module(module), name) for name in names]
    return tuple(errors)
