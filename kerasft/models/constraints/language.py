"""`task.decoding.constraint` as an automaton, and what a vocabulary can write of it."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence

import numpy as np

from kerasft.config.constraint import ConstraintConfig
from kerasft.errors import UserError
from kerasft.models.constraints.automaton import Automaton, TooLarge, automaton, either, literal
from kerasft.models.constraints.held_tokens import NEVER, HeldTokens, fewest_tokens, held_tokens
from kerasft.models.constraints.patterns import Pattern, PatternError
from kerasft.models.constraints.schemas import SchemaError, schema_language
from kerasft.quoting import quoted

KEY = "task.decoding.constraint"


def constraint_automaton(section: ConstraintConfig) -> Automaton:
    """The answers that are allowed, over bytes.

    Raises:
        UserError: the regular expression or the schema is wrong, has what is not taken, or is too large.
    """
    return _compiled(json.dumps(section.model_dump(mode="json")))


@functools.lru_cache(maxsize=8)  # a config is checked more than once
def _compiled(text: str) -> Automaton:
    section = ConstraintConfig.model_validate(json.loads(text))
    try:
        if section.labels is not None:
            return automaton(either(map(literal, section.labels)))
        if section.regex is not None:
            pattern = Pattern(section.regex)
            return automaton(pattern.language)
        return automaton(schema_language(section.json_schema))
    except PatternError as error:
        raise UserError(f"{KEY}.regex: {quoted(section.regex or '')} {error}") from error
    except SchemaError as error:
        raise UserError(f"{KEY}.json_schema: {error}") from error
    except TooLarge as error:
        raise UserError(
            f"{KEY}: too large ({error}); allow less, such as shorter texts (maxLength, {{m,n}})"
        ) from error


def constraint_tokens(
    section: ConstraintConfig,
    token_bytes: Sequence[bytes],
    ordinary: np.ndarray,
    opening: str | bool | None,
    max_new_tokens: int,
) -> HeldTokens:
    """What a vocabulary can write of the answers that are allowed.

    Args:
        section: of the config.
        token_bytes, ordinary, opening: see `held_tokens`.
        max_new_tokens: of the config.

    Raises:
        UserError: the vocabulary can't write any answer, or one of the labels, in so many tokens.
    """
    try:
        held = held_tokens(constraint_automaton(section), token_bytes, ordinary, opening)
    except TooLarge as error:
        raise UserError(
            f"{KEY}: too large ({error}); allow less, such as shorter texts (maxLength, {{m,n}})"
        ) from error
    needed, what = int(held.distances[held.starts].max()), "the shortest answer"
    for label in section.labels or ():
        count = fewest_tokens(label.encode("utf-8"), token_bytes, ordinary)
        needed, what = max((needed, what), (count, quoted(label)), key=lambda each: each[0])
    if needed >= NEVER:
        raise UserError(f"{KEY}: the tokens of this model can't write {what}; use another model, or other texts")
    if needed > max_new_tokens:
        raise UserError(
            f"task.decoding.max_new_tokens: {max_new_tokens}, but {what} of {KEY} takes {needed} tokens; raise it"
        )
    return held
