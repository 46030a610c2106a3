"""A model in this process as a predictor: texts in, answers out."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kerasft.attribution.integrated_gradients import POINTS
from kerasft.attribution.registry import DEFAULT, check_explains, create
from kerasft.attribution.served import SIGNATURE, explanations
from kerasft.data.batching.batching import MEGA_BATCH
from kerasft.errors import UserError
from kerasft.inference.batches import Lengths, sorted_answers, token_lengths
from kerasft.inference.chat import writer_of
from kerasft.inference.export import Servable
from kerasft.inference.texts import Row, Texts, rows_of
from kerasft.runs import Trained
from kerasft.serving.formats.converted import Converted

if TYPE_CHECKING:
    from kerasft.attribution.explainer import Explainer

UNCERTAINTY = "uncertainty"  # how much the members of an ensemble differ
BATCH = 64  # texts a call of the model


class LocalPredictor:
    """A loaded run, preset or export.

    Args:
        answerer: what was loaded.
        batch_size: texts a call of the model, in `answer`.

    Attributes:
        inputs: names of the texts that an answer needs.
        task: that the model was made for.
    """

    def __init__(self, answerer: Trained | Servable | Converted, batch_size: int = BATCH):
        self.answerer, self.task, self.batch_size = answerer, answerer.task, batch_size
        self.inputs = self.task.inputs
        self._count: Lengths | None = None

    def answer(self, texts: Texts) -> list[dict[str, Any]]:
        """See `Predictor.answer`."""
        rows = rows_of(texts, self.inputs)
        return list(sorted_answers(rows, self.lengths, self.answer_batch, self.batch_size, MEGA_BATCH))

    def answer_batch(self, rows: list[Row]) -> list[dict[str, Any]]:
        """Answers by one call of the model."""
        outputs = dict(self.answerer.answer(self.columns(rows)))
        uncertainty = outputs.pop(UNCERTAINTY, None)  # of an ensemble alone, whatever its task
        answers = self.task.rows(outputs)
        if uncertainty is None:
            return answers
        return [answer | {UNCERTAINTY: float(value)} for answer, value in zip(answers, uncertainty)]

    def explain(
        self,
        texts: Texts,
        method: str = DEFAULT,
        *,
        label: str | None = None,
        contrast: str | None = None,
        points: int = POINTS,
    ) -> list[dict[str, Any]]:
        """See `Predictor.explain`."""
        rows, chosen = rows_of(texts, self.inputs), create(method, points)
        if isinstance(self.answerer, Trained):
            return list(self.explainer.explain(rows, chosen, label, contrast))
        served = self.task.config.export.explain
        if served is None or label is not None or contrast is not None:
            raise UserError(
                f"{self.task.config.name}: an export gives its own signature's explanations alone (export.explain: "
                f"{served or 'null'}); explain its run, such as runs/NAME"
            )
        if not isinstance(self.answerer, Servable):
            raise UserError(f"{self.task.config.name}: this form of export has no explanations; explain its run")
        outputs = self.answerer.ask(SIGNATURE, self.columns(rows))
        return explanations(outputs, rows, self.inputs)

    @functools.cached_property
    def explainer(self) -> Explainer:
        """What explains a run; made at the first call. Raises UserError: the model can't be explained."""
        from kerasft.attribution.encoder_decoder import EncoderDecoderExplainer
        from kerasft.attribution.explainer import Explainer
        from kerasft.attribution.written import WrittenExplainer

        assert isinstance(self.answerer, Trained)  # exports have none
        check_explains(self.task)
        if self.task.writes:
            return (EncoderDecoderExplainer if self.task.encoder_decoder else WrittenExplainer)(self.answerer)
        return Explainer(self.answerer)

    def stream(self, text: str) -> Iterator[str]:
        """Pieces of an answer as it is written: of an export there is one. Raises UserError: the task writes none."""
        if self.inputs != ("prompt",) or isinstance(self.answerer, Converted):
            raise UserError(f"{self.task.config.task.name}: its answers are not written piece by piece; use answer")
        return writer_of(self.answerer).write(rows_of([text], self.inputs)[0]["prompt"])

    def lengths(self, rows: list[Row]) -> Any:
        """(rows,) how long the model's input is for each; rows of like length share a batch."""
        self._count = self._count or token_lengths(self.answerer)
        return self._count(self.columns(rows))

    def columns(self, rows: list[Row]) -> dict[str, list[str]]:
        """{input: texts}."""
        return {name: [row[name] for row in rows] for name in self.inputs}
