"""How a version comes into memory: its model, its filters, its warm-up, and what is to answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kerasft.serving.server.engines import SAVED_MODEL, Chosen, put_in
from kerasft.serving.server.loaded_model import LoadedModel
from kerasft.serving.server.versions import Version
from kerasft.serving.server.warming import Warmed, warm

if TYPE_CHECKING:
    from kerasft.serving.server.guard import Guard

MakeGuard = Callable[[Path, str, int], "Guard | None"]  # a version's folder, model and number


@dataclass(frozen=True)
class Loading:
    """What holds for every version.

    Attributes:
        trust: see LoadedModel.
        guards: makes the filters of a version; None: versions have none.
        engine: see `engines`.
    """

    trust: bool = False
    guards: MakeGuard | None = None
    engine: str = SAVED_MODEL

    def load(self, version: Version) -> tuple[LoadedModel, Warmed, Chosen]:
        """The model, warm; the version has its guard then.

        Raises:
            ServableError: TensorFlow Serving would refuse it, or it has no such engine.
            UserError: what it needs is not installed.
        """
        model = LoadedModel(version.folder, self.trust)
        try:
            version.guard = self.guards(version.folder, version.name, version.number) if self.guards else None
            warmed = warm(model, version.folder)
            return model, warmed, put_in(model, version.folder, self.engine)
        except BaseException:
            model.close()
            version.close_guard()
            raise
