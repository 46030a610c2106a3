"""What a run does, told to a program that compares runs: MLflow or Weights & Biases, imported when it is asked for.

What is told: every key of the config, the loss and the learning rate at most 200 times, the figures of each validation.
No texts, no weights. A run that goes on is the same run there.
"""

from __future__ import annotations

import abc
import importlib
import importlib.util
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from kerasft.config.schema import Config
from kerasft.config.tracking import MlflowConfig, WandbConfig
from kerasft.errors import Interrupted, Pruned, UserError
from kerasft.invocation import install_command
from kerasft.training.actions.base import Action, Training
from kerasft.training.actions.progress import CURVE_POINTS

_FINISHED, _KILLED, _FAILED, _PRUNED = "FINISHED", "KILLED", "FAILED", "PRUNED"
_LONGEST = 500  # signs of a value: MLflow's limit


def trackers(config: Config) -> list[Action]:
    """The actions that `training.tracking` asks for.

    Raises:
        UserError: a program that it names is not installed.
    """
    found: list[Action] = []
    for section in config.training.tracking or ():
        if importlib.util.find_spec(section.name) is None:
            raise UserError(f"training.tracking: {section.name} is not installed: {install_command(section.name)}")
        found.append(TrackMlflow(config, section) if isinstance(section, MlflowConfig) else TrackWandb(config, section))
    return found


class Tracking(Action, abc.ABC):
    """The moments of a run as a program is told them, by the chief alone.

    A program that can't be reached when the run begins ends it; later the run goes on and is no longer told.

    Args:
        config: of the run.
        section: of the program.
    """

    def __init__(self, config: Config, section: MlflowConfig | WandbConfig):
        self.config, self.section, self.open = config, section, False

    def begin(self, training: Training) -> None:
        super().begin(training)
        self.every = max(1, training.steps // CURVE_POINTS)
        if training.checkpoints.workers.chief:
            identity = json.loads((training.folder / "run.json").read_text(encoding="utf-8"))["id"]
            try:
                self.start(identity, flat(self.config.model_dump(mode="json")))
            except Exception as error:  # of its client: each has classes of its own
                raise UserError(
                    f"training.tracking: {self.section.name}: {_first_line(error)}; mend that, or set it to null"
                ) from error
            self.open = True

    def after_steps(self, output: dict[str, Any]) -> None:
        step = self.training.checkpoints.step
        if self.open and (step % self.every == 0 or step == self.training.steps):
            figures = {name: float(output[name]) for name in ("loss", "learning_rate")}
            self._tell(lambda: self.log(figures, step))

    def after_evaluation(self, metrics: dict[str, Any]) -> None:
        if self.open:
            figures = {f"validation/{name}": float(value) for name, value in metrics.items()}
            self._tell(lambda: self.log(figures, self.training.checkpoints.step))

    def end(self, *failed: Any) -> None:
        if self.open:
            error = failed[0] if failed else None
            status = _FINISHED if error is None else _FAILED
            for kind, other in ((Interrupted, _KILLED), (Pruned, _PRUNED)):
                status = other if isinstance(error, type) and issubclass(error, kind) else status
            self._tell(lambda: self.finish(status))

    def _tell(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001  of its client: each has classes of its own
            self.open = False
            self.training.terminal.line(
                f"warning: training.tracking: {self.section.name}: {_first_line(error)}; it gets no more of this run"
            )

    @abc.abstractmethod
    def start(self, identity: str, values: Mapping[str, str]) -> None:
        """Begins a run there, or goes on with the one of this identity. `values`: dotted key -> value of the config."""

    @abc.abstractmethod
    def log(self, figures: Mapping[str, float], step: int) -> None:
        """Figures of a step."""

    @abc.abstractmethod
    def finish(self, status: str) -> None:
        """The end of the run: FINISHED, KILLED (it will go on), PRUNED (a trial that ended early) or FAILED."""


class TrackMlflow(Tracking):
    """MLflow's own client, without a run that is active for the whole process."""

    TAG, STATE = "kerasft.id", "kerasft.state"
    section: MlflowConfig

    def start(self, identity: str, values: Mapping[str, str]) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would report how it is used
        # By name: a type checker need not have what few users have.
        mlflow: Any = importlib.import_module("mlflow")
        entities: Any = importlib.import_module("mlflow.entities")

        self.client = mlflow.MlflowClient(tracking_uri=self.section.uri)
        experiment = self.client.get_experiment_by_name(self.section.experiment)
        at = experiment.experiment_id if experiment else self.client.create_experiment(self.section.experiment)
        before = self.client.search_runs([at], filter_string=f"tags.`{self.TAG}` = '{identity}'", max_results=1)
        if before:
            self.run = before[0].info.run_id
            self.client.update_run(self.run, status="RUNNING")
            return
        self.run = self.client.create_run(at, run_name=self.config.name, tags={self.TAG: identity}).info.run_id
        rows = [entities.Param(key, value[:_LONGEST]) for key, value in values.items()]
        for start in range(0, len(rows), 100):  # its limit
            self.client.log_batch(self.run, params=rows[start : start + 100])

    def log(self, figures: Mapping[str, float], step: int) -> None:
        for name, value in figures.items():
            self.client.log_metric(self.run, name, value, step=step)

    def finish(self, status: str) -> None:
        if status == _PRUNED:  # no status of MLflow's
            self.client.set_tag(self.run, self.STATE, "pruned")
        self.client.set_terminated(self.run, _KILLED if status == _PRUNED else status)


class TrackWandb(Tracking):
    """Weights & Biases; offline it writes `wandb/` in the run's folder."""

    section: WandbConfig

    def start(self, identity: str, values: Mapping[str, str]) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # it would send its own errors home
        wandb: Any = importlib.import_module("wandb")

        self.run = wandb.init(
            project=self.section.project,
            name=self.config.name,
            id=identity[:32],
            resume="allow",
            mode=self.section.mode,
            dir=str(self.training.folder),
            config=dict(values),
            settings=wandb.Settings(console="off", silent=True),
        )

    def log(self, figures: Mapping[str, float], step: int) -> None:
        self.run.log(dict(figures), step=step)

    def finish(self, status: str) -> None:
        if status == _PRUNED:
            self.run.tags = (*(self.run.tags or ()), "pruned")
        self.run.finish(exit_code=0 if status in (_FINISHED, _PRUNED) else 1)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().split("\n")[0]


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Sections -> dotted keys, each value as JSON has it; texts as they are."""
    found: dict[str, str] = {}
    for key, value in values.items():
        path = f"{above}.{key}" if above else key
        if isinstance(value, dict) and value:
            found |= flat(value, path)
        else:
            found[path] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return found
