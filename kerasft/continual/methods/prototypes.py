"""The nearest class mean of a frozen encoder's vectors (the rule of iCaRL, arXiv:1611.07725, of all rows)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kerasft.config.continual import PrototypesConfig
from kerasft.config.schema import Config
from kerasft.continual.methods.analytic import Sums
from kerasft.errors import UserError

if TYPE_CHECKING:
    import keras

    from kerasft.continual.methods.analytic_objective import SumsObjective
    from kerasft.tasks.base import Task


class Prototypes(Sums[PrototypesConfig]):
    """A class is the mean of its texts' vectors, and a text belongs to the class whose mean has the highest cosine.

    For a text embedder, to which a class is added by some examples: `model.preset: run:EMBEDDER`.
    """

    file = "prototypes.npz"

    @classmethod
    def check(cls, config: Config) -> None:
        super().check(config)
        values = config.task.model_dump()
        if values.get("pooling") == "cls":
            raise UserError(
                "task.pooling: cls has a layer of its own, which method prototypes does not train; set it to mean"
            )
        if values.get("random_features") is not None:
            raise UserError("task.random_features: is for method analytic; set it to null for method prototypes")

    def changes(self) -> dict[str, Any]:
        pooling = self.situation.config.task.model_dump()["pooling"]
        return super().changes() | ({} if pooling == "last" else {"task.pooling": "unit"})

    def solver(self, model: keras.Model, task: Task) -> SumsObjective:
        from kerasft.continual.methods.analytic_objective import PrototypesObjective

        return PrototypesObjective(model, task, self.earlier, self.digests())


class ForgottenPrototypes(Prototypes):
    """The stage's rows are forgotten."""

    forgets = True
