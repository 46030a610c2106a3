"""What the rest of the program relies on of every task before there is a model; those of the registry all join."""

import json

import pytest

from kerasft.config.schema import Config
from kerasft.data.quality.base import Check
from kerasft.errors import UserError
from kerasft.evaluation.answer_measures import Watched
from kerasft.tasks.base import Task
from kerasft.tasks.registry import TASKS, create_task
from kerasft.tasks.watched import watched_of

# Columns of tasks that can do without any single one, but not without all: a role each. Others have what they require.
COLUMNS = {"token_classification": ("tokens", "tags"), "seq2seq": ("input", "output"), "text_generation": ("text",)}


def columns_of(name: str) -> tuple[str, ...]:
    return COLUMNS.get(name) or tuple(column.role for column in TASKS[name].columns if column.required)


def config_of(name: str, **sections) -> Config:
    return Config.model_validate(
        {
            "name": "any",
            "task": {"name": name},
            "model": {"preset": "any", "max_length": 256},
            "data": {"train": "any.jsonl", "columns": {role: role for role in columns_of(name)}},
            **sections,
        }
    )


@pytest.fixture(params=TASKS)
def name(request) -> str:
    return request.param


@pytest.fixture
def task(name) -> Task:
    return create_task(config_of(name))


def test_a_config_with_its_columns_alone_is_right(task):
    task.check_config()
    assert task.config.task.name in TASKS and type(task) is TASKS[task.config.task.name]


def test_columns_are_roles_with_names_of_their_own(task, name):
    roles = [column.role for column in task.columns]
    assert len(roles) == len(set(roles)) and set(columns_of(name)) <= set(roles)
    assert {column.role for column in task.columns if column.required} <= set(columns_of(name))


def test_an_answer_needs_texts_that_a_row_has(task):
    assert task.inputs and all(isinstance(column, str) for column in task.inputs)
    assert task.texts and set(task.texts) <= set(task.schema().names)


def test_rows_are_compared_by_texts_that_they_have(task):
    assert task.source_texts and {*task.source_texts, *task.may_be_empty} <= set(task.texts)
    for text in task.texts:
        key, most = task.cut_at(text) or ("model.max_length", 1)
        assert "." in key and most > 0
    assert all(issubclass(check, Check) for check in task.checks)


def test_a_checkpoint_is_chosen_by_a_metric_whose_better_side_is_known(task):
    assert task.headline in task.rising + task.falling
    assert not set(task.rising) & set(task.falling)


def test_a_metric_that_is_not_measured_is_refused_and_the_others_are_named(name):
    stopped = create_task(config_of(name, training={"early_stopping": {"metric": "luck"}}))
    with pytest.raises(UserError, match="training.early_stopping.metric: 'luck' is not measured") as refused:
        stopped.check_config()
    assert all(metric in str(refused.value) for metric in stopped.rising + stopped.falling)


def test_its_kind_says_what_the_report_and_the_terminal_show(task):
    assert task.kind.name and task.headline in task.kind.scores and task.kind.sections
    assert len(set(task.kind.scores)) == len(task.kind.scores)


def test_a_server_finds_what_it_watches_by_the_name_of_the_task(name):
    assert isinstance(watched_of(name), Watched)


def test_limits_name_keys_of_the_config(task):
    for key, most in task.limits.values():
        section, _, last = key.partition(".")
        assert last in getattr(task.config, section).model_dump() and most > 0


def test_what_features_are_made_of_and_what_is_learnt_can_be_written_down(task):
    assert json.loads(json.dumps(task.state)) == task.state == {}
    assert json.loads(json.dumps(task.features_made_from(True)))["task"]["name"] == task.config.task.name


def test_numbers_of_a_request_have_a_usual_value(task):
    for taken in task.numbers.values():
        assert taken and all(number.values for number in taken.values())
