"""`kerasft search CONFIG --trials N`: tries values of some keys, and keeps the best as a config."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kerasft.config.header import header_line, name_data_source
from kerasft.config.load import ConfigLike, read_config
from kerasft.config.schema import Config
from kerasft.config.several_runs import check_one_run
from kerasft.config.spelling import suggest_key
from kerasft.console.arguments import Parser
from kerasft.console.signals import ENDS, terminable
from kerasft.console.terminal import Terminal, run_program
from kerasft.data.splits import check_columns, stage_splits
from kerasft.errors import Interrupted, UserError
from kerasft.invocation import command, install_command
from kerasft.locks import FolderLock, Held, NoLocks
from kerasft.models.presets.presets import resolve_preset
from kerasft.tasks.registry import create_task

if TYPE_CHECKING:
    from kerasft.search.folder import SearchFolder


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("search", __doc__, "my.yaml --trials 30", suggest_key)
    parser.add_argument("config", help="a YAML file; its section search says what is tried")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for example training.epochs=1")
    parser.add_argument("--trials", type=int, help="how many, of all workers together; default: search.trials")
    parser.add_argument("--hours", type=float, help="no trial begins after so many hours; default: no limit")
    parser.add_argument("--resume", action="store_true", help="go on with this search, or join its other workers")
    args = parser.parse_intermixed_args(argv)
    return run_program(lambda: _search(**vars(args)))


def _search(config: str, overrides: Sequence[str], trials: int | None, hours: float | None, resume: bool) -> int:
    """The exit code."""
    with name_data_source(config):
        run_search(config, overrides, trials=trials, hours=hours, resume=resume)
    return 0


def run_search(
    config: ConfigLike,
    overrides: Sequence[str] = (),
    *,
    trials: int | None = None,
    hours: float | None = None,
    resume: bool = False,
    terminal: Terminal | None = None,
    runner: Any = None,
) -> dict[str, Any] | None:
    """Searches: `kerasft search` as a function.

        import kerasft

        kerasft.search("configs/banking77.yaml", trials=30)["values"]

    Args:
        config: a YAML file, the same as a dict, or a Config.
        overrides: `key=value` as on the command line.
        trials: how many, of all workers together; None: `search.trials`.
        hours: no trial begins after so many; None: no limit.
        resume: go on with a search, or join its other workers.
        terminal: shows progress and results; None: stderr and stdout.
        runner: runs a job; None: each in a process of its own.

    Returns:
        What winner.json holds; None: another worker concludes the search.

    Raises:
        UserError: a mistake that the user can fix.
        Interrupted: Ctrl-C, or the machine's end; the running trial has saved.
    """
    _check_installed()
    from kerasft.search.folder import SearchFolder

    terminal = terminal or Terminal()
    loaded = read_config(config, overrides)
    if trials is not None and trials < 1:
        raise UserError(f"--trials {trials}: write 1 or more")
    if hours is not None and hours <= 0:
        raise UserError(f"--hours {hours:g}: write a number above 0")
    check_one_run(loaded, "kerasft search")
    search = SearchFolder.of(loaded)
    _check(loaded, search)
    search.begin(resume)
    # A comment at the head of a file, which a dict and a Config do not have.
    source = header_line(config, "data") if isinstance(config, (str, os.PathLike)) else ""
    until = None if hours is None else time.monotonic() + 3600 * hours
    try:
        with terminable():
            return _worked(search, trials or search.settings.trials, until, runner, terminal, source)
    except (KeyboardInterrupt, Interrupted) as error:
        kind, word = _ending_of(error)
        name = config if isinstance(config, (str, os.PathLike)) else "CONFIG"
        on = command("search", str(name), *overrides, "--trials", trials or search.settings.trials, "--resume")
        raise kind(f"{word}; the trial that ran has saved; to go on: {on}") from None


def _ending_of(error: BaseException) -> tuple[type[Interrupted], str]:
    if isinstance(error, Interrupted):
        return type(error), "interrupted"
    number = error.args[0] if error.args else 2
    return ENDS.get(number, ENDS[2])


def _worked(search: Any, most: int, until: float | None, runner: Any, terminal: Terminal, source: str) -> Any:
    """Works until there are enough trials, and concludes unless another worker does."""
    from kerasft.search.conclusion import conclude
    from kerasft.search.process import TrialProcess
    from kerasft.search.ranges import Direction
    from kerasft.search.store import Store
    from kerasft.search.worker import Goal, Worker
    from kerasft.search.workers import Member

    task = create_task(search.config)
    goal = Goal(task.headline, task.headline in task.falling)
    first: Direction = "minimize" if goal.falls else "maximize"
    others: list[Direction] = ["minimize" for _ in search.settings.objectives[1:]]
    store = Store(search.store, search.path.name, [first, *others])
    runner = runner or TrialProcess()
    with Member(search.path, search.settings.patience) as member:
        Worker(search, store, goal, member, runner, terminal, most, until).work()
        if any(not trial.state.is_finished() for trial in store.trials()):
            terminal.line("the hours are over, and other workers still have trials; the last of them concludes")
            return None
        ending = search.path / "conclusion"
        ending.mkdir(exist_ok=True)
        try:
            lock: FolderLock | None = FolderLock(ending)
        except Held:
            terminal.line("another worker concludes the search")
            return None
        except NoLocks:
            lock = None
        try:
            return conclude(search, store, goal, runner, terminal, source)
        finally:
            if lock is not None:
                lock.release(ending)


def _check(config: Config, search: SearchFolder) -> None:
    """Raises UserError for what each trial would fail by, its rows among that, before anything is written."""
    if config.training.strategy in ("multi_worker", "tpu"):
        raise UserError(
            f"training.strategy: {config.training.strategy} is not for a search, whose trials are processes of one "
            "machine; start several workers of the search instead"
        )
    if search.settings.sampler == "cmaes" and len(search.settings.space or {}) < 2:
        raise UserError("search.sampler: cmaes needs two ranges or more in search.space; take tpe")
    task = create_task(config)
    task.check_config()
    check_columns(config, task)
    resolve_preset(config.model.preset)
    rows = search.trial(0, {})  # without test
    task.fit(stage_splits(rows, task, lambda line: None).tables)


def _check_installed() -> None:
    try:
        import cmaes  # noqa: F401
        import optuna  # noqa: F401
    except ImportError as error:
        raise UserError(f"kerasft search needs {error.name}: {install_command('search')}") from None


if __name__ == "__main__":
    sys.exit(main())
