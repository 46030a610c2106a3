"""An export with several adapters as a predictor: each row names the adapter that answers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kerasft.attribution.registry import DEFAULT
from kerasft.data.sources.sources import Record
from kerasft.errors import UserError
from kerasft.inference.export import Servable
from kerasft.inference.local import LocalPredictor
from kerasft.inference.texts import Row, Texts, rows_of
from kerasft.quoting import quoted
from kerasft.serving.adapter_facts import INPUT


class AdaptersPredictor:
    """A loaded export with adapters; an answer is that of the row's adapter, without the blanks of a common form.

    Args:
        servables: of each adapter, by name.

    Attributes:
        inputs: names of the texts of all adapters, and `adapter`.
        adapters: a predictor for each.
    """

    def __init__(self, servables: Mapping[str, Servable]):
        self.adapters = {name: LocalPredictor(servable) for name, servable in servables.items()}
        names = [key for predictor in self.adapters.values() for key in predictor.inputs]
        self.inputs = (*dict.fromkeys(names), INPUT)

    def answer(self, texts: Texts) -> list[dict[str, Any]]:
        """See `Predictor.answer`; a row has the texts that its adapter reads, and its name as `adapter`."""
        if isinstance(texts, Mapping):
            texts = rows_of(texts, self.inputs)
        rows, chosen = [], []
        for place, text in enumerate(texts):
            if not isinstance(text, Mapping):
                raise UserError(f"text {place}: a dict of {', '.join(self.inputs)} is needed, {INPUT} among them")
            chosen.append(self._named(text.get(INPUT), f"text {place}"))
            rows.append(rows_of([text], self.adapters[chosen[-1]].inputs)[0])
        return self._answers(rows, chosen)

    def answer_records(self, records: Sequence[Record]) -> list[dict[str, Any]]:
        """Records of a file, which may name texts by their roles, too -> an answer each."""
        chosen = [self._named(record.values.get(INPUT), record.where) for record in records]
        rows = [self.adapters[name].task.parse_inputs(record) for name, record in zip(chosen, records)]
        return self._answers(rows, chosen)

    def explain(self, texts: Texts, method: str = DEFAULT) -> list[dict[str, Any]]:
        """Raises UserError: an export of adapters has no explanations."""
        raise UserError(
            f"{method}: an export of adapters has no explanations; explain the run of each, such as runs/NAME"
        )

    def _answers(self, rows: Sequence[Row], chosen: Sequence[str]) -> list[dict[str, Any]]:
        answers: dict[int, dict[str, Any]] = {}
        for name, predictor in self.adapters.items():
            places = [place for place, other in enumerate(chosen) if other == name]
            answers |= dict(zip(places, predictor.answer([rows[place] for place in places]))) if places else {}
        return [answers[place] for place in range(len(rows))]

    def _named(self, value: Any, where: str) -> str:
        if value not in self.adapters:
            raise UserError(
                f"{where}: {INPUT} is {quoted(value)}; each row names one of {', '.join(self.adapters)}, or give "
                "--adapter for all"
            )
        return value
