"""Keys of a config that ask for other than one training: several runs, or none."""

from __future__ import annotations

from kerasft.config.prompting import answers_untrained
from kerasft.config.schema import Config
from kerasft.errors import UserError


def keys_of_several_runs(config: Config) -> list[str]:
    """Those that are set, for each of which `kerasft train` does something of its own."""
    measures = config.augment is not None and config.augment.measure
    asked = {
        "prompting": answers_untrained(config),
        "data.draws": config.data.draws > 1,
        "data.folds": config.data.folds is not None,
        "augment.measure": measures,
        "continual": config.continual is not None,
    }
    return [key for key, is_set in asked.items() if is_set]


def check_one_run(config: Config, by: str) -> None:
    """Raises UserError where a config asks for other than one training, which `by`, a command or option, needs."""
    if keys := keys_of_several_runs(config):
        raise UserError(f"{keys[0]}: {by} needs a config that trains one run, without this key; leave it out")
