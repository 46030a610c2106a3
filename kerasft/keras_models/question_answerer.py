"""The stretch of a context that answers a question, or that none does."""

from __future__ import annotations

from typing import Any

import keras

from kerasft.errors import UserError
from kerasft.keras_models.base import TaskModel
from kerasft.keras_models.columns import check_lengths, plain
from kerasft.quoting import quoted


@keras.saving.register_keras_serializable(package="kerasft")
class QuestionAnswerer(TaskModel):
    """The part of a context that answers a question.

        >>> model = kerasft.QuestionAnswerer.from_preset(preset)
        >>> history = model.fit((["what rose?"], ["the price rose"]), [{"text": "price", "start": 4}], verbose=0)
        >>> sorted(model.predict((["what fell?"], ["stock fell"]))[0])
        ['answer', 'end', 'n_best', 'score', 'start']

    Texts are (questions, contexts), or dicts of `question` and `context`. Labels are answers, one for each question:
    {text, start}; or {text: [...], answer_start: [...]} as in SQuAD; or only a text, if it occurs once in its context;
    None or "" for no answer. Starts count code points of the context.

    An answer is {answer, start, end, score, n_best}. Models that were trained on questions without an answer can give
    "" and -1. A row of the model is a window of a context (the options `max_length`, `stride` and
    `max_question_length`).
    """

    task_name = "question_answering"
    label_role = "answers"

    @classmethod
    def _roles(cls, options: dict[str, Any]) -> tuple[str, ...]:
        return ("question", "context", "answers")

    @classmethod
    def _first_state(cls, config: Any) -> dict[str, Any]:
        return {"no_answer": False}

    def _learns(self) -> bool:
        return not self.settings.learnt

    def _labels(self, y: Any) -> list[Any]:
        found = plain(y)
        if isinstance(found, dict):  # columns, as a data set has them
            check_lengths(found)
            return [dict(zip(found, row)) for row in zip(*found.values())]
        return found

    def _row(self, record: Any) -> dict[str, Any]:
        answer, context = record.values["answers"], record.values["context"]
        if isinstance(answer, str) and not answer:
            record.values["answers"] = None
        elif isinstance(answer, str):
            if context.count(answer) != 1:
                many = "does not stand" if answer not in context else "stands several times"
                told = f"the answer {quoted(answer)} {many} in its context"
                raise UserError(f"{record.where}: {told}; give {{'text': ..., 'start': ...}}, or None for no answer")
            record.values["answers"] = [{"text": answer, "start": context.index(answer)}]
        return self.task.parse(record)
