"""A pool of prompts on a frozen base (L2P, Wang et al. 2022, arXiv:2112.08654)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kerasft.config.continual import PromptPoolConfig
from kerasft.config.schema import Config
from kerasft.continual.methods.base import Method
from kerasft.errors import UserError
from kerasft.peft.adapter_files import FOLDER

if TYPE_CHECKING:
    import keras

    from kerasft.assembly import Start
    from kerasft.tasks.base import Task
    from kerasft.training.objectives.base import MakeObjective, Objective

KIND = "prompt_pool"  # of `model.peft`


class PromptPool(Method[PromptPoolConfig]):
    """The stage trains the prompts that its texts choose, their keys, and the head's columns of its own classes.

    The base stays as it is, and the loss compares the classes of the stage alone, so that columns of other classes are
    left where they are; answers are of all classes. See `kerasft.peft.prompt_pool`.
    """

    goes_on = False  # from the parent's pool, on the base that it is for

    @classmethod
    def check(cls, config: Config) -> None:
        super().check(config)
        peft = config.model.peft
        if peft is not None and peft.method != KIND:
            raise UserError(
                f"model.peft: {peft.method} does not go with method prompt_pool, which puts its own prompts in; set "
                "it to null"
            )

    @property
    def _has_pool(self) -> bool:
        peft = self.situation.parent and self.situation.parent.config.model.peft
        return peft is not None and peft.method == KIND

    def changes(self) -> dict[str, Any]:
        section, parent = self.section, self.situation.parent
        pool = {"method": KIND, "pool": section.pool, "tokens": section.tokens, "chosen": section.chosen}
        if parent is None:
            return {"model.peft": pool}
        if self._has_pool:
            return {
                "model.preset": parent.config.model.preset,
                "model.peft": pool | {"start": str(parent.folder / FOLDER)},
            }
        return {"model.preset": f"run:{parent.folder}", "model.architecture": None, "model.peft": pool}

    def start(self) -> Start | None:
        if self.situation.parent is None:
            return None
        from kerasft.training.starts import grown_from

        return grown_from(self.situation.parent.folder / "model")

    def objective(self) -> MakeObjective:
        strength = self.section.strength

        def make(model: keras.Model, task: Task) -> Objective:
            from kerasft.continual.methods.nearest_prompts import NearestPrompts

            return NearestPrompts(model, task, strength=strength)

        return make
