"""`method=auto max_loss=0.5`: steps from the cheapest on, each measured on validation, as long as the loss is small.

The steps are taken in the order in which they usually cost least for what they bring: tokens that are not used, bits
of storage, then units of the feed-forward layers and heads of the attention, fewer and fewer. Each stays if the model
with it has lost no more than `max_loss` in all; the first of a kind that costs more is left out, and so are all that go
further.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.assembly import Assembled
from kerasft.compress.base import Method, Smaller, Source
from kerasft.compress.candidates import as_model, head_values, headline
from kerasft.compress.feed_forward import FeedForward
from kerasft.compress.heads import Heads, is_written_for_transformers
from kerasft.compress.quantize import Quantize
from kerasft.compress.smaller_backbone import resized
from kerasft.compress.vocabulary import Vocabulary
from kerasft.config.compress import AutoConfig, FeedForwardConfig, HeadsConfig, QuantizeConfig, VocabularyConfig
from kerasft.errors import UserError
from kerasft.models.presets.narrow_weights import dequantized, quantized
from kerasft.tasks.base import TOKEN_IDS, Task

UNITS = (0.75, 0.5, 0.25)  # shares of units of the feed-forward layers that stay
HEADS = (0.75, 0.5)
STORAGES = ("float16", "int8")


class Auto(Method[AutoConfig]):
    """Walks along what is gained and lost, and stops where more is lost than is allowed."""

    def __init__(self, settings: AutoConfig):
        super().__init__(settings)
        self.storage: str | None = None

    def apply(self, source: Source) -> Smaller:
        task = source.assembled.task
        assert task is not None
        self._start = headline(task, source.assembled, source.tables["validation"])
        walk: list[dict[str, Any]] = []
        own = {key: task.state[key] for key in TOKEN_IDS if key in task.state}
        self._kept = Smaller(source.assembled.backbone, source.assembled.tokenizer, state=own)
        values = head_values(source.assembled)
        over: set[str] = set()  # kinds of step that have cost too much
        for kind, step, made in self._steps(source, task, values):
            if kind in over or made is None:
                continue
            kept = self._kept
            made = replace(made, head={**kept.head, **made.head}, state={**kept.state, **made.state})
            loss = self._loss(task, self._stored(task, as_model(task, made, values), step), source)
            stays = loss <= self.settings.max_loss
            walk.append({"step": f"{kind} {step or ''}".strip(), "loss": loss, "kept": stays})
            source.line(f"auto: {walk[-1]['step']}: loses {loss:.2f}, {'stays' if stays else 'is left out'}")
            if not stays:
                over.add(kind)
            elif kind == "quantize":
                self.storage = str(step)
            else:
                self._kept = made
        if not any(step["kept"] for step in walk):
            raise UserError(
                f"max_loss: {self.settings.max_loss:g}: every step loses more; allow more, or use method=distil"
            )
        return replace(self._kept, facts={"walk": walk})

    def finish(self, folder: Path) -> None:
        if self.storage is not None:
            Quantize(_quantize(self.settings.name, self.storage)).finish(folder)

    def _steps(
        self, source: Source, task: Task, values: Mapping[str, np.ndarray]
    ) -> Iterator[tuple[str, Any, Smaller | None]]:
        """Kind, setting and result of each step, on the model as it is by then; None: it finds nothing to remove."""
        name = self.settings.name
        tokens = VocabularyConfig.model_validate({"method": "vocabulary", "name": name})
        yield "vocabulary", None, _tried(Vocabulary(tokens), source)
        for storage in STORAGES:
            yield "quantize", storage, self._kept
        base = as_model(task, self._kept, values)
        prepared = task.prepare(source.tables["train"], base.preprocessor)
        for share in UNITS:
            units = FeedForwardConfig.model_validate({"method": "feedforward", "name": name, "keep": share})
            thinner = replace(source, assembled=base, prepared=prepared)
            yield "feedforward", share, _tried(FeedForward(units), thinner)
        if is_written_for_transformers(source.run.config):
            source.line("auto: heads stay: export.formats: huggingface can't hold fewer")
            return
        base = as_model(task, self._kept, values)
        for share in HEADS:
            heads = HeadsConfig.model_validate({"method": "heads", "name": name, "keep": share})
            yield "heads", share, _tried(Heads(heads), replace(source, assembled=base, prepared=prepared))

    def _stored(self, task: Task, assembled: Assembled, step: Any) -> Assembled:
        """The model as it will be read from disk."""
        storage = step if step in STORAGES else self.storage
        if storage is None:
            return assembled
        backbone = resized(assembled.backbone, lambda path, value, shape: rounded(value, storage))
        return as_model(task, Smaller(backbone, assembled.tokenizer), head_values(assembled))

    def _loss(self, task: Task, assembled: Assembled, source: Source) -> float:
        """Points of a hundred that the headline falls; where less is better, percent that it rises."""
        value = headline(task, assembled, source.tables["validation"])
        if task.headline in task.falling:
            return 100 * (value - self._start) / max(abs(self._start), 1e-12)
        return 100 * (self._start - value)


def rounded(values: np.ndarray, storage: str) -> np.ndarray:
    """What numbers are once they were stored and widened."""
    if storage == "float16":
        return values.astype(np.float16).astype(np.float32)
    return dequantized(*quantized(values)) if values.ndim > 1 else values


def _quantize(name: str, storage: str) -> QuantizeConfig:
    return QuantizeConfig.model_validate({"method": "quantize", "name": name, "storage": storage})


def _tried(method: Method[Any], source: Source) -> Smaller | None:
    try:
        return method.apply(source)
    except UserError as error:
        source.line(f"auto: {error}")
        return None
