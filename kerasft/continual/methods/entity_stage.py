"""A stage of a tagger: which types its rows were labelled for, and the objective that follows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kerasft.continual.methods.base import Situation
from kerasft.data.tables.table import Table
from kerasft.errors import UserError

if TYPE_CHECKING:
    import keras

    from kerasft.tasks.base import Task
    from kerasft.training.objectives.base import MakeObjective, Objective


def types_in(table: Table) -> set[str]:
    """The types that some row has; rows of one source are taken for labelled for all of them, and for no others."""
    return {label for labels in table.column("label") for label in labels}


def stage_objective(
    situation: Situation,
    kept: Sequence[Collection[str]] = (),
    strength: float = 1.0,
    temperature: float = 1.0,
) -> MakeObjective:
    """What a stage with a parent minimises; see `PartialTypes`.

    Args:
        situation: of the stage, whose own rows come first.
        kept: the types that each of the rows behind them was labelled for.
        strength, temperature: see `PartialTypes`.
    """
    augment = situation.config.augment
    if augment is not None and augment.methods():
        raise UserError("augment: changed forms of rows have no answers of the old model beside them; set augment=null")
    rows, types, old = len(situation.train), types_in(situation.train), situation.old_labels
    labelled = np.array([[label in of for label in old] for of in (types, *kept)], bool)
    labelled = np.concatenate([np.repeat(labelled[:1], rows, 0), labelled[1:]])
    own = np.arange(rows + len(kept)) < rows

    def make(model: keras.Model, task: Task) -> Objective:
        from kerasft.continual.methods.partial_types import PartialTypes

        return PartialTypes(model, task, labelled=labelled, own=own, strength=strength, temperature=temperature)

    return make
