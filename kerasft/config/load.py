"""A YAML file and `key=value` overrides -> one frozen Config, or a line for each thing that is wrong."""

from __future__ import annotations

import copy
import difflib
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union

from pydantic import ValidationError

from kerasft.config.mistakes import COMMAND_LINE, excerpt, explain
from kerasft.config.ranges import range_mistakes
from kerasft.config.references import escape_references, resolve_references
from kerasft.config.schema import Config
from kerasft.config.sections import KeyPath, sections
from kerasft.config.yaml_text import Document, read_yaml, write_yaml
from kerasft.errors import UserError, UserErrors

ConfigLike = Union[str, "os.PathLike[str]", Mapping[str, Any], Config]


def load_config(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Config:
    """The config of a run.

    Args:
        path: a YAML file in UTF-8.
        overrides: `training.epochs=1` and the like: the key's dotted path, the first `=`, a value in YAML.

    Raises:
        UserError: the file can't be read, or file and overrides together are no valid config. The message has a line
            for each mistake: the file and line (or `command line`), the key, the value and the fix.
    """
    file = str(path)
    document = read_yaml(_read_text(pathlib.Path(path)), file)
    if not isinstance(document.values, dict):
        content = "empty" if document.values is None else f"a {type(document.values).__name__}"
        raise UserError(f"{file}: {content}; a config is a section of keys that begins with name: and task:")
    overridden, wrong = _override_all(document.values, overrides)
    positions = _Places(file, document, overridden)
    values = resolve_references(document.values, positions.of)
    return _validated(values, positions.of, positions.order, wrong)


def read_config(source: ConfigLike, overrides: Sequence[str] = ()) -> Config:
    """The config of a run from a YAML file, the same values in a dict, or a Config, with `key=value` overrides.

    Raises:
        UserError: as `load_config` does; keys of a dict are told without a line.
    """
    if isinstance(source, Config):
        return override_config(source, overrides)
    if not isinstance(source, Mapping):
        return load_config(source, overrides)
    values = copy.deepcopy(dict(source))
    overridden, wrong = _override_all(values, overrides)
    positions = _Places("config", Document(values, {}), overridden)
    return _validated(resolve_references(values, positions.of), positions.of, positions.order, wrong)


def override_config(config: Config | Mapping[str, Any], overrides: Sequence[str]) -> Config:
    """A config, or values of one, with `key=value` as `load_config` has them; raises UserError as that does."""
    values = config.model_dump(mode="python") if isinstance(config, Config) else copy.deepcopy(dict(config))
    _, wrong = _override_all(values, overrides)
    return _validated(values, lambda path: COMMAND_LINE, lambda path: 0, wrong)


def _validated(
    values: Any, where: Callable[[KeyPath], str], order: Callable[[KeyPath], int], wrong: Sequence[str]
) -> Config:
    """The config of some values; `where` and `order` are those of `explain`, `wrong` is what is known to be."""
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise UserErrors([*explain(error, Config, values, where, order), *wrong]) from error
    ranges = range_mistakes(config)
    wrong = [*(f"{where(('search', 'space', key))}: search.space.{key}: {what}" for key, what in ranges), *wrong]
    if wrong:
        raise UserErrors(wrong)
    return config


def dump_config(config: Config) -> str:
    """YAML of a config with every default, keys in the schema's order; `load_config` reads an equal Config from it."""
    return write_yaml(escape_references(config.model_dump(mode="python")))


def config_json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a config file: types, defaults, descriptions, no other keys."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


class _Places:
    """Where each key was written."""

    def __init__(self, file: str, document: Document, overridden: Sequence[KeyPath]):
        self.file, self.lines, self.overridden = file, document.lines, overridden

    def of(self, path: KeyPath) -> str:
        """Path of a key -> `FILE:LINE`, `FILE` or `command line`."""
        # Below an override is the override; above one, what an override made of the section is at fault.
        if any(path[: len(key)] == key or (path and key[: len(path)] == path) for key in self.overridden):
            return COMMAND_LINE
        # A section that the command line began is at fault for what it lacks.
        section = path[:-1]
        if section and section not in self.lines and any(key[: len(section)] == section for key in self.overridden):
            return COMMAND_LINE
        line = self._line(path)
        return f"{self.file}:{line}" if line else self.file

    def order(self, path: KeyPath) -> int:
        """Path of a key -> a number that sorts keys as they were written, the command line last."""
        return 10**9 if self.of(path) == COMMAND_LINE else self._line(path)

    def _line(self, path: KeyPath) -> int:
        # A key that is not there is told at the section that lacks it.
        return next((self.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.lines), 0)


def _read_text(path: pathlib.Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file{_nearest_file(path)}") from error
    except IsADirectoryError as error:
        raise UserError(f"{path}: a folder; name the YAML file in it") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: can't be read ({reason}); check the name and its permissions") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}:{line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from error


def _nearest_file(path: pathlib.Path) -> str:
    """`; did you mean X?` for a YAML file with a like name in the same folder or in configs/."""
    folders = dict.fromkeys([path.parent, pathlib.Path("configs")])
    files = {str(file) for folder in folders if folder.is_dir() for file in folder.glob("*.y*ml")}
    by_name = {pathlib.Path(file).stem: file for file in sorted(files)}
    near = difflib.get_close_matches(path.stem, by_name, 1)
    if near:
        return f"; did you mean {by_name[near[0]]}?"
    return "; check the path" if not files else f"; there are {excerpt(', '.join(sorted(files)))}"


def _override_all(values: dict[str, Any], overrides: Sequence[str]) -> tuple[list[KeyPath], list[str]]:
    """Sets the keys of all `key=value` in `values`; their paths, and a line for each that can't be set."""
    paths, wrong = [], []
    for override in overrides:
        try:
            paths.append(_override(values, override))
        except UserError as error:
            wrong.append(str(error))
    return paths, wrong


def _override(values: dict[str, Any], override: str) -> KeyPath:
    """Sets the key of one `key=value` in `values`; returns the key's path."""
    key, equals, text = override.partition("=")
    path = tuple(key.strip().split("."))
    if not equals or not all(path):
        raise UserError(f"{COMMAND_LINE}: {override!r} is not KEY=VALUE; write for example training.epochs=1")
    try:
        value = read_yaml(text, COMMAND_LINE).values
    except UserError as error:
        raise UserError(
            f"{COMMAND_LINE}: {key}: {excerpt(text)} is not YAML; put quotes in it: {key}='\"...\"'"
        ) from error
    section_names = {at for at, _ in sections(Config)}
    section: Any = values
    for depth, part in enumerate(path[:-1], 1):
        # A section that the file leaves out or sets to null is begun here; a value in its place is the user's mistake.
        if section.get(part) is None:
            section[part] = {}
        section = section[part]
        if not isinstance(section, dict):
            at = ".".join(path[:depth])
            fix = f"set its keys instead of {excerpt(section)}" if at in section_names else f"write {at}=VALUE"
            raise UserError(f"{COMMAND_LINE}: {key}: {at} is {excerpt(section)}, which has no keys; {fix}")
    section[path[-1]] = value
    return path
