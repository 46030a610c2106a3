"""A config's training as one run, as several or as none: the keys that ask for another way, and who does it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kerasft.augmentation_gain import train_and_measure
from kerasft.augmentation_texts import make_texts
from kerasft.config.schema import Config
from kerasft.config.several_runs import keys_of_several_runs
from kerasft.console.terminal import Terminal
from kerasft.continual.sequence import run_sequence
from kerasft.cross_validation.runs import FoldsOutcome
from kerasft.cross_validation.training import cross_validate
from kerasft.distribution.cluster import find_cluster
from kerasft.errors import UserError
from kerasft.few_shots.draws import train_draws
from kerasft.few_shots.zero_shot import zero_shot_run
from kerasft.runs import Run
from kerasft.session import Outcome, train_run


@dataclass(frozen=True)
class Mode:
    """A way to train a config in several runs, or to make its run without training.

    Attributes:
        train: as `train_run`: gives the Outcome of the run that has the config's name; `data.folds`, which leaves no
            such run, gives a FoldsOutcome.
        options: of `train_run`, those that `train` takes, too; None: all.
    """

    train: Callable[..., Any]
    options: frozenset[str] | None = None


_NO_TABLES = frozenset({"existing", "terminal"})
# Key of the config -> what it asks for.
MODES = {
    "prompting": Mode(zero_shot_run, _NO_TABLES),
    "data.draws": Mode(train_draws, _NO_TABLES | {"start", "actions", "objective"}),  # tables would be the same in each
    "data.folds": Mode(cross_validate, _NO_TABLES),
    "augment.measure": Mode(train_and_measure),
    "continual": Mode(run_sequence, _NO_TABLES),
}


def train_config(config: Config, **options: Any) -> Outcome | FoldsOutcome:
    """Trains a config in as many runs as its keys ask for.

    Args:
        config: read and checked.
        options: those of `kerasft.session.train_run`.

    Returns:
        The Outcome of the run; with `data.folds`, the FoldsOutcome of all.

    Raises:
        UserError: two keys ask for several runs, or one with several workers; an option that a mode does not take; see
            `train_run`.
    """
    keys, alone = keys_of_several_runs(config), find_cluster(config, os.environ) is None
    if len(keys) > 1:
        raise UserError(f"{' and '.join(keys)}: can't be had at once, as each trains in a way of its own; keep one")
    if keys and not alone:
        raise UserError(f"{keys[0]}: is for one process, and there are several workers; leave it out, or use one")
    mode = MODES[keys[0]] if keys else Mode(train_run)
    refused = sorted(options.keys() - mode.options) if mode.options is not None else []
    if refused:
        raise UserError(f"{keys[0]}: its runs take no {', '.join(refused)}; leave that out, or the key")
    # Several workers would make texts several times, and runs of the other modes learn from other rows.
    if config.augment is not None and alone and mode.train in (train_run, train_and_measure):
        existing, terminal = options.get("existing"), options.get("terminal") or Terminal()
        if existing != "resume":
            Run.plan(config, existing == "overwrite")  # refused before texts take an hour
        make_texts(config, options.get("tables"), terminal, keep=existing == "resume")
    return mode.train(config, **options)
