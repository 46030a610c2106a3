"""Which objectives a config may name, and what is said where it may not."""

import pytest
from pydantic import ValidationError

from kerasft.config.objective import REFUSED, TAKEN
from kerasft.config.schema import Config
from kerasft.config.sections import literals

COLUMNS = {"text": "text", "label": "label"}
LABELS = {"name": "text_classification"}


def config(objective, task=LABELS, columns=COLUMNS, model=None, **training) -> Config:
    return Config.model_validate(
        {
            "name": "t",
            "task": task,
            "model": {"preset": "x", **(model or {})},
            "data": {"train": "x", "columns": columns},
            "training": {"objective": objective, **training},
        }
    )


def test_the_tables_have_names_that_exist():
    names = set(literals("training.objective.name"))
    assert set(REFUSED) <= names
    assert set(TAKEN) <= set(literals("task.name"))
    sections = {"text_classification": LABELS, "token_classification": {"name": "token_classification"}}
    taken = {name for task in TAKEN for name in TAKEN[task](config(None, sections.get(task, {"name": task})).task)}
    assert taken == names


def test_a_section_has_its_own_keys():
    assert config({"name": "fgm"}).training.objective.epsilon == 0.1
    assert config({"name": "pgd"}).training.objective.step_size == 0.1
    with pytest.raises(ValidationError, match="gamma"):
        config({"name": "fgm", "gamma": 2.0})


@pytest.mark.parametrize(
    "objective, task, message",
    [
        ("neftune", LABELS, "neftune is not for text_classification as it is set here; choose one of focal, rdrop"),
        ("focal", LABELS | {"problem": "regression"}, "focal is not for text_classification as it is set here"),
        (
            "rdrop",
            {"name": "token_classification", "crf": True},
            "choose one of mixout, fgm, pgd, freelb",
        ),
        ("fgm", {"name": "seq2seq"}, "fgm is not for seq2seq as it is set here; choose one of rdrop"),
        ("rdrop", {"name": "masked_lm"}, "rdrop is not for masked_lm; leave it null"),
    ],
)
def test_a_task_that_cannot_take_it(objective, task, message):
    with pytest.raises(ValidationError, match=message):
        config({"name": objective}, task)


@pytest.mark.parametrize(
    "objective, keys, message",
    [
        ("focal", {"label_smoothing": 0.1}, "training.label_smoothing: 0.1 does not go with training.objective.name"),
        ("rdrop", {"model": {"dropout": 0.0}}, "model.dropout: 0.0 does not go with .* set it above 0"),
        ("smart", {"precision": "mixed_bfloat16"}, "training.precision: mixed_bfloat16 does not go with"),
        ("supervised_contrastive", {"gradient_accumulation": 2}, "compares all rows of a batch.*set it to 1"),
        ("supervised_contrastive", {"parallel_microbatches": 2}, "compares all rows of a batch.*set it to 1"),
    ],
)
def test_keys_that_do_not_go_with_it(objective, keys, message):
    with pytest.raises(ValidationError, match=message):
        config({"name": objective}, **keys)
    config({"name": objective})
