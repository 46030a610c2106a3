"""LwF, EWC, L2-SP and DER++ are what their papers write, by hand on one layer; the analytic head is a ridge one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.config.schema import Config
from kerasft.continual.memory.ridge import RidgeSums
from kerasft.continual.methods.analytic_objective import AnalyticObjective, PrototypesObjective, fitted_factor
from kerasft.continual.methods.fisher import fisher_information
from kerasft.continual.methods.old_answers import OldAnswers
from kerasft.continual.methods.orthogonal import Orthogonal
from kerasft.continual.methods.penalty import Anchored, grown, uniform
from kerasft.continual.methods.stored_logits import StoredLogits
from kerasft.data.prepared.beside import PREFIX
from kerasft.errors import UserError
from kerasft.models.heads.text_classifier import RandomFeatures
from kerasft.tasks.registry import create_task
from kerasft.training.objectives.task_loss import TaskLoss

VECTORS = np.array([[1.0, 2.0], [0.5, -1.0], [3.0, 0.0]], np.float32)
TARGETS, WEIGHTS = np.array([0, 2, 1]), np.array([1.0, 2.0, 0.0], np.float32)  # the last only fills the batch up
KERNEL, BIAS = np.array([[0.5, -0.5, 0.2], [1.0, 0.25, -0.3]]), np.array([0.1, -0.2, 0.0])
LABELS = ["a", "b", "c"]
DEVICE = tf.distribute.OneDeviceStrategy("/cpu:0")


def task_of():
    config = {
        "name": "t", "task": {"name": "text_classification"}, "model": {"preset": "x"},
        "data": {"train": "x", "columns": {"text": "text", "label": "label"}},
    }  # fmt: skip
    return create_task(Config.model_validate(config), {"labels": LABELS})


def one_layer() -> keras.Model:
    inputs = {"vector": keras.Input((2,), name="vector")}
    dense = keras.layers.Dense(3, name="classifier")
    model = keras.Model(inputs, dense(inputs["vector"]))
    dense.set_weights([KERNEL, BIAS])
    return model


def loss_of(objective, **beside) -> float:
    inputs = {"vector": tf.constant(VECTORS)} | {PREFIX + name: tf.constant(value) for name, value in beside.items()}
    return float(objective.loss(inputs, tf.constant(TARGETS), tf.constant(WEIGHTS)))


def log_softmax(values):
    return values - np.log(np.exp(values).sum(-1, keepdims=True))


LOGITS = VECTORS @ KERNEL + BIAS
HARD = -log_softmax(LOGITS)[np.arange(3), TARGETS]


class Rows:
    """Rows of vectors as a prepared split has them."""

    targets, token_targets = TARGETS, False

    def __len__(self):
        return len(VECTORS)

    def batch(self, rows):
        return {"vector": VECTORS[rows]}, TARGETS[rows], WEIGHTS[rows]


def test_lwf_is_the_papers_with_the_square_of_the_temperature():
    old = np.array([[2.0, 0.0], [-1.0, 1.0], [0.0, 0.0]], np.float32)
    objective = OldAnswers(one_layer(), task_of(), old=2, strength=0.7, temperature=2.0)
    soft = -(np.exp(log_softmax(old / 2)) * log_softmax(LOGITS[:, :2] / 2)).sum(-1)
    expected = (WEIGHTS * (HARD + 0.7 * 4 * soft)).sum()
    assert loss_of(objective, old=old) == pytest.approx(expected, rel=1e-6)


def test_lwf_does_not_move_old_logits_at_the_start_of_a_stage():
    model = one_layer()
    objective = OldAnswers(model, task_of(), old=2, strength=1.0, temperature=2.0)
    old = LOGITS[:, :2].astype(np.float32)
    inputs = {"vector": tf.constant(VECTORS), PREFIX + "old": tf.constant(old)}
    arguments = inputs, tf.constant(TARGETS), tf.constant(WEIGHTS)
    with tf.GradientTape(persistent=True) as tape:
        both, plain = objective.loss(*arguments), TaskLoss(model, objective.task).loss(*arguments)
    kernel = model.trainable_variables[0].value
    np.testing.assert_allclose(tape.gradient(both, kernel), tape.gradient(plain, kernel), atol=1e-6)


def test_derpp_compares_the_stored_logits_of_the_classes_known_then():
    stored = np.array([[0, 0], [1.0, -2.0], [0.5, 9.0]], np.float32)
    known = np.array([[0, 0], [1, 1], [1, 0]], np.float32)
    labels, distance = np.array([1.0, 0.0, 0.3], np.float32), np.array([0.0, 0.6, 0.6], np.float32)
    weights = np.array([1.0, 2.0, 1.0], np.float32)
    objective = StoredLogits(one_layer(), task_of(), beside={})
    inputs = {"vector": VECTORS, "stored": stored, "known": known, "labels": labels, "distance": distance}
    inputs = {name if name == "vector" else PREFIX + name: tf.constant(value) for name, value in inputs.items()}
    found = float(objective.loss(inputs, tf.constant(TARGETS), tf.constant(weights)))
    squares = np.array([0.0, ((stored[1] - LOGITS[1, :2]) ** 2).mean(), (stored[2, 0] - LOGITS[2, 0]) ** 2])
    assert found == pytest.approx((weights * (labels * HARD + distance * squares)).sum(), rel=1e-5)


def test_ewc_is_half_lambda_times_the_weighted_squares_once_a_step():
    model, fisher = (
        one_layer(),
        {"classifier/kernel": np.full((2, 3), 0.5), "classifier/bias": np.array([1.0, 2.0, 0.0])},
    )
    objective = Anchored(model, task_of(), strength=3.0, weights=fisher)
    plain = loss_of(objective)
    assert plain == pytest.approx((WEIGHTS * HARD).sum(), rel=1e-6)  # nothing has left its place
    moved = BIAS + [0.1, -0.2, 5.0]
    model.get_layer("classifier").set_weights([KERNEL + 0.4, moved])
    penalty = 3.0 / 2 * (6 * 0.5 * 0.4**2 + 1.0 * 0.1**2 + 2.0 * 0.2**2)
    assert float(objective.penalty()) == pytest.approx(penalty, rel=1e-5)
    without = Anchored(model, task_of(), strength=0.0, weights=fisher)
    assert loss_of(objective) == pytest.approx(
        loss_of(without) + 3.0 * penalty, rel=1e-5
    )  # 3: the weights of the batch
    assert loss_of(without) == loss_of(TaskLoss(model, task_of()))


def test_l2sp_leaves_the_columns_of_new_classes_free():
    weights = uniform(one_layer(), old=2)
    assert weights["classifier/kernel"].tolist() == [[1, 1, 0], [1, 1, 0]]
    assert weights["classifier/bias"].tolist() == [1, 1, 0]


def test_fisher_information_of_a_new_class_is_zero():
    old = {"classifier/kernel": np.ones((2, 2)), "classifier/bias": np.ones(2)}
    values = grown("fisher.npz", old, one_layer())
    assert values["classifier/kernel"].tolist() == [[1, 1, 0], [1, 1, 0]]
    with pytest.raises(UserError, match="classifier/kernel is of another model"):
        grown("fisher.npz", {"classifier/kernel": np.ones((3, 2))}, one_layer())


def test_the_fisher_information_of_a_softmax_is_the_closed_form():
    """Of single rows: E_y (p - y)(p - y) x^2 with the label's own y is the empirical form."""
    found = fisher_information(one_layer(), Rows(), 3, 0, drawn=False)
    errors = np.exp(log_softmax(LOGITS)) - np.eye(3)[TARGETS]  # (rows, classes)
    np.testing.assert_allclose(found["classifier/bias"], (errors**2).mean(0), rtol=1e-5)
    expected = (VECTORS[:, :, None] ** 2 * errors[:, None, :] ** 2).mean(0)
    np.testing.assert_allclose(found["classifier/kernel"], expected, rtol=1e-5)


def test_the_true_fisher_information_draws_labels_from_the_model():
    model, rows = one_layer(), Rows()
    found = np.mean([fisher_information(model, rows, 3, seed)["classifier/bias"] for seed in range(60)], 0)
    p = np.exp(log_softmax(LOGITS))
    np.testing.assert_allclose(found, (p * (1 - p)).mean(0), rtol=0.25)
    assert (fisher_information(model, rows, 2, 5)["classifier/bias"]
            == fisher_information(model, rows, 2, 5)["classifier/bias"]).all()  # fmt: skip


def analytic_model() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = {"vector": keras.Input((2,), name="vector")}
    features = RandomFeatures(16, seed=3)(inputs["vector"])
    return keras.Model(inputs, keras.layers.Dense(3, name="classifier")(features))


def test_the_analytic_head_gives_what_numpy_gives(monkeypatch):
    """Through the graph: unit vectors, the random features, one ridge solve, and the factor of validation."""
    vectors = np.random.default_rng(0).normal(size=(90, 2)).astype(np.float32)
    targets = (np.arctan2(*vectors.T) // 2.1 + 2).astype(int) % 3

    class Split:
        def __init__(self):
            self.targets = targets

    model = analytic_model()
    objective = AnalyticObjective(model, task_of(), None, ridge=1e-3)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    class Vectors:
        def __init__(self, part, strategy, size):
            self.logits = lambda split: part.predict({"vector": vectors}, verbose=0)

    monkeypatch.setattr("kerasft.continual.methods.analytic_objective.Evaluator", Vectors)
    assert objective.solve(Split(), Split(), DEVICE)
    phi = np.maximum(unit @ keras.ops.convert_to_numpy(model.get_layer("random_features").kernel), 0).astype(float)
    sums = RidgeSums.empty("", 16)
    sums.grow(LABELS)
    sums.add(phi, targets)
    scores = phi @ sums.solve(1e-3)
    factor = fitted_factor(scores, targets)
    found = keras.ops.convert_to_numpy(model({"vector": vectors}))
    np.testing.assert_allclose(found, factor * scores, rtol=1e-3, atol=1e-3)
    assert (found.argmax(1) == targets).mean() > 0.9 and not model.get_layer("random_features").trainable_variables


def test_prototypes_are_the_directions_of_class_means(monkeypatch):
    vectors = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    targets = np.arange(30) % 3

    class Split:
        def __init__(self):
            self.targets = targets

    class Vectors:
        def __init__(self, part, strategy, size):
            self.logits = lambda split: part.predict({"vector": vectors}, verbose=0)

    model = one_layer()
    objective = PrototypesObjective(model, task_of(), None)
    monkeypatch.setattr("kerasft.continual.methods.analytic_objective.Evaluator", Vectors)
    assert objective.solve(Split(), Split(), DEVICE)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    means = np.stack([units[targets == label].mean(0) for label in range(3)])
    cosines = units @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T
    found = keras.ops.convert_to_numpy(model({"vector": units}))
    assert (found.argmax(1) == cosines.argmax(1)).all()
    factor = fitted_factor(cosines, targets)
    np.testing.assert_allclose(found, factor * cosines, rtol=1e-3, atol=1e-3)


def test_the_factor_is_the_one_of_the_smallest_log_loss():
    random = np.random.default_rng(0)
    targets = random.integers(0, 4, 400)
    scores = np.eye(4)[targets] * 0.3 + random.normal(0, 0.3, (400, 4))
    best = fitted_factor(scores, targets)

    def log_loss(factor):
        return -log_softmax(factor * scores)[np.arange(400), targets].mean()

    assert log_loss(best) <= min(log_loss(best * 1.05), log_loss(best / 1.05))


def test_o_lora_is_the_papers_penalty_and_zero_for_orthogonal_directions():
    class WithPair(keras.layers.Dense):
        def build(self, shape):
            self.a = self.add_weight(shape=(2, 1), name="layer.lora_A")
            super().build(shape)

    inputs = {"vector": keras.Input((2,), name="vector")}
    layer = WithPair(3, name="classifier")
    model = keras.Model(inputs, layer(inputs["vector"]))
    a = layer.a
    earlier = {"layer.lora_A": np.array([[1.0, 0.0], [0.0, 2.0]])}
    objective = Orthogonal(model, task_of(), strength=0.5, earlier=earlier, seed=[0, 1])
    assert np.abs(keras.ops.convert_to_numpy(a)).max() <= 1 / np.sqrt(2)
    a.assign([[0.3], [-0.4]])
    assert float(objective.penalty()) == pytest.approx(0.5 * (0.3 + 0.8))
    np.testing.assert_allclose(objective.directions()["layer.lora_A"], [[1.0, 0.0, 0.3], [0.0, 2.0, -0.4]], rtol=1e-6)
    objective = Orthogonal(
        model, task_of(), strength=0.5, earlier={"layer.lora_A": np.array([[0.0], [1.0]])}, seed=[0, 1]
    )
    a.assign([[0.7], [0.0]])
    assert float(objective.penalty()) == 0.0
