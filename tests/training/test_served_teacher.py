"""What a model on a server answers teaches as much as the logits behind it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support.task_rows import settings  # noqa: F401
from tiny_models import LABELS, make_task

from kerasft.config.load import read_config
from kerasft.errors import UserError
from kerasft.tasks.base import Task
from kerasft.training.objectives.server_teacher import Server, ServerTeacher

TEMPERATURE = 3.0


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def answered(task: Task, logits: np.ndarray) -> list[dict]:
    """What a client has of a server that answers from these logits."""
    columns = {name: value.numpy().tolist() for name, value in task.decode(tf.constant(logits), {}).items()}
    rows = [dict(zip(columns, values)) for values in zip(*columns.values())]
    return [
        {name: value.decode() if isinstance(value, bytes) else value for name, value in row.items()} for row in rows
    ]


@pytest.fixture
def task(tiny_preset):
    return lambda name: make_task(name, tiny_preset)


def test_probabilities_of_one_label_are_those_of_the_logits_at_any_temperature(task):
    logits = np.random.default_rng(0).normal(0, 3, (5, 3)).astype(np.float32)
    made = task("single_label")
    found = made.logits_of(answered(made, logits))
    np.testing.assert_allclose(softmax(found / TEMPERATURE), softmax(logits / TEMPERATURE), atol=1e-6)


def test_several_labels_and_numbers_have_their_logits_back(task):
    logits = np.random.default_rng(0).normal(0, 3, (5, 3)).astype(np.float32)
    made = task("multi_label")
    np.testing.assert_allclose(made.logits_of(answered(made, logits)), logits, atol=1e-4)
    made = task("regression")
    np.testing.assert_allclose(made.logits_of(answered(made, logits[:, :1])), logits[:, :1], atol=1e-5)


def test_a_label_that_is_out_of_scope_is_no_other_order(settings):  # noqa: F811
    from kerasft.tasks.registry import create_task

    config = settings({"name": "text_classification", "out_of_scope": {"label": "none", "max_accuracy_loss": 0.1}})
    made = create_task(config, {"labels": ["a", "b"], "threshold": 0.9})
    logits = np.array([[0.2, 0.1], [5.0, 0.0]], np.float32)
    answers = answered(made, logits)
    assert [answer["label"] for answer in answers] == ["none", "a"]
    np.testing.assert_allclose(softmax(made.logits_of(answers)), softmax(logits), atol=1e-6)


def test_a_relation_is_a_label_of_another_name(task):
    made = task("relation_extraction")
    answers = [{"relation": "Other", "score": 0.7, "probabilities": [0.1, 0.2, 0.7]}]
    np.testing.assert_allclose(softmax(made.logits_of(answers)), [[0.1, 0.2, 0.7]], atol=1e-6)
    with pytest.raises(UserError, match="finds no two entities in a text: its task.tags are others"):
        made.logits_of([{"relation": "", "score": 0.0, "probabilities": [0.0, 0.0, 0.0]}])
    with pytest.raises(UserError, match="it answers with label, probabilities, and has no relation"):
        made.logits_of([{"label": "Other", "probabilities": [0.1, 0.2, 0.7]}])


def test_each_text_of_a_row_is_asked_and_their_vectors_stand_together(task):
    made = task("text_embedding")
    table = made_table(made, [{"text": "a", "text_pair": "b"}, {"text": "c", "text_pair": "d"}])
    assert list(made.questions(table)) == [{"text": text} for text in "abcd"]
    vectors = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    found = made.logits_of([{"embedding": vector.tolist()} for vector in vectors])
    np.testing.assert_array_equal(found, vectors.reshape(2, 2, 6))


def made_table(task: Task, rows: list[dict]):
    from kerasft.data.tables.table import Table

    return Table.from_rows(({**row, "where": "x:1"} for row in rows), task.schema())


def test_what_an_answer_leaves_out_shares_what_is_missing_to_1(task):
    answers = [{"label": "trade", "score": 0.6, "top_labels": ["trade", "sport"], "top_probabilities": [0.6, 0.3]}]
    made = task("single_label")
    np.testing.assert_allclose(softmax(made.logits_of(answers)), [[0.3, 0.6, 0.1]], atol=1e-6)
    with pytest.raises(UserError, match="answers with money, which data.train does not have"):
        made.logits_of([{**answers[0], "top_labels": ["money", "sport"]}])


@pytest.mark.parametrize(
    "answer, line",
    [
        ({"embedding": [0.1]}, "it answers with embedding, and not with probabilities of labels"),
        ({"relation": "a", "probabilities": [0.1, 0.8, 0.1]}, "relation, probabilities, and not with probabilities of"),
        ({"label": "a", "probabilities": [0.1], "chosen": [1]}, "it answers with several labels .chosen., and a text"),
        ({"label": "trade", "probabilities": [0.3, 0.8, 0.1]}, "have a sum of 1.20, not of 1"),
        ({"label": "trade", "probabilities": [0.3, float("nan"), 0.1]}, "is no number"),
        ({"label": "a", "top_labels": ["sport"], "top_probabilities": [float("nan")]}, "have a sum of nan, not of 1"),
        ({"label": "a", "top_labels": ["sport"], "top_probabilities": [1.2]}, "have a sum of 1.20, not of 1"),
        ({"label": "sport", "probabilities": [0.5, 0.5]}, "it has 2 labels, and data.train has 3"),
        (
            {"label": "sport", "probabilities": [0.1, 0.8, 0.1]},
            "an answer is sport, where trade would be the likeliest",
        ),
        (
            {"label": "money", "probabilities": [0.1, 0.8, 0.1]},
            "an answer is money, where trade would be the likeliest",
        ),
    ],
)
def test_other_answers_are_refused(task, answer, line):
    assert LABELS[:2] == ["sport", "trade"]
    with pytest.raises(UserError, match=line):
        task("single_label").logits_of([answer])
    several = task("multi_label")
    with pytest.raises(UserError, match="a text here has several labels"):
        several.logits_of([{"label": "sport", "probabilities": [0.1, 0.8, 0.1]}])
    with pytest.raises(UserError, match="the likeliest labels alone; set its task.top"):
        several.logits_of([{"label": "sport", "top_labels": ["sport"], "top_probabilities": [0.1], "count": 1}])
    with pytest.raises(UserError, match="has no number, value"):
        task("regression").logits_of([{"label": "sport"}])
    with pytest.raises(UserError, match="has no embedding"):
        task("text_embedding").logits_of([{"label": "sport"}])


SERVER = "http://127.0.0.1:1/v1/models/a"
PLAIN = {"name": "tiny", "model": {"preset": "preset"}}
LABELLED = {"task": {"name": "text_classification"}, "data": {"train": "a", "columns": {"text": "t", "label": "l"}}}
TAGGED = {"task": {"name": "token_classification"}, "data": {"train": "a", "columns": {"tokens": "t", "tags": "l"}}}


@pytest.mark.parametrize(
    "sections, keys, line",
    [
        (TAGGED, {}, "a server, whose answers for token_classification lack the probabilities behind them"),
        (LABELLED, {"hidden": 0.5}, "training.objective.hidden: .* gives answers alone; set it to 0"),
        (LABELLED, {"relations": 0.5}, "training.objective.relations: .* gives answers alone; set it to 0"),
        (LABELLED, {"teacher": "runs/a", "token_file": "f"}, "token_file: is for a teacher on a server; leave it null"),
        (LABELLED, {"ca": "f"}, "training.objective.ca: http://127.0.0.1:1/v1/models/a has no certificate"),
        (
            {**LABELLED, "augment": {"typos": {}}},
            {},
            "augment: changes the rows of train, and .* once",
        ),
    ],
)
def test_what_a_server_can_not_teach_is_refused(sections, keys, line):
    objective = {"name": "distillation", "teacher": SERVER, **keys}
    with pytest.raises(UserError, match=line):
        read_config({**PLAIN, **sections, "training": {"objective": objective}})


class Said:
    """A server of the single-label model that answers from memory, and counts what it is asked."""

    def __init__(self, answers: list[dict]):
        self.answers, self.asked = answers, 0

    def __call__(self, rows, total):
        for _, answer in zip(rows, self.answers):
            self.asked += 1
            yield answer


@pytest.fixture
def teacher(task):
    """Returns a function: answers and the folder of a run that goes on -> a teacher of three rows, and its server."""

    def make(answers: list[dict], kept=None, texts="abc") -> tuple[ServerTeacher, Said]:
        own, said = task("single_label"), Said(answers)
        made = ServerTeacher(Server(SERVER, said, kept), own)
        made.table = made_table(own, [{"text": text, "label": "sport"} for text in texts])
        return made, said

    return make


ANSWER = {"label": "trade", "probabilities": [0.1, 0.8, 0.1]}


def test_a_run_that_goes_on_has_the_answers_that_it_began_with(teacher, tmp_path):
    began, said = teacher([ANSWER, ANSWER, ANSWER])
    logits = began(None)
    assert said.asked == 1 + 3 and logits.shape == (3, 3)
    began.keep(tmp_path)
    goes_on, said = teacher([], tmp_path)
    np.testing.assert_array_equal(goes_on(None), logits)
    assert said.asked == 0
    other, said = teacher([ANSWER, ANSWER, ANSWER], tmp_path, "abd")  # of other rows it has none
    other(None)
    assert said.asked == 1 + 3


def test_another_number_of_answers_and_a_wrong_first_one_are_told(teacher):
    key = f"training.objective.teacher: {SERVER}: "
    with pytest.raises(UserError, match=f"{key}it gave 2 answers to 3 texts"):
        teacher([ANSWER, ANSWER])[0](None)
    with pytest.raises(UserError, match=f"{key}it gave 0 answers to 1 texts"):
        teacher([])[0](None)
    wrong, said = teacher([{"label": "a", "probabilities": [1.0]}] * 3)
    with pytest.raises(UserError, match=f"{key}it has 1 labels, and data.train has 3"):
        wrong(None)
    assert said.asked == 1


def test_a_run_keeps_the_answers_and_is_replayed_by_them(project, monkeypatch, capsys):
    from kerasft import session, train, verify

    asked = []

    def answers(rows, total):
        asked.extend(rows)
        yield from ({"label": "sport", "probabilities": [0.2, 0.8]} for _ in range(total))

    def served(config, task, terminal, kept=None):
        return Server(SERVER, answers, kept)

    for module in (session, verify):
        monkeypatch.setattr(module, "served_teacher", served)
    project(training={"epochs": None, "steps": 5, "checkpoint": {"every_steps": 2, "keep": 3}})
    objective = f"training.objective={{name: distillation, teacher: '{SERVER}'}}"
    assert train.main(["config.yaml", "export.enabled=false", objective]) == 0, capsys.readouterr().err
    assert len(asked) == 1 + 72 and Path("runs/tiny/teacher.npz").is_file()
    assert verify.main(["runs/tiny"]) == 0
    assert len(asked) == 1 + 72  # it was not asked again


def test_a_wrong_address_is_told_before_tensorflow_loads():
    code = (
        "import sys\nsys.modules['tensorflow'] = None\n"
        "import kerasft.inference.served_teacher, kerasft.training.objectives.server_teacher"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
