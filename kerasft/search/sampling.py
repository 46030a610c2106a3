"""Which values a trial tries: a function of the seed, the trial's number and the trials before it.

So a search that was killed draws what it would have drawn. Nothing of a sampler is kept between trials.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from kerasft.config.search import SearchConfig
from kerasft.search.ranges import Direction, Space, distributions, grid, rounded, share_of, value_at

GENERATION = "generation"  # attribute of a trial of CMA-ES
_SIGMA = 0.25  # of CMA-ES at first, as a share of each range


def draw(
    search: SearchConfig,
    space: Space,
    seed: int,
    number: int,
    before: Sequence[FrozenTrial],
    directions: Sequence[Direction],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of a trial, and what its attributes keep for those that follow.

    Args:
        search: names the sampler.
        space: what is drawn from.
        seed: of the search.
        number: of the trial, from 0.
        before: the other trials as they are now, running ones among them.
        directions: `maximize` or `minimize` of each objective.
    """
    if search.sampler == "grid":
        return grid(space)[number], {}
    if search.sampler == "random":
        source = random.Random(f"{seed}:{number}")  # its numbers are the same in every version of Python
        return {key: value_at(section, source.random()) for key, section in space.items()}, {}
    if search.sampler == "cmaes":
        return _cmaes(space, seed, number, before, directions[0])
    return _tpe(space, seed, number, before, directions), {}


def most_trials(search: SearchConfig, space: Space) -> int | None:
    """How many trials there can be; None: any number."""
    return len(grid(space)) if search.sampler == "grid" else None


def _tpe(space: Space, seed: int, number: int, before: Sequence[FrozenTrial], directions: Sequence[Direction]) -> dict:
    """Optuna's multivariate TPE with the constant liar (Watanabe 2023, arXiv:2304.11127)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of options that Optuna calls experimental
        sampler = optuna.samplers.TPESampler(
            seed=_seed(seed, number), n_startup_trials=10, multivariate=True, constant_liar=True
        )
        study = optuna.create_study(directions=list(directions), sampler=sampler)
        wanted = distributions(space)
        study.add_trials([trial for trial in before if trial.params.keys() == wanted.keys()])
        params = study.ask(wanted).params
    return {key: rounded(section, params[key]) for key, section in space.items()}


def _cmaes(
    space: Space, seed: int, number: int, before: Sequence[FrozenTrial], direction: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """CMA-ES (Hansen 2016, arXiv:1604.00772), gone through again from the first generation.

    A generation is over when as many of its trials have a value as the population has; whoever is drawn before that
    belongs to it as well.
    """
    import numpy as np
    from cmaes import CMA

    keys, sign = list(space), -1.0 if direction == "maximize" else 1.0
    bounds = np.tile([0.0, 1.0], (len(keys), 1))
    optimizer = CMA(mean=np.full(len(keys), 0.5), sigma=_SIGMA, bounds=bounds, seed=_seed(seed, 0))
    generation = 0
    while True:
        complete = [
            trial
            for trial in sorted(before, key=lambda trial: trial.number)
            if trial.user_attrs.get(GENERATION) == generation and trial.state == TrialState.COMPLETE
        ][: optimizer.population_size]
        if len(complete) < optimizer.population_size:
            break
        points = [np.array([share_of(space[key], trial.params[key]) for key in keys]) for trial in complete]
        optimizer.tell([(point, sign * trial.values[0]) for point, trial in zip(points, complete)])
        generation += 1
    optimizer.reseed_rng(_seed(seed, number))
    shares = optimizer.ask()
    return {key: value_at(space[key], float(share)) for key, share in zip(keys, shares)}, {GENERATION: generation}


def _seed(seed: int, number: int) -> int:
    return random.Random(f"{seed}:{number}").getrandbits(32)
