"""Distillation is what Hinton et al. write, and the same in every kind of batch."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.packed_run import Run, assert_same
from support.rarely import rarely
from support.task_rows import SLOW, TASKS

from kerasft.config.schema import Config
from kerasft.data.prepared.beside import PREFIX
from kerasft.errors import UserError
from kerasft.tasks.registry import create_task
from kerasft.training.objectives.distillation import Distillation
from kerasft.training.objectives.task_loss import TaskLoss

VECTORS = np.array([[1.0, 2.0], [0.5, -1.0], [3.0, 0.0]], np.float32)
TEACHER = np.array([[2.0, 0.0], [-1.0, 1.0], [0.0, 0.0]], np.float32)
TARGETS, WEIGHTS = np.array([0, 1, 1]), np.array([1.0, 2.0, 0.0], np.float32)  # the last only fills the batch up
COLUMNS = {"text": "text", "label": "label"}


def task_of(columns=COLUMNS, state=None, **section):
    config = {"name": "t", "task": section, "model": {"preset": "x"}, "data": {"train": "x", "columns": columns}}
    return create_task(Config.model_validate(config), state)


def one_layer() -> keras.Model:
    inputs = {"vector": keras.Input((2,), name="vector")}
    dense = keras.layers.Dense(2, name="classifier")
    model = keras.Model(inputs, dense(inputs["vector"]))
    dense.set_weights([np.array([[0.5, -0.5], [1.0, 0.25]]), np.array([0.1, -0.2])])
    return model


def made(model, **settings) -> Distillation:
    task = task_of(name="text_classification", state={"labels": ["a", "b"]})
    return Distillation(model, task, teacher=lambda train: TEACHER, **settings)


def batch(teacher=TEACHER):
    inputs = {"vector": tf.constant(VECTORS), PREFIX + "teacher": tf.constant(teacher)}
    return inputs, tf.constant(TARGETS), tf.constant(WEIGHTS)


def log_softmax(values):
    return values - np.log(np.exp(values).sum(-1, keepdims=True))


def test_the_loss_is_the_papers():
    found = made(one_layer(), alpha=0.75, temperature=2.0).loss(*batch())
    logits = VECTORS @ [[0.5, -0.5], [1.0, 0.25]] + [0.1, -0.2]
    hard = -log_softmax(logits)[np.arange(3), TARGETS]
    soft = -(np.exp(log_softmax(TEACHER / 2)) * log_softmax(logits / 2)).sum(-1)
    assert float(found) == pytest.approx(float((WEIGHTS * (0.25 * hard + 0.75 * 4 * soft)).sum()), rel=1e-6)


def test_a_text_without_a_label_has_the_teachers_loss_alone():
    labelled = np.array([1.0, 0.0, 1.0], np.float32)
    inputs, targets, weights = batch()
    inputs[PREFIX + "labelled"] = tf.constant(labelled)
    found = made(one_layer(), alpha=0.75, temperature=2.0).loss(inputs, targets, weights)
    logits = VECTORS @ [[0.5, -0.5], [1.0, 0.25]] + [0.1, -0.2]
    hard = -log_softmax(logits)[np.arange(3), TARGETS]
    soft = 4 * -(np.exp(log_softmax(TEACHER / 2)) * log_softmax(logits / 2)).sum(-1)
    each = np.where(labelled == 1, 0.25 * hard + 0.75 * soft, soft)
    assert float(found) == pytest.approx(float((WEIGHTS * each).sum()), rel=1e-6)


def test_without_a_share_of_the_teacher_it_is_the_tasks_loss_bit_for_bit():
    model = one_layer()
    objective = made(model, alpha=0.0)
    plain = TaskLoss(model, objective.task)
    assert float(objective.loss(*batch())) == float(plain.loss(*batch())) != float(made(model).loss(*batch()))


def test_a_teacher_that_is_the_student_has_no_gradient():
    model = one_layer()
    objective = made(model, alpha=1.0, temperature=3.0)

    def largest(teacher):
        with tf.GradientTape() as tape:
            loss = objective.loss(*batch(teacher))
        return max(np.abs(gradient).max() for gradient in tape.gradient(loss, model.trainable_variables))

    assert largest(model({"vector": VECTORS}).numpy()) < 1e-5 < 1e-2 < largest(TEACHER)


def relations_of(teacher: keras.Model, student: keras.Model) -> tuple[float, float]:
    """The distance of a student's relations, and the largest of its gradients; the last text is padded."""
    from kerasft.training.objectives.relations import Relations, Teacher

    random = np.random.default_rng(0)
    features: dict[str, np.ndarray] = {name: np.ones((3, 7), np.int32) for name in student.input}
    features |= {"token_ids": random.integers(5, 60, (3, 7)), "segment_ids": np.zeros((3, 7), np.int32)}
    features["padding_mask"][2, 4:] = 0
    inputs = {name: tf.constant(values) for name, values in features.items()}
    relations = Relations(student)
    vectors = keras.Model(student.inputs, relations.vectors)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(Teacher(teacher).distance(relations, vectors(inputs), inputs))
    # What lies above the highest layer's attention has none.
    gradients = [each for each in tape.gradient(loss, student.trainable_variables) if each is not None]
    # What stands behind a text is of no matter.
    inputs["token_ids"] = tf.where(inputs["padding_mask"] == 1, inputs["token_ids"], 3)
    again = tf.reduce_sum(Teacher(teacher).distance(relations, vectors(inputs), inputs))
    assert float(again) == pytest.approx(float(loss), abs=1e-5)
    return float(loss), max(float(tf.reduce_max(tf.abs(tf.convert_to_tensor(each)))) for each in gradients)


def test_relations_of_the_teacher_itself_have_no_gradient_and_those_of_another_have(tiny_bert):
    from kerasft.models.heads.text_classifier import build_classifier
    from kerasft.models.presets.fewer_layers import fewer_layers

    backbone = tiny_bert()
    for weight in backbone.weights:
        weight.assign(weight + 0.4 * keras.random.normal(weight.shape, seed=1))
    teacher = build_classifier(backbone, 2, pooling="cls")
    loss, gradient = relations_of(teacher, build_classifier(fewer_layers(backbone, [0, 1]), 2, pooling="cls"))
    assert abs(loss) < 1e-5 and gradient < 1e-5
    loss, gradient = relations_of(teacher, build_classifier(fewer_layers(backbone, [0]), 2, pooling="cls"))
    assert loss > 1e-3 and gradient > 1e-4


@pytest.mark.parametrize("name", rarely("a label", "tags"))
def test_every_kind_of_batch_has_the_same_loss_and_gradient(settings, mirrored, name):
    def teacher(train):
        size, classes = (len(train.targets), 2) if name == "a label" else (len(train.targets), 5)
        return np.random.default_rng(5).normal(size=(size, classes))

    objective = functools.partial(Distillation, teacher=teacher, alpha=0.9)
    run = Run(settings(*TASKS[name], **SLOW), objective=objective)
    plain = run.trained(packs=False, steps=3)  # the third batch has fewer rows
    assert_same(plain, run.trained(steps=3, gradient_accumulation=2, parallel_microbatches=2))
    if name == "a label":
        assert_same(plain, run.trained(steps=3, static=True))
        assert_same(plain, Run(settings(**SLOW), mirrored, objective).trained(steps=3))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"alpha": 1.5}, "alpha is 1.5; use 0 to 1"),
        ({"temperature": 0.0}, "temperature is 0.0; use a number above 0"),
    ],
)
def test_numbers_out_of_range_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        made(one_layer(), **settings)


def test_a_teacher_of_other_classes_is_refused():
    objective = made(one_layer())
    objective.teacher = lambda train: np.zeros((3, 4))
    with pytest.raises(UserError, match=r"shape \(3, 4\), and the model has 2 classes"):
        objective.beside_targets(None)


OTHERS = {
    "several labels": ({"problem": "multi_label"}, {"labels": ["a", "b"]}, [[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]),
    "a number": ({"problem": "regression"}, {"mean": 0.0, "deviation": 1.0}, [0.5, 1.0, 2.0]),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_outputs_are_compared_by_their_tasks_own_measure(kind):
    section, state, targets = OTHERS[kind]
    task, model = task_of(name="text_classification", state=state, **section), one_layer()
    if kind == "a number":
        model = keras.Model(model.inputs, model.output[:, :1])
    objective = Distillation(model, task, teacher=lambda train: TEACHER, alpha=1.0)

    def loss_and_largest_gradient(teacher):
        inputs = {"vector": tf.constant(VECTORS), PREFIX + "teacher": tf.constant(teacher)}
        with tf.GradientTape() as tape:
            loss = objective.loss(inputs, tf.constant(targets), tf.constant(WEIGHTS))
        return float(loss), max(np.abs(each).max() for each in tape.gradient(loss, model.trainable_variables))

    own = model({"vector": VECTORS}).numpy()
    assert loss_and_largest_gradient(own) == (0.0, 0.0)
    loss, gradient = loss_and_largest_gradient(TEACHER[:, : own.shape[1]])
    assert loss > 0.1 and gradient > 0.01


def test_the_vectors_that_the_heads_read_are_compared():
    task = task_of(name="text_classification", state={"labels": ["a", "b"]})
    inputs = {"vector": keras.Input((2,), name="vector")}
    hidden = keras.layers.Dense(3, name="pooler")(inputs["vector"])
    model = keras.Model(inputs, keras.layers.Dense(2, name="classifier")(hidden))
    objective = Distillation(model, task, teacher=lambda train: TEACHER, alpha=0.0, hidden=0.5)
    vectors = np.ones((3, 3), np.float32)
    beside, targets, weights = batch()
    found = objective.loss({**beside, PREFIX + "teacher_vectors": tf.constant(vectors)}, targets, weights)
    own = keras.Model(model.inputs, hidden)({"vector": VECTORS}).numpy()
    expected = float((WEIGHTS * np.square(own - vectors).mean(-1)).sum())
    plain = float(TaskLoss(model, task).loss({"vector": tf.constant(VECTORS)}, targets, weights))
    assert float(found) == pytest.approx(plain + 0.5 * expected, rel=1e-5)


CHAIN = {"columns": {"tokens": "t", "tags": "g"}, "state": {"labels": ["a"]}, "name": "token_classification"}


@pytest.mark.parametrize(
    "task, message",
    [
        (CHAIN | {"crf": True}, "can't be compared with a teacher's"),
        ({"columns": {"text": "text"}, "name": "text_generation"}, "as wide as a vocabulary .* give a StepTeacher"),
    ],
)
def test_a_task_whose_outputs_can_not_be_compared_is_refused(task, message):
    with pytest.raises(UserError, match=message):
        Distillation(one_layer(), task_of(**task), teacher=lambda train: TEACHER)
