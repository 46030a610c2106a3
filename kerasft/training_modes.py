"""A config's training as one run, as several or as none: the keys that ask for another way, and who does it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kerasft.augmentation_gain import train_and_measure
from kerasft.augmentation_texts import make_texts
from kerasft.config.prompting import answers_untrained
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.continual.sequence import run_sequence
from kerasft.cross_validation.training import cross_validate
from kerasft.distribution.cluster import find_cluster
from kerasft.errors import UserError
from kerasft.few_shots.draws import train_draws
from kerasft.few_shots.zero_shot import zero_shot_run
from kerasft.session import train_run


@dataclass(frozen=True)
class Mode:
    """A way to train a config in several runs, or to make its run without training.

    Attributes:
        key: of the config, that asks for it.
        is_on: whether a config does.
        train: as `train_run`: gives the Outcome of the run that has the config's name; `data.folds`, which leaves no
            such run, gives what cross_validation.json holds.
        options: of `train_run`, those that `train` takes, too; None: all.
    """

    key: str
    is_on: Callable[[Config], bool]
    train: Callable[..., Any]
    options: frozenset[str] | None = None


MODES = (
    Mode("prompting", answers_untrained, zero_shot_run, frozenset({"existing", "terminal"})),
    Mode(
        "data.draws",
        lambda config: config.data.draws > 1,
        train_draws,
        frozenset({"start", "actions", "objective", "existing", "terminal"}),  # tables would be the same in each draw
    ),
    Mode(
        "data.folds",
        lambda config: config.data.folds is not None,
        cross_validate,
        frozenset({"existing", "terminal"}),
    ),
    Mode(
        "augment.measure",
        lambda config: config.augment is not None and config.augment.measure,
        train_and_measure,
    ),
    Mode("continual", lambda config: config.continual is not None, run_sequence, frozenset({"existing", "terminal"})),
)


def train_config(config: Config, **options: Any) -> Any:
    """Trains a config in as many runs as its keys ask for.

    Args:
        config: read and checked.
        options: those of `kerasft.session.train_run`.

    Returns:
        The Outcome of the run; with `data.folds`, what cross_validation.json holds.

    Raises:
        UserError: two keys ask for several runs; an option that a mode does not take; see `train_run`.
    """
    if find_cluster(config, os.environ) is None:  # several workers would make them several times
        terminal, keep = options.get("terminal") or Terminal(), options.get("existing") == "resume"
        make_texts(config, options.get("tables"), terminal, keep)
    modes = [mode for mode in MODES if mode.is_on(config)]
    if not modes:
        return train_run(config, **options)
    if len(modes) > 1:
        keys = " and ".join(mode.key for mode in modes)
        raise UserError(
            f"{keys}: each is another way to make runs, and they can't be had at once; set all but one to null"
        )
    mode = modes[0]
    refused = sorted(options.keys() - mode.options) if mode.options is not None else []
    if refused:
        raise UserError(f"{mode.key}: its runs take no {', '.join(refused)}; set {mode.key} to null, or leave them out")
    return mode.train(config, **options)


def check_one_run(config: Config, by: str) -> None:
    """Raises UserError where a config asks for several runs, and `by`, an option, needs one."""
    for mode in MODES:
        if mode.is_on(config):
            raise UserError(
                f"{by}: needs a config that trains one run, and {mode.key} asks for another way; leave it out"
            )
