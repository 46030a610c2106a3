"""Serving: SavedModels that take raw strings, the check that they can be served, and how to serve and ask them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasft.serving.client import Client, Credentials, ModelSpec
    from kerasft.serving.status import ServingError

__all__ = ["Client", "Credentials", "ModelSpec", "ServingError"]


def __getattr__(name: str) -> Any:
    # Loaded when it is asked for: what exports and checks does not wait for gRPC.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kerasft.serving import client

    return getattr(client, name)
