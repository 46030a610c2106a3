"""Arrays that stand beside the targets of a split, such as the logits of a teacher.

An objective reads them by name from its inputs; the model never sees them. They travel with the features of a training
batch under names that no feature has, and `for_model` is the one place that leaves them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np
import tensorflow as tf

from kerasft.data.prepared.prepared import Prepared
from kerasft.errors import UserError

SplitT = TypeVar("SplitT", bound=Prepared)
PREFIX = "beside/"  # of their names among the features of a batch


def with_beside(prepared: SplitT, arrays: Mapping[str, np.ndarray]) -> SplitT:
    """The same split with more arrays beside its targets.

    Args:
        prepared: is left as it is; what stands beside it already stays, or is replaced by an array of the same name.
        arrays: name -> (rows, ...) numbers, or (tokens, ...) where each token has a target. They may be mapped from
            files: a batch reads its own rows alone, as float32.

    Raises:
        UserError: an array is no array of numbers, or has not one entry for each row or token.
    """
    unit = "token" if prepared.token_targets else "row"
    size = int(prepared.offsets[-1]) if prepared.token_targets else len(prepared)
    for name, values in arrays.items():
        if values.ndim < 1 or values.dtype.kind not in "fiub":
            raise UserError(f"beside {name!r}: {values.dtype} of {values.ndim} axes; give an array of numbers")
        if len(values) != size:
            raise UserError(
                f"beside {name!r}: {len(values):,} entries, and the split has {size:,} {unit}s; give one for each "
                f"{unit}, in the split's order"
            )
    return replace(prepared, beside={**prepared.beside, **arrays}) if arrays else prepared


def beside_batch(prepared: Prepared, rows: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
    """What stands beside the rows of a batch.

    Args:
        prepared: the split that the rows are counted in.
        rows: (batch,) indices; -1 repeats row 0, as in `Prepared.batch`.
        targets: (batch, ...) that `Prepared.batch` gave for these rows.

    Returns:
        PREFIX + name -> (batch, ...) float32; (batch, length, ...), 0 where there is no token, where tokens have
        targets.
    """
    if not prepared.beside:
        return {}
    rows = np.maximum(rows, 0)
    if not prepared.token_targets:
        return {PREFIX + name: values[rows].astype(np.float32) for name, values in prepared.beside.items()}
    mask = np.arange(targets.shape[1]) < prepared.lengths[rows][:, None]  # (batch, length)
    source = prepared.token_index(rows)
    features = {}
    for name, values in prepared.beside.items():
        padded = np.zeros((*mask.shape, *values.shape[1:]), np.float32)  # (tokens, ...) -> (batch, length, ...)
        padded[mask] = values[source]
        features[PREFIX + name] = padded
    return features


def beside_shapes(prepared: Prepared) -> dict[str, tuple[int | None, ...]]:
    """PREFIX + name -> the shape without the batch; None: the length of a batch's targets."""
    length = (None,) if prepared.token_targets else ()
    return {PREFIX + name: (*length, *values.shape[1:]) for name, values in prepared.beside.items()}


def for_model(inputs: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
    """Features of a batch without what stands beside its targets; what is no mapping is the model's own as it is."""
    if not isinstance(inputs, Mapping):
        return inputs
    return {name: values for name, values in inputs.items() if not name.startswith(PREFIX)}
