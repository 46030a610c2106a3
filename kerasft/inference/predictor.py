"""Models that answer texts, wherever they are: runs, exports, servers, presets before any training.

TensorFlow is imported only where a model is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from kerasft.attribution.registry import DEFAULT
from kerasft.console.terminal import quiet_tensorflow
from kerasft.errors import UserError
from kerasft.inference.export import AdaptersExport, Export
from kerasft.inference.remote import Remote
from kerasft.inference.texts import Texts
from kerasft.inference.untrained import Untrained, is_config
from kerasft.paths import is_address
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

    def explain(self, texts: Texts, method: str = DEFAULT) -> list[dict[str, Any]]:
        """What each word adds to the logit of each answer; see docs/trust.md.

            kerasft.load("runs/banking77").explain(["my card has not arrived"])[0]["words"]

        Models in this process also take `label` (explained instead of the answer), `contrast` (why the answer and not
        this label; "": the next likeliest) and `points` (of integrated gradients, to begin with).

        Args:
            texts: as `answer` takes them.
            method: `integrated_gradients`, `gradient_times_input`, `occlusion` or `shap`.

        Returns:
            One dict for each thing that was answered: `row`, the number of the text, `label`, `method`,
            `completeness_gap` and `words`: `text`, `start`, `end` and `score`.

        Raises:
            UserError: a text is missing, or the model can't be explained so.
        """
        ...


def load(
    model: str | os.PathLike[str], *, trust: bool = False, token: str | None = None, adapter: str | None = None
) -> Predictor:
    """A model that answers texts.

        import kerasft

        kerasft.load("runs/reuters-r8").answer(["wheat prices fell"])

    Args:
        model: a run, `saved_models/NAME` or a version of it, a config (its preset before training), or a server's
            `http://HOST:8501/v1/models/NAME`.
        trust: run a SavedModel that reaches files or networks, too.
        token: a server's bearer token.
        adapter: that answers, of a model with several; None: each row names its own, `adapter`.

    Raises:
        UserError: there is no such model, or it can't be loaded.
    """
    if is_address(str(model)):
        return Remote(str(model), token, adapter=adapter)
    opened = one_adapter(open_model(Path(model), trust=trust), model, adapter)
    quiet_tensorflow(verbose=False)
    from kerasft.inference.adapters import AdaptersPredictor
    from kerasft.inference.batches import with_fused_layers
    from kerasft.inference.local import LocalPredictor

    if isinstance(opened, AdaptersExport):
        return AdaptersPredictor(opened.load())
    return LocalPredictor(with_fused_layers(opened.load()))


def one_adapter(
    opened: Run | Export | AdaptersExport | ConvertedExport | Untrained,
    model: str | os.PathLike[str],
    adapter: str | None,
) -> Run | Export | AdaptersExport | ConvertedExport | Untrained:
    """The adapter of a model that is meant; all of them where none is named.

    Raises:
        UserError: there is none of this name.
    """
    if adapter is None:
        return opened
    if not isinstance(opened, AdaptersExport):
        raise UserError(f"--adapter: {model} is one model, not an export with adapters; leave it out")
    return opened.one(adapter)


def open_model(
    model: Path, overrides: Sequence[str] = (), trust: bool = False
) -> Run | Export | AdaptersExport | ConvertedExport | Untrained:
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
