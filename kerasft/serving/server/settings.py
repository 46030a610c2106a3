"""Which models are served, from where, in which versions and under which labels: ModelServerConfig, read strictly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf.text_format import ParseError

from kerasft.errors import UserError
from kerasft.serving.bundle import FOLDER
from kerasft.serving.server_messages import parse

if TYPE_CHECKING:
    from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig

FILE = "models.config"


@dataclass(frozen=True)
class VersionPolicy:
    """Which of the versions found are served: the newest `latest` of them, or those in `specific`; both None: all."""

    latest: int | None = 1
    specific: frozenset[int] | None = None

    def choose(self, numbers: Iterable[int]) -> set[int]:
        """Versions found -> versions to serve."""
        if self.specific is not None:
            return set(numbers) & self.specific
        newest = sorted(numbers, reverse=True)
        return set(newest if self.latest is None else newest[: self.latest])


@dataclass(frozen=True)
class ModelSettings:
    """One model. `base_path` holds its version folders; `labels` are names for versions."""

    name: str
    base_path: Path
    policy: VersionPolicy = VersionPolicy()
    labels: Mapping[str, int] = field(default_factory=dict)


def read_folder(folder: Path) -> ModelSettings:
    """saved_models/NAME -> how to serve it, by its serving/models.config where an export wrote one.

    The configuration's own base_path is that of a container; here it is the folder.

    Raises:
        UserError: there is no folder, or the configuration is not one, or not for one model.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give saved_models/NAME, which holds versions (1, 2, ...)")
    if (folder / "saved_model.pb").is_file():
        raise UserError(f"{folder}: is one version; give the folder that holds it, {folder.absolute().parent}")
    name = folder.absolute().name
    file = folder / FOLDER / FILE
    if not file.is_file():
        return ModelSettings(name, folder)
    models = read_file(file)
    if len(models) != 1:
        raise UserError(f"{file}: configures {len(models)} models, not one; serve it with --model-config-file")
    return ModelSettings(models[0].name, folder, models[0].policy, models[0].labels)


def read_file(file: Path) -> list[ModelSettings]:
    """A ModelServerConfig in text form -> the models it names. Raises UserError where it is not one."""
    try:
        return from_message(parse("ModelServerConfig", file.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from error
    except (ParseError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{file}: not a ModelServerConfig: {error}") from error


def from_message(message: ModelServerConfig) -> list[ModelSettings]:
    """Raises ValueError for what TensorFlow Serving would refuse."""
    if message.WhichOneof("config") != "model_config_list":
        raise ValueError("there is no model_config_list")
    models = [_model(config) for config in message.model_config_list.config]
    if not models:
        raise ValueError("the model_config_list names no model")
    names = Counter(model.name for model in models)
    if twice := sorted(name for name, count in names.items() if count > 1):
        raise ValueError(f"the model {twice[0]} is configured twice")
    return models


def _model(config: ModelConfig) -> ModelSettings:
    if not config.name or not config.base_path:
        raise ValueError("a config without a name or without a base_path")
    if config.model_platform != "tensorflow":
        raise ValueError(f"{config.name}: model_platform is '{config.model_platform}', not 'tensorflow'")
    policy = config.model_version_policy
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        versions = VersionPolicy(latest=None)
    elif kind == "specific":
        versions = VersionPolicy(specific=frozenset(policy.specific.versions))
    else:
        versions = VersionPolicy(latest=policy.latest.num_versions or 1)
    return ModelSettings(config.name, Path(config.base_path), versions, dict(config.version_labels))
