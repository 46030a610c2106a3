"""A new LoRA adapter a stage, orthogonal to the earlier ones (O-LoRA, Wang et al. 2023, arXiv:2310.14152)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerasft.atomic import write_bytes_atomically
from kerasft.config.continual import OLoraConfig
from kerasft.config.schema import Config
from kerasft.continual.methods.base import Method
from kerasft.errors import UserError

if TYPE_CHECKING:
    import keras

    from kerasft.continual.methods.orthogonal import Orthogonal
    from kerasft.tasks.base import Task
    from kerasft.training.actions import Measured
    from kerasft.training.objectives.base import MakeObjective, Objective

FILE = "o_lora.npz"


class OLora(Method[OLoraConfig]):
    """Each stage trains a pair A, B for each layer; earlier pairs are summed into the frozen backbone.

    The directions that A reads are kept away from those that earlier ones read, so that a stage changes little of what
    earlier stages compute. No row is kept.
    """

    orthogonal: Orthogonal

    @classmethod
    def check(cls, config: Config) -> None:
        super().check(config)
        peft = config.model.peft
        if peft is None or peft.method != "lora" or peft.start is not None:
            raise UserError(
                "continual.method: o_lora trains a new LoRA adapter in each stage; set model.peft.method: lora, "
                "without start"
            )

    def objective(self) -> MakeObjective:
        earlier: dict[str, np.ndarray] = {}
        if (file := self.situation.memory(FILE)) is not None:
            with np.load(file, allow_pickle=False) as saved:
                earlier = {name: saved[name] for name in saved.files}
        seed = [self.situation.config.seed, sum(1 for _ in earlier), *(a.shape[1] for a in earlier.values())]

        def make(model: keras.Model, task: Task) -> Objective:
            from kerasft.continual.methods.orthogonal import Orthogonal

            self.orthogonal = Orthogonal(model, task, strength=self.section.strength, earlier=earlier, seed=seed)
            return self.orthogonal

        return make

    def keep(self, measured: Measured, folder: Path) -> None:
        content = io.BytesIO()
        arrays = self.orthogonal.directions()
        np.savez(content, **arrays)  # pyright: ignore[reportArgumentType]  names of layers are no options of it
        write_bytes_atomically(folder / FILE, content.getvalue())
