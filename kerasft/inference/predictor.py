"""Models that answer texts, wherever they are: runs, exports, servers, presets before any training.

TensorFlow is imported only where a model is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from kerasft.console.terminal import quiet_tensorflow
from kerasft.errors import UserError
from kerasft.inference.export import Export
from kerasft.inference.remote import Remote, is_address
from kerasft.inference.texts import Texts
from kerasft.inference.untrained import Untrained, is_config
from kerasft.runs import Run
from kerasft.serving.formats.converted import ConvertedExport, is_converted


@runtime_checkable
class Predictor(Protocol):
    """What answers texts."""

    @property
    def inputs(self) -> Sequence[str]:
        """Names of the texts that an answer needs, such as `text`, or `question` and `context`."""
        ...

    def answer(self, texts: Texts) -> list[dict[str, Any]]:
        """One JSON-able answer for each text, in order.

        Args:
            texts: strings, where the model has one input; otherwise rows, {input: text} each, or columns,
                {input: texts}.

        Raises:
            UserError: a text is missing, or is none.
        """
        ...


def load(model: str | os.PathLike[str], *, trust: bool = False, token: str | None = None) -> Predictor:
    """A model that answers texts.

        import kerasft

        kerasft.load("runs/reuters-r8").answer(["wheat prices fell"])

    Args:
        model: a run, `saved_models/NAME` or a version of it, a config (its preset before training), or a server's
            `http://HOST:8501/v1/models/NAME`.
        trust: run a SavedModel that reaches files or networks, too.
        token: a server's bearer token.

    Raises:
        UserError: there is no such model, or it can't be loaded.
    """
    if is_address(str(model)):
        return Remote(str(model), token)
    opened = open_model(Path(model), trust=trust)
    quiet_tensorflow(verbose=False)
    from kerasft.inference.batches import with_fused_layers
    from kerasft.inference.local import LocalPredictor

    return LocalPredictor(with_fused_layers(opened.load()))


def open_model(
    model: Path, overrides: Sequence[str] = (), trust: bool = False
) -> Run | Export | ConvertedExport | Untrained:
    """A model on this machine, not loaded yet: it has a `config`, and `load`.

    Args:
        model: a run, an export, or a config.
        overrides: `key=value` for the config of a preset.
        trust: an export may reach files or networks.

    Raises:
        UserError: it is none of these.
    """
    if is_config(model):
        return Untrained.open(model, overrides)
    if overrides:
        raise UserError(f"{overrides[0]}: {model} has a config of its own; overrides are for configs")
    if is_converted(model):
        return ConvertedExport.open(model)
    return Run.open(model) if is_run(model) else Export.open(model, trust)


def is_run(model: Path) -> bool:
    """Whether a folder is a run's, put back first where a killed --overwrite left it under another name."""
    return Run.is_at(model)
