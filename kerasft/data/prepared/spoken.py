"""A turn of a dialogue as text, in its parts; known without TensorFlow."""

from __future__ import annotations

from typing import NamedTuple


class RenderedTurn(NamedTuple):
    """A turn: who speaks, what stands before, the turn with what ends it, and whether that is learnt."""

    role: str
    opening: str
    closed: str
    learnt: bool
