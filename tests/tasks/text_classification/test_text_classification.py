import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, softmax

from kerasft.config.schema import Config
from kerasft.data.sources.sources import Record
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.tasks.registry import create_task


def make_task(problem: str = "single_label", state=None, columns=None, task=None, **training):
    config = {
        "name": "t",
        "task": {"name": "text_classification", "problem": problem, **(task or {})},
        "model": {"preset": "x"},
        "data": {"train": "x", "columns": columns or {"text": "text", "label": "label"}},
        "training": training,
    }
    return create_task(Config.model_validate(config), state)


def table(task, labels, split="train"):
    records = [Record({"text": "t", "label": label}, f"{split}.csv:{i + 2}") for i, label in enumerate(labels)]
    return Table.from_rows([task.parse(record) for record in records], task.schema())


def test_labels_are_sorted_and_targets_are_their_indices():
    task = make_task()
    rows = table(task, ["b", "a", " b "])
    task.fit({"train": rows})
    assert task.state["labels"] == ["a", "b"]
    assert task.targets(rows).tolist() == [1, 0, 1]
    assert task.truth(task.targets(rows)[0]) == "b"


def test_configured_labels_keep_their_order_and_may_be_absent():
    task = make_task(task={"labels": ["z", "a", "m"]})
    task.fit({"train": table(task, ["a", "z"])})
    assert task.state["labels"] == ["z", "a", "m"]
    with pytest.raises(UserError, match="task.labels"):
        make_task(task={"labels": ["a", "b"]}).fit({"train": table(task, ["a", "z"])})


def test_numbers_and_booleans_of_json_are_labels_too():
    task = make_task()
    rows = table(task, [1, 0, True])
    assert rows.column("label") == ["1", "0", "True"]


def test_a_label_that_train_lacks_is_named_with_its_line():
    task = make_task()
    splits = {"train": table(task, ["a", "b"]), "test": table(task, ["a", "c", "c"], "test")}
    with pytest.raises(UserError, match=r"test.csv:3: the label 'c'.*1 more"):
        task.fit(splits)


def test_balanced_weights_are_those_of_scikit_learn():
    from sklearn.utils.class_weight import compute_sample_weight

    task = make_task(state={"labels": ["a", "b", "c"]}, class_weights="balanced")
    targets = np.asarray([0, 0, 0, 0, 1, 1, 2])
    expected = compute_sample_weight("balanced", targets)
    np.testing.assert_allclose(task.weights(targets), expected / expected.mean(), rtol=1e-6)
    named = make_task(state={"labels": ["a", "b"]}, class_weights={"a": 3.0})
    np.testing.assert_allclose(named.weights(np.asarray([0, 1])), [1.5, 0.5])
    with pytest.raises(UserError, match="class_weights.x"):
        make_task(state={"labels": ["a", "b"]}, class_weights={"x": 3.0}).weights(np.asarray([0]))


def test_smoothed_loss_is_that_of_keras():
    import keras

    random = np.random.default_rng(0)
    targets, logits = random.integers(0, 4, 9).astype(np.int32), random.normal(size=(9, 4)).astype(np.float32)
    task = make_task(state={"labels": list("abcd")}, label_smoothing=0.1)
    expected = keras.losses.CategoricalCrossentropy(True, label_smoothing=0.1, reduction=None)(
        tf.one_hot(targets, 4), logits
    )
    np.testing.assert_allclose(task.loss(targets, logits), expected, rtol=1e-5)


def test_single_label_answers():
    task = make_task(state={"labels": ["a", "b"]})
    logits = np.asarray([[0.0, 2.0], [1.0, -1.0]], np.float32)
    rows = task.rows({k: v.numpy() for k, v in task.decode(tf.constant(logits), {}).items()})
    assert [row["label"] for row in rows] == ["b", "a"]
    assert rows[0]["score"] == pytest.approx(softmax(logits[0])[1])
    assert rows[1]["probabilities"] == pytest.approx({"a": softmax(logits[1])[0], "b": softmax(logits[1])[1]})


def test_multi_label_thresholds_are_tuned_and_used():
    task = make_task("multi_label")
    rows = table(task, ["a|b", "a", "", ["b"]])
    task.fit({"train": rows})
    assert task.targets(rows).tolist() == [[1, 1], [1, 0], [0, 0], [0, 1]]
    random = np.random.default_rng(0)
    targets = (random.random((400, 2)) < 0.3).astype(np.float32)
    logits = (targets * 2.0 - 3.0 + random.normal(scale=0.3, size=targets.shape)).astype(np.float32)
    task.problem.tune(targets, logits)  # all scores are far below 0.5, so only a tuned threshold finds anything
    answers = task.rows({k: v.numpy() for k, v in task.decode(tf.constant(logits), {}).items()})
    found = np.asarray([["a" in answer["labels"], "b" in answer["labels"]] for answer in answers])
    assert (found == targets).mean() > 0.98
    assert task.problem.metrics(targets, logits)["macro_f1"] > 0.97
    assert answers[0]["probabilities"]["a"] == pytest.approx(expit(logits[0, 0]), rel=1e-5)


def test_regression_is_learnt_on_a_standard_scale_and_answered_on_its_own():
    task = make_task("regression")
    rows = table(task, [1.0, "3", 5])
    task.fit({"train": rows})
    assert task.state == {"mean": 3.0, "deviation": pytest.approx(1.632993)}
    logits = (task.targets(rows)[:, None] - 3.0) / task.state["deviation"]
    np.testing.assert_allclose(task.loss(task.targets(rows), tf.constant(logits, tf.float32)), 0.0, atol=1e-10)
    answers = task.rows({"value": task.decode(tf.constant(logits, tf.float32), {})["value"].numpy()})
    assert [answer["value"] for answer in answers] == pytest.approx([1.0, 3.0, 5.0])


@pytest.mark.parametrize(
    ("problem", "value"),
    [("regression", "high"), ("regression", None), ("regression", float("nan")), ("regression", True),
     ("single_label", None), ("single_label", ["a", "b"]), ("multi_label", 3), ("multi_label", [None])],
)  # fmt: skip
def test_a_label_of_the_wrong_kind_names_its_line(problem, value):
    task = make_task(problem)
    with pytest.raises(UserError, match=r"data.csv:7: .*label"):
        task.parse(Record({"text": "t", "label": value}, "data.csv:7"))


def test_early_stopping_on_an_unknown_metric_is_refused_with_those_there_are():
    with pytest.raises(UserError, match=r"early_stopping.metric: 'f2'.*macro_f1"):
        make_task(early_stopping={"metric": "f2"}).check_config()
    make_task(early_stopping={"metric": "log_loss"}).check_config()


@pytest.mark.parametrize("problem", ["single_label", "multi_label", "regression"])
def test_every_metric_a_run_can_be_chosen_by_is_measured(problem):
    random = np.random.default_rng(0)
    task = make_task(problem, {"labels": ["a", "b"], "thresholds": [0.5, 0.5], "mean": 0.0, "deviation": 1.0})
    targets = {
        "single_label": random.integers(0, 2, 30).astype(np.int32),
        "multi_label": random.integers(0, 2, (30, 2)).astype(np.float32),
        "regression": random.normal(size=30).astype(np.float32),
    }[problem]
    logits = random.normal(size=(30, 1 if problem == "regression" else 2)).astype(np.float32)
    measured = task.problem.metrics(targets, logits)
    for name in (task.headline, *task.rising, *task.falling):
        assert isinstance(measured[name], float), name
    interval = task.problem.interval(targets, logits)
    assert interval["low"] <= measured[task.headline] <= interval["high"]


@pytest.mark.parametrize("cell", ["['a', 'b']", '["a", "b"]', "['a' 'b']", " a| b \u200b", "('b', 'a')"])
def test_labels_of_a_cell_are_read_however_a_program_wrote_the_list(cell):
    assert make_task("multi_label").problem.parse(cell, "f.csv:2") == ["a", "b"]


def test_no_label_is_none_of_several():
    assert [make_task("multi_label").problem.parse(cell, "f:2") for cell in ("", " ", "[]", [])] == [[]] * 4


@pytest.mark.parametrize("value", [[""], ["a", None], [float("nan")], "['a', b]", "[a, b]", [["a"]], {"a": 1}])
def test_labels_that_are_none_are_refused(value):
    with pytest.raises(UserError, match="f.csv:2: .*label"):
        make_task("multi_label").problem.parse(value, "f.csv:2")


@pytest.mark.parametrize("value", [float("nan"), b"\xff", "", "\u200b", "[]", [["a"]], '["a", "b"]'])
def test_a_label_that_is_none_is_refused(value):
    with pytest.raises(UserError, match="f.csv:2: the label is"):
        make_task().problem.parse(value, "f.csv:2")


def test_weights_that_let_nothing_be_learnt_are_refused_with_the_data():
    task = make_task(class_weights={"a": 0, "b": 0.0})
    with pytest.raises(UserError, match="training.class_weights: every label has the weight 0"):
        task.fit({"train": table(task, ["a", "b"])})
    task = make_task(class_weights={"a": 0, "b": 0}, task={"labels": ["a", "b", "c"]})
    rows = table(task, ["a", "b"])
    task.fit({"train": rows})
    with pytest.raises(UserError, match="training.class_weights: every row of data.train has the weight 0"):
        task.weights(task.targets(rows))


def answers(task, logits):
    return task.rows({name: value.numpy() for name, value in task.decode(tf.constant(logits), {}).items()})


MANY = [f"class {number}" for number in range(300)]


@pytest.mark.parametrize(("top", "kept"), [(None, 20), (3, 3), (300, 300)])
def test_an_answer_of_many_labels_has_the_likeliest(top, kept):
    task = make_task(state={"labels": MANY}, task={"top": top})
    logits = np.random.default_rng(0).normal(size=(4, 300)).astype(np.float32)
    for row, each in zip(answers(task, logits), softmax(logits, axis=1)):
        best = [MANY[place] for place in np.argsort(-each)[:kept]]
        assert sorted(row["probabilities"], key=lambda name: -row["probabilities"][name]) == best
        assert row["label"] == best[0] and row["probabilities"][best[0]] == pytest.approx(row["score"])
    old = {"label": np.array([b"class 0"] * 4), "score": np.ones(4), "probabilities": softmax(logits, axis=1)}
    assert [len(row["probabilities"]) for row in task.rows(old)] == [kept] * 4  # an export from before there was `top`


def test_an_answer_of_many_labels_has_all_that_are_chosen():
    task = make_task("multi_label", {"labels": MANY, "thresholds": [0.9] * 300})
    logits = np.full((3, 300), -5.0, np.float32)
    logits[0, 40:100], logits[1, 7] = 5.0, 4.0
    rows = answers(task, logits)
    assert [row["labels"] for row in rows] == [MANY[40:100], ["class 7"], []]
    assert len(rows[0]["probabilities"]) == 60 and len(rows[2]["probabilities"]) == 20
    assert rows[1]["probabilities"]["class 7"] == pytest.approx(expit(4.0))
    wrong = task.problem.mistake(rows[1] | {"truth": ["class 9"]})
    assert wrong == {"prediction": ["class 7"], "score": pytest.approx(expit(5.0), rel=1e-4)}


def test_top_is_for_labels():
    with pytest.raises(ValueError, match="task.top: 3 is for problems with labels"):
        make_task("regression", task={"top": 3})


@pytest.mark.parametrize("value", [["a"], "['a']", '[ "a " ]'])
def test_a_list_of_one_label_is_that_label(value):
    assert make_task().problem.parse(value, "f:2") == "a"
