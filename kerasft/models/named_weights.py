"""Variables of a model in a file of NumPy arrays, each under its path, such as `classifier/kernel`."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasft.errors import UserError

_BY_POSITION = re.compile(r"v\d+")  # names of before paths: v0, v1, ...


def by_path(variables: Iterable[keras.Variable]) -> dict[str, keras.Variable]:
    """Variables by what they are saved under. Raises ValueError where two have one path."""
    by_name: dict[str, keras.Variable] = {}
    for variable in variables:
        if variable.path in by_name:
            raise ValueError(f"two variables have the path {variable.path}; give their layers different names")
        by_name[variable.path] = variable
    return by_name


def save_variables(file: Path, variables: Mapping[str, keras.Variable]) -> None:
    """Writes the values to a `.npz` file."""
    save_values(file, {name: keras.ops.convert_to_numpy(variable) for name, variable in variables.items()})


def save_values(file: Path, values: Mapping[str, np.ndarray]) -> None:
    """Writes values to a `.npz` file, as `save_variables` does."""
    np.savez(file, **dict[str, Any](values))


def load_variables(file: Path, variables: Mapping[str, keras.Variable]) -> None:
    """Gives each variable its value; nothing is assigned unless all names and shapes are right.

    Args:
        file: of `save_variables`.
        variables: in the order of the model's weights.

    Raises:
        UserError: the file is gone or damaged, lacks a variable, holds one that the model has not, or one of another
            shape.
    """
    assign_variables(file, read_variables(file, list(variables)), variables)


def assign_variables(file: Path, saved: Mapping[str, np.ndarray], variables: Mapping[str, keras.Variable]) -> None:
    """As `load_variables`, of values that were read from the file already."""
    for name, variable in variables.items():
        if name not in saved:
            raise UserError(f"{file}: {name} is missing; train again")
        if saved[name].shape != tuple(variable.shape):
            raise UserError(
                f"{file}: {name} has the shape {saved[name].shape}, and the model wants {tuple(variable.shape)}; train "
                "again"
            )
    if surplus := sorted(saved.keys() - variables.keys()):
        raise UserError(
            f"{file}: the model has no {surplus[0]}{_and_more(surplus)}; load it with the config that trained it"
        )
    for name, variable in variables.items():
        variable.assign(saved[name])


def read_variables(file: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Path -> value of each variable in a file; files from before variables had names are read by position.

    Args:
        file: of `save_variables`.
        names: of the variables that are expected, in the order of the model's weights.

    Raises:
        UserError: the file is gone or damaged.
    """
    saved = _read(file)
    if saved and all(map(_BY_POSITION.fullmatch, saved)):
        saved = {name: saved[f"v{i}"] for i, name in enumerate(names) if f"v{i}" in saved} | {
            key: value for key, value in saved.items() if int(key[1:]) >= len(names)
        }
    return saved


def _read(file: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as saved:
            return {name: saved[name] for name in saved.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"is damaged ({type(error).__name__})"
        raise UserError(f"{file} {reason}; train again, or copy the run again") from error


def _and_more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
