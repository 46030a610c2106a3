"""The weights that a run validates, keeps as its best and exports, while it trains others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras

from kerasft.models.swapped_weights import swapped_in
from kerasft.peft.base import Method


@contextlib.contextmanager
def exported_weights(optimizer: keras.optimizers.Optimizer, method: Method | None = None) -> Iterator[None]:
    """The model has the weights inside that would be exported, and every bit of its own again afterwards.

    Moving averages where there are any, all rows of tables that are updated late, and adapters merged into the
    backbone: those of the averages.

    Args:
        optimizer: of `create_optimizer`.
        method: of parameter-efficient fine-tuning; None: the weights that train are the model's own.
    """
    with contextlib.ExitStack() as inside:
        inside.enter_context(swapped_in(optimizer.averages()))
        for _, table in optimizer.deferred:
            inside.enter_context(table.up_to_date(optimizer.iterations.value))
        if method is not None:
            inside.enter_context(method.validated())
        yield
