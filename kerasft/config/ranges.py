"""Ranges of `search.space` against the schema: each value of a range must make a config."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from kerasft.config.mistakes import explain
from kerasft.config.schema import Config
from kerasft.config.search import CHANGE_STEPS, FIXED, FIXED_DATA, SearchConfig, space_of
from kerasft.errors import UserErrors


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """A config in which some keys have other values.

    Args:
        config: valid.
        values: dotted key -> value; a section that is null begins with the keys that are named.

    Raises:
        UserErrors: the schema refuses them; a line for each mistake, without a place.
    """
    plain = copy.deepcopy(config.model_dump(mode="python"))
    for key, value in values.items():
        *above, last = key.split(".")
        section = plain
        for part in above:
            if not isinstance(section.get(part), dict):
                section[part] = {}
            section = section[part]
        section[last] = value
    training, named = plain["training"], {key for key in values}
    if "training.steps" in named and training["steps"] is not None and "training.epochs" not in named:
        training["epochs"] = None
    if "training.epochs" in named and training["epochs"] is not None and "training.steps" not in named:
        training["steps"] = None
    try:
        return Config.model_validate(plain)
    except ValidationError as error:
        raise UserErrors(explain(error, Config, plain, lambda path: "", lambda path: 0)) from error


def range_mistakes(config: Config) -> Iterator[tuple[str, str]]:
    """What is wrong with `search.space`: the key that is searched, and a sentence about it."""
    if config.search is None or config.search.space is None:
        return
    outside = config.model_copy(update={"search": None})
    for key, section in config.search.space.items():
        if key.split(".")[0] in FIXED or key in FIXED_DATA:
            yield key, f"{key} is the same for all trials, which would else not be comparable; remove it"
            continue
        for value in section.ends:
            try:
                with_values(outside, {key: value})
            except UserErrors as error:
                yield key, f"{value!r}: {error.messages[0]}"
                break
    wrong = unequal_steps(config)
    if wrong:
        yield (
            wrong,
            (
                f"{wrong} changes how many steps an epoch has, and search.pruner {config.search.chosen_pruner} "
                "compares trials at equal steps; set training.evaluate_every, or search.pruner: none"
            ),
        )


def unequal_steps(config: Config) -> str | None:
    """The key of the space by which trials are not validated at equal steps, where a pruner wants that."""
    search = config.search or SearchConfig.defaults()
    if search.chosen_pruner == "none" or config.training.evaluate_every is not None:
        return None
    return next((key for key in space_of(config) if key.startswith(CHANGE_STEPS)), None)
