"""The folder of a search, and the configs of the runs in it.

runs/NAME-search/search.json  journal.log  workers/  cache/  trials/trial-0000/
repeats/trial-0000-seed-1/
winner.yaml  winner.json  trials.csv  report.html
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasft.atomic import write_atomically
from kerasft.config.differences import check_same_config
from kerasft.config.load import dump_config
from kerasft.config.ranges import with_values
from kerasft.config.schema import Config
from kerasft.config.search import SearchConfig, space_of
from kerasft.errors import UserError
from kerasft.invocation import command

IDENTITY = "search.json"
# Keys of the section that may be others when a search goes on.
_MAY_CHANGE = ("trials", "repeats", "patience", "store", "dir")


@dataclass(frozen=True)
class SearchFolder:
    """Where a search is.

    Attributes:
        config: with the section `search` resolved.
        settings: that section.
    """

    config: Config
    settings: SearchConfig

    @classmethod
    def of(cls, config: Config) -> SearchFolder:
        """That of a config."""
        settings = config.search or SearchConfig.defaults()
        settings = settings.model_copy(update={"space": space_of(config)})
        return cls(config, settings)

    @property
    def path(self) -> Path:
        """runs/NAME-search, or what `search.dir` names."""
        return Path(self.settings.dir or f"{self.config.output.dir}/{self.config.name}-search")

    @property
    def store(self) -> str:
        """A file or an URL, for `Store`."""
        return self.settings.store or str(self.path / "journal.log")

    def begin(self, resume: bool) -> None:
        """Makes the folder, or checks that it is of this search.

        Raises:
            UserError: it is there and the search is not to go on, or it is another's.
        """
        file = self.path / IDENTITY
        mine = {"config": self._compared(), "space": self._plain_space()}
        if file.is_file():
            if not resume:
                raise UserError(f"{self.path} exists; add --resume to go on, or choose another name=...")
            before = json.loads(file.read_text(encoding="utf-8"))
            if before["space"] != mine["space"]:
                changed = sorted(
                    key
                    for key in {*before["space"], *mine["space"]}
                    if before["space"].get(key) != mine["space"].get(key)
                )
                raise UserError(f"search.space.{changed[0]}: not as {self.path} began with; go on with the same space")
            check_same_config(before["config"], self.config, self.path)
            for key, value in mine["config"]["search"].items():
                old = before["config"]["search"].get(key)
                if key not in _MAY_CHANGE and old != value:
                    raise UserError(f"search.{key}: {value!r}, but {self.path} began with {old!r}; go on with the same")
            return
        if self.path.exists() and any(self.path.iterdir()):
            raise UserError(f"{self.path} is not a search: it has no {IDENTITY}; choose another name=...")
        write_atomically(file, json.dumps(mine, indent=2, ensure_ascii=False))

    def _compared(self) -> dict[str, Any]:
        return {**self.config.model_dump(mode="json"), "search": self.settings.model_dump(mode="json")}

    def _plain_space(self) -> dict[str, Any]:
        return {key: section.model_dump(mode="json") for key, section in (self.settings.space or {}).items()}

    def trial_folder(self, number: int) -> Path:
        """Of a trial's run."""
        return self.path / "trials" / f"trial-{number:04d}"

    def trial(self, number: int, values: Mapping[str, Any]) -> Config:
        """The config of a trial's run: it reads no test split, unless that is a share of train, and exports nothing.

        Raises:
            UserErrors: the schema refuses these values together.
        """
        return self._inner(f"trial-{number:04d}", "trials", self._with(values))

    def repeat(self, number: int, seed: int, values: Mapping[str, Any]) -> Config:
        """The config of a run of a trial's values with another seed."""
        config = self._with(values).model_copy(update={"seed": seed})
        return self._inner(f"trial-{number:04d}-seed-{seed}", "repeats", config)

    def rows(self, values: Mapping[str, Any]) -> Config:
        """The config by which a repeat reads its rows: with the search's own seed."""
        return self._inner("rows", "repeats", self._with(values))

    def winner(self, values: Mapping[str, Any]) -> Config:
        """The config that `kerasft train` takes: the user's own with the winner's values."""
        return self._with(values).model_copy(update={"name": f"{self.config.name[:190]}-winner"})

    def write_winner(self, number: int, values: Mapping[str, Any], figure: str, source: str) -> Path:
        """winner.yaml, with a comment that says which trial it is and what the original says of its data."""
        lines = [
            f"# Trial {number} of {self.path}: {figure}.",
            f"# To train it: {command('train', self.path / 'winner.yaml')}",
        ]
        lines += [f"# data: {source}"] if source else []
        text = "\n".join(lines) + "\n" + dump_config(self.winner(values))
        return write_atomically(self.path / "winner.yaml", text)

    def tidy(self, number: int, with_model: bool) -> None:
        """Removes what a trial that is over no longer needs: checkpoints, and the model of one that is not the best."""
        folder = self.trial_folder(number)
        for name in ("checkpoints", *(("model", "adapter") if with_model else ())):
            shutil.rmtree(folder / name, ignore_errors=True)

    def _with(self, values: Mapping[str, Any]) -> Config:
        return with_values(self.config.model_copy(update={"search": None}), values)

    def _inner(self, name: str, shelf: str, config: Config) -> Config:
        checkpoint, data = config.training.checkpoint, config.data
        if checkpoint.dir is not None:
            checkpoint = checkpoint.model_copy(update={"dir": f"{checkpoint.dir.rstrip('/')}/{self.path.name}"})
        data_update: dict[str, Any] = {"cache": data.cache or str(self.path / "cache")}
        if not isinstance(data.test, float):
            data_update["test"] = None
        return config.model_copy(
            update={
                "name": name,
                "training": config.training.model_copy(update={"checkpoint": checkpoint}),
                "data": data.model_copy(update=data_update),
                "output": config.output.model_copy(update={"dir": str(self.path / shelf)}),
                "export": config.export.model_copy(update={"enabled": False}),
            }
        )
