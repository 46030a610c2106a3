"""A teacher of texts runs in each step, on the tokens that the student reads."""

import numpy as np
import pytest
import tensorflow as tf
from support.packed_run import Run
from support.task_rows import configured, settings  # noqa: F401

from kerasft.config.distillation import DistillationConfig
from kerasft.errors import UserError
from kerasft.training.objectives.distillation import Distillation
from kerasft.training.objectives.run_teacher import taught
from kerasft.training.objectives.step_teacher import StepTeacher

WRITERS = ("answers to prompts", "outputs")


def log_softmax(values: np.ndarray) -> np.ndarray:
    values = values - values.max(-1, keepdims=True)
    return values - np.log(np.exp(values).sum(-1, keepdims=True))


@pytest.mark.parametrize("name", WRITERS)
def test_the_loss_is_the_papers_for_each_token_that_is_to_be_written(configured, name):  # noqa: F811
    one, other = (Run(configured(name, "pad")) for _ in range(2))
    one.model.set_weights(one.weights)
    inputs, targets, weights = one.rows.batch(np.arange(5))
    objective = Distillation(
        one.model, one.task, teacher=StepTeacher([other.model], [1.0], one.task), alpha=1.0, temperature=2.0
    )
    assert objective.beside_targets(one.rows) == {}
    batch = tf.nest.map_structure(tf.constant, (inputs, targets, weights))

    def loss_and_largest_gradient() -> tuple[float, float]:
        with tf.GradientTape() as tape:
            loss = objective.loss(*batch)
        found = tape.gradient(loss, one.model.trainable_variables)
        return float(loss), max(np.abs(tf.convert_to_tensor(each)).max() for each in found)

    teacher, logits = (log_softmax(run.model(inputs).numpy() / 2.0) for run in (other, one))
    each = 4 * -(np.exp(teacher) * logits).sum(-1)  # (rows, tokens)
    written = targets >= 0
    expected = ((each * written).sum(-1) / written.sum(-1) * weights).sum()
    loss, gradient = loss_and_largest_gradient()
    assert loss == pytest.approx(float(expected), rel=1e-5) and gradient > 1e-2
    assert not other.model.trainable_variables  # it is never learnt
    other.model.set_weights(one.weights)
    assert loss_and_largest_gradient()[1] < 1e-4


def test_several_teach_the_mean_of_their_probabilities(configured):  # noqa: F811
    runs = [Run(configured("answers to prompts", "pad")) for _ in range(2)]
    runs[1].model.set_weights(runs[1].weights)
    inputs, _, _ = runs[0].rows.batch(np.arange(3))
    joined = StepTeacher([run.model for run in runs], [0.25, 0.75], runs[0].task).logits(inputs).numpy()
    one, other = (np.exp(log_softmax(run.model(inputs).numpy())) for run in runs)
    np.testing.assert_allclose(np.exp(log_softmax(joined)), 0.25 * one + 0.75 * other, atol=1e-6)


def test_texts_that_share_a_row_have_no_such_teacher(configured, tmp_path, monkeypatch):  # noqa: F811
    from kerasft.training.objectives import run_teacher

    run = Run(configured("answers to prompts"))
    monkeypatch.setattr(run_teacher, "teaching_runs", lambda folder: [(run, 1.0)])
    section = DistillationConfig(name="distillation", teacher="runs/a")
    with pytest.raises(UserError, match="share a row with data.batching: pack, .* set data.batching to pad"):
        taught(section)(run.model, run.task)
    for key in ("hidden", "relations"):
        with pytest.raises(UserError, match=f"{key}: is for heads .* text_generation writes; set it to 0"):
            taught(section.model_copy(update={key: 0.5}))(run.model, run.task)


def test_a_teacher_that_reads_other_tokens_or_fewer_is_refused(configured, monkeypatch):  # noqa: F811
    from kerasft.training.objectives import run_teacher

    run = Run(configured("answers to prompts", "pad"))
    section = DistillationConfig(name="distillation", teacher="runs/a")

    def refused(line: str, **changes) -> None:
        """By a run of `changes` as the teacher."""
        other = Run(run.config.model_copy(update={"model": run.config.model.model_copy(update=changes)}))
        other.folder, other.load = "runs/a", lambda: other
        monkeypatch.setattr(run_teacher, "teaching_runs", lambda folder: [(other, 1.0)])
        with pytest.raises(UserError, match=f"training.objective.teacher: runs/a {line}"):
            taught(section)(run.model, run.task)

    refused("reads 100 tokens, and model.max_length is 128; set it to 100", max_length=100)
    bytewise = run.config.model.architecture.model_copy(update={"tokens": "bytes"})
    refused("has a table of .* tokens, and the student one of", architecture=bytewise)
    same = Run(run.config)
    same.folder, same.load = "runs/a", lambda: same
    same.task.generator.detokenizer.token_bytes[70] = b"xx"
    monkeypatch.setattr(run_teacher, "teaching_runs", lambda folder: [(same, 1.0)])
    with pytest.raises(UserError, match="runs/a has other tokens than the student"):
        taught(section)(run.model, run.task)
    seq2seq = Run(configured("outputs", "pad"))
    seq2seq.folder = "runs/a"
    monkeypatch.setattr(run_teacher, "teaching_runs", lambda folder: [(seq2seq, 1.0)])
    with pytest.raises(UserError, match="runs/a is of seq2seq; name a run of text_generation"):
        taught(section)(run.model, run.task)


def test_a_run_of_the_same_tokens_teaches(configured, monkeypatch):  # noqa: F811
    from kerasft.training.objectives import run_teacher

    run, other = (Run(configured("outputs", "pad")) for _ in range(2))
    other.folder, other.load = "runs/a", lambda: other
    monkeypatch.setattr(run_teacher, "teaching_runs", lambda folder: [(other, 1.0)])
    objective = taught(DistillationConfig(name="distillation", teacher="runs/a"))(run.model, run.task)
    inputs, targets, weights = tf.nest.map_structure(tf.constant, run.rows.batch(np.arange(2)))
    assert float(objective.loss(inputs, targets, weights)) > 0
