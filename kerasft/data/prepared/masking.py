"""Which tokens of a row are hidden: a pure function of (seed, step, row), so that a resumed run hides the same ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

MASKED, RANDOM = 0.8, 0.1  # of the hidden tokens: shown as the mask token, as any token; the others as they are
LONGEST_WORD = 8  # pieces that are hidden together; a longer word, such as an address, goes in parts of this size


@dataclass(frozen=True)
class Masking:
    """BERT's corruption of texts, Devlin et al. 2018, arXiv:1810.04805, drawn anew at each step as in RoBERTa.

    Attributes:
        probability: share of the ordinary tokens that is hidden: exactly in expectation, and in each row but for
            what rounding to whole tokens, or words, takes.
        whole_word: hide all pieces of a word or none.
        mask_id: of the mask token.
        ordinary: (vocabulary,) bool, tokens that are not special: these are hidden, and shown in a hidden one's place.
        seed: `seed` of the config: with another one other tokens are hidden.
    """

    probability: float
    whole_word: bool
    mask_id: int
    ordinary: np.ndarray
    seed: int

    def draw(self, ids: np.ndarray, opens_word: np.ndarray, step: int | None, row: int) -> tuple[np.ndarray, ...]:
        """What is hidden of one row.

        Args:
            ids: (tokens,) of the row, special tokens included.
            opens_word: (tokens,) bool.
            step: of training; None: as it is measured, every time the same.
            row: its number in the split.

        Returns:
            (hidden,) positions in ascending order, and (hidden,) the ids that are shown there.
        """
        random = np.random.default_rng([self.seed, 0 if step is None else step + 1, row])
        candidates = np.flatnonzero(self.ordinary[ids])
        units = self._units(candidates, opens_word)
        sizes = np.bincount(units, minlength=0)
        order = random.permutation(len(sizes))
        before = np.cumsum(sizes[order]) - sizes[order]
        # Units in random order as stretches of a line: those before the mark are hidden, and the one it falls into with
        # the probability that makes the expected number of hidden tokens the mark itself.
        hidden = np.zeros(len(sizes), bool)
        hidden[order] = before + random.random() * sizes[order] < self.probability * len(candidates)
        positions = candidates[hidden[units]]
        kind = random.random(len(positions))
        ordinary = np.flatnonzero(self.ordinary)
        replacements = np.where(kind < MASKED, self.mask_id, ids[positions])
        replaced = (kind >= MASKED) & (kind < MASKED + RANDOM)
        replacements[replaced] = ordinary[random.integers(0, len(ordinary), int(replaced.sum()))]
        return positions.astype(np.int32), replacements.astype(np.int32)

    def most(self, length: int) -> int:
        """The most tokens that can be hidden of a row of `length` tokens."""
        spare = LONGEST_WORD if self.whole_word else 1
        return min(length, math.floor(self.probability * length) + spare)

    def _units(self, candidates: np.ndarray, opens_word: np.ndarray) -> np.ndarray:
        """(candidates,) the number of the unit, a word or a token, that each belongs to."""
        index = np.arange(len(candidates))
        if not self.whole_word or not len(candidates):
            return index
        opens = opens_word[candidates].copy()
        opens[1:] |= np.diff(candidates) > 1  # a special token parts words
        opens[0] = True
        within = index - np.maximum.accumulate(np.where(opens, index, 0))
        return np.cumsum(opens | (within % LONGEST_WORD == 0)) - 1
