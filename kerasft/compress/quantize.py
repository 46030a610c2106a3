"""`method=quantize`: the same model in fewer bytes on disk. It is computed in float32, so it is not faster,
except where it writes by its 4 bits (`kerasft predict --precision int4`)."""

from __future__ import annotations

from pathlib import Path

from kerasft.compress.base import Method, Smaller, Source
from kerasft.config.compress import QuantizeConfig
from kerasft.errors import UserError
from kerasft.models.presets.four_bits import FourBits
from kerasft.models.presets.narrow_weights import narrow_arrays, narrow_preset, storage_of
from kerasft.runs import Run


class Quantize(Method[QuantizeConfig]):
    """Stores backbone and head in float16, or the backbone's matrices in int8 or int4, 32 numbers to a scale."""

    def __init__(self, settings: QuantizeConfig):
        super().__init__(settings)
        self._bits: dict[str, FourBits] = {}

    def check(self, run: Run) -> None:
        if storage_of(run.folder / "model") == self.settings.storage:
            raise UserError(
                f"storage: {run.folder} is stored in {self.settings.storage} already; there is nothing to do"
            )

    def apply(self, source: Source) -> Smaller:
        backbone = source.assembled.backbone
        if self.settings.storage == "int4":
            from kerasft.compress.four_bit_backbone import four_bit_backbone

            backbone, self._bits = four_bit_backbone(source, self.settings.rounding, self.settings.rows)
        return Smaller(backbone, source.assembled.tokenizer)

    def finish(self, folder: Path) -> None:
        narrow_preset(folder, self.settings.storage, self._bits)
        narrow_arrays(folder / "head.weights.npz")
