"""`method=quantize`: the same model in fewer bytes on disk. It is computed in float32, so it is not faster."""

from __future__ import annotations

from pathlib import Path

from kerasft.compress.base import Method, Smaller, Source
from kerasft.config.compress import QuantizeConfig
from kerasft.errors import UserError
from kerasft.models.presets.narrow_weights import narrow_arrays, narrow_preset, storage_of
from kerasft.runs import Run


class Quantize(Method[QuantizeConfig]):
    """Stores backbone and head in float16, or the backbone's matrices in int8 with a scale for each 32 numbers."""

    def check(self, run: Run) -> None:
        if storage_of(run.folder / "model") == self.settings.storage:
            raise UserError(
                f"storage: {run.folder} is stored in {self.settings.storage} already; there is nothing to do"
            )

    def apply(self, source: Source) -> Smaller:
        return Smaller(source.assembled.backbone, source.assembled.tokenizer)

    def finish(self, folder: Path) -> None:
        narrow_preset(folder, self.settings.storage)
        narrow_arrays(folder / "head.weights.npz")
