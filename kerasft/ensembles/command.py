"""`kerasft ensemble CONFIG --members 5`, or of finished runs: several models that answer as one.

Members are trained with other seeds, or on other folds of train. Their probabilities are averaged, and the whole is
exported as one SavedModel.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasft.config.folders import check_folders
from kerasft.config.header import name_data_source
from kerasft.config.load import load_config
from kerasft.config.schema import Config
from kerasft.config.several_runs import check_one_run
from kerasft.config.spelling import suggest_key
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, quiet_tensorflow, run_program
from kerasft.ensembles.plan import (
    MEAN,
    STACKING,
    VOTE,
    Settings,
    check_members,
    check_settings,
    ensemble_config,
    folder_of,
    read_rows,
    train_members,
)
from kerasft.errors import UserError
from kerasft.inference.untrained import is_config
from kerasft.models.presets.presets import resolve_preset
from kerasft.runs import Run

ALPHA, TEMPERATURE = 0.9, 2.0  # of --distil
EXAMPLE = "my.yaml --members 5"


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("ensemble", __doc__, EXAMPLE, suggest_key)
    parser.add_argument("sources", nargs="+", metavar="CONFIG|RUN", help="a YAML file, or two finished runs or more")
    parser.add_argument("--members", type=int, help="how many are trained, 2 or more; for a config")
    parser.add_argument("--folds", action="store_true", help="each member leaves out another part of train")
    parser.add_argument("--combine", choices=(MEAN, VOTE, STACKING), default=MEAN, help="how they answer as one")
    parser.add_argument("--distil", action="store_true", help="train one model on what the ensemble says, too")
    parser.add_argument("--resume", action="store_true", help="take the members that are there, go on with the rest")
    args = parser.parse_intermixed_args(argv)
    return run_program(
        lambda: _ensemble(args.sources, args.members, args.folds, args.combine, args.distil, args.resume)
    )


def _ensemble(
    sources: Sequence[str], members: int | None, folds: bool, combine: str, distil: bool, resume: bool
) -> int:
    """The exit code."""
    paths, overrides = [each for each in sources if "=" not in each], [each for each in sources if "=" in each]
    if not paths:
        raise UserError(f"kerasft ensemble: name a config or runs; for example: kerasft ensemble {EXAMPLE}")
    configs = [path for path in paths if is_config(Path(path))]
    if configs and (len(paths) > 1 or members is None):
        raise UserError(f"kerasft ensemble: one config, with --members N; for example: kerasft ensemble {EXAMPLE}")
    if not configs and (members is not None or folds):
        raise UserError("--members and --folds are for a config; finished runs are the members themselves")
    if members is not None and members < 2:
        raise UserError(f"--members {members}: write 2 or more")
    if not configs and len(paths) < 2:
        raise UserError(f"{paths[0]}: one run is no ensemble; name two or more")
    settings = Settings(members or 0, folds, combine, distil)
    if configs:
        with name_data_source(configs[0]):
            run_ensemble(load_config(configs[0], overrides), settings, resume=resume)
    else:
        runs = [Run.open(Path(path)) for path in paths]
        check_members(runs)
        config = _config_of(runs, overrides)
        run_ensemble(config, settings, runs=runs, resume=resume)
    return 0


def _config_of(runs: Sequence[Run], overrides: Sequence[str]) -> Config:
    from kerasft.config.load import override_config

    return override_config(runs[0].config, overrides)


def run_ensemble(
    config: Config,
    settings: Settings,
    *,
    runs: Sequence[Run] | None = None,
    resume: bool = False,
    terminal: Terminal | None = None,
) -> dict[str, Any]:
    """Makes, measures and exports an ensemble.

    Args:
        config: of its members; of finished runs, that of the first.
        settings: how it is made.
        runs: finished ones; None: members are trained.
        resume: take what is there of this ensemble.
        terminal: shows progress; None: stderr and stdout.

    Returns:
        What its metrics.json holds.

    Raises:
        UserError: a mistake that the user can fix.
    """
    terminal = terminal or Terminal()
    check_settings(config, settings)
    if runs is None:
        check_one_run(config, "kerasft ensemble")
    config = ensemble_config(config)
    check_folders(config)
    folder = folder_of(config)
    if folder.exists() and any(folder.iterdir()) and not resume:
        raise UserError(f"{folder} exists; add --resume to go on, or choose another name=...")
    if runs is None:
        resolve_preset(config.model.preset)
    tables, task = read_rows(config, terminal)
    if runs is None:
        runs = train_members(config, tables, task, settings, folder, terminal)
    quiet_tensorflow(terminal.verbose)
    from kerasft.ensembles.outcome import Outcome

    outcome = Outcome(config, task, tables, runs, settings, terminal)
    metrics = outcome.measure()
    outcome.write(metrics)
    outcome.export()
    if settings.distil:
        outcome.distil(ALPHA, TEMPERATURE)
    return metrics


if __name__ == "__main__":
    sys.exit(main())
