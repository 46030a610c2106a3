"""What a change of texts is: a pure function of a text and of random numbers that a seed and the row give."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Change = Callable[[str, random.Random], str]
Expected = Literal["stay", "either"]


@dataclass(frozen=True)
class Perturbation:
    """One kind of change, in the words of CheckList (Ribeiro et al. 2020, arXiv:2005.04118).

    Attributes:
        name: of the kind.
        change: a text -> another, or the same where it has nothing to change.
        expected: `stay`: answers must not change; `either`: it depends on the labels, and is only counted.
        what: is done, in words that follow the name.
    """

    name: str
    change: Change
    expected: Expected
    what: str


def changed(perturbation: Perturbation, text: str, seed: int) -> str:
    """The changed text: the same for the same seed and text, whatever stands beside it."""
    digest = hashlib.blake2b(f"{seed}\0{perturbation.name}\0{text}".encode("utf-8", "replace"), digest_size=8)
    return perturbation.change(text, random.Random(int.from_bytes(digest.digest(), "little")))
