"""One explicit table: the name of a task in a config -> its class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasft.config.schema import Config
from kerasft.tasks.base import Task
from kerasft.tasks.masked_lm.task import MaskedLM
from kerasft.tasks.question_answering.task import QuestionAnswering
from kerasft.tasks.relation_extraction.task import RelationExtraction
from kerasft.tasks.seq2seq.task import Seq2Seq
from kerasft.tasks.text_classification.task import TextClassification
from kerasft.tasks.text_embedding.task import TextEmbedding
from kerasft.tasks.text_generation.task import TextGeneration
from kerasft.tasks.token_classification.task import TokenClassification

TASKS: dict[str, type[Task]] = {
    "text_classification": TextClassification,
    "text_embedding": TextEmbedding,
    "token_classification": TokenClassification,
    "relation_extraction": RelationExtraction,
    "question_answering": QuestionAnswering,
    "masked_lm": MaskedLM,
    "text_generation": TextGeneration,
    "seq2seq": Seq2Seq,
}


def create_task(config: Config, state: Mapping[str, Any] | None = None) -> Task:
    """The task that a config names.

    Args:
        config: `task.name` chooses; the task keeps all of it.
        state: what the task learnt earlier from data, where a saved model is loaded.
    """
    return TASKS[config.task.name](config, state)
