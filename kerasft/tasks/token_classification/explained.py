"""Which logits stand behind an entity: those of its tags, at the tokens that open its units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasft.tasks.base.declarations import Explained
from kerasft.tasks.problems.explained import RUNNER_UP, index_of


def explained_entities(
    answers: Sequence[Mapping[str, Any]],
    logits: np.ndarray,
    features: Mapping[str, np.ndarray],
    labels: Sequence[str],
    label: str | None,
    contrast: str | None,
) -> list[list[Explained]]:
    """One explanation for each entity that was found: the logits of its tags, summed over its units.

    Where a chain chose the tags, it is the emissions that are explained, not the transitions. Of an entity that two
    windows share, the units of the first count.

    Args:
        answers: `entities` of each text, as the task answers them.
        logits: (windows, length, 1 + 2 * labels): O, then B and I of each label.
        features: `owned`, `unit`, `units` and `unit_starts` of `WindowPreprocessor`.
        labels: names of the types.
        label: the tags of this type are explained instead of the entity's own.
        contrast: against the tags of this type; RUNNER_UP: of the next likeliest tag, O among them.
    """
    places = np.argwhere(features["owned"] & (features["unit"] >= 0))  # (all units, 2) window and token, in order
    first = np.concatenate([[0], np.cumsum(features["units"])])
    found: list[list[Explained]] = []
    for number, answer in enumerate(answers):
        mine = slice(first[number], first[number + 1])
        starts, tokens = features["unit_starts"][mine], places[mine]
        found.append([])
        for entity in answer["entities"]:
            units = tokens[(starts >= entity["start"]) & (starts < entity["end"])]
            units = units[units[:, 0] == units[0, 0]]
            kind = index_of(entity["type"] if label is None else label, labels, "--label")
            index, weights = _tags(kind, units[:, 1]), np.ones(len(units))
            facts: dict[str, Any] = {"entity": {name: entity[name] for name in ("text", "start", "end")}}
            if contrast is not None:
                other = _next_type(logits[units[0, 0], units[:, 1]], kind) if contrast == RUNNER_UP else None
                other = index_of(str(contrast), labels, "--contrast") if contrast != RUNNER_UP else other
                index = np.concatenate([index, _tags(other, units[:, 1])])
                weights = np.concatenate([weights, -weights])
                facts["contrast"] = "O" if other is None else labels[other]
            found[-1].append(Explained(labels[kind], int(units[0, 0]), index, weights, facts))
    return found


def _tags(kind: int | None, tokens: np.ndarray) -> np.ndarray:
    """(units, 2) token and tag: B of a type and then I of it; O for None."""
    if kind is None:
        return np.stack([tokens, np.zeros_like(tokens)], 1)
    tags = np.full(len(tokens), 2 + 2 * kind)
    tags[0] = 1 + 2 * kind
    return np.stack([tokens, tags], 1)


def _next_type(logits: np.ndarray, kind: int) -> int | None:
    """The likeliest type at an entity's first unit beside its own; None: O."""
    scores = np.concatenate([logits[0, :1], logits[0, 1::2]])  # O, then B of each type
    scores[1 + kind] = -np.inf
    best = int(scores.argmax())
    return best - 1 if best else None
