"""The temperature that is fitted on validation, and what it leaves as it is."""

import numpy as np
import pytest
import tensorflow as tf

from kerasft.config.schema import Config
from kerasft.evaluation.temperature import fit_temperature, log_loss
from kerasft.tasks.registry import create_task


def logits_and_targets(scale: float, rows: int = 2000):
    """Logits whose truth is drawn by the softmax of `logits / scale`."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (rows, 4))
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = np.array([random.choice(4, p=row) for row in chances])
    return (logits * scale).astype(np.float32), targets


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_the_temperature_undoes_a_scale(scale):
    logits, targets = logits_and_targets(scale)
    temperature = fit_temperature(targets, logits)
    assert temperature == pytest.approx(scale, rel=0.1) and temperature == float(np.float32(temperature))
    assert log_loss(targets, logits / temperature) < log_loss(targets, logits)
    assert fit_temperature(targets[:0], logits[:0]) == 1.0


def task_of(calibrate, **section):
    return create_task(
        Config.model_validate(
            {
                "name": "t",
                "task": {"name": "text_classification", **section},
                "model": {"preset": "x"},
                "data": {"train": "x", "columns": {"text": "t", "label": "l"}},
                "evaluation": {"calibrate": calibrate},
            }
        ),
        {"labels": list("abcd")},
    )


@pytest.mark.parametrize("scope", [None, {"label": "none", "max_accuracy_loss": 0.05}])
def test_served_and_measured_probabilities_are_the_same_and_no_label_changes(scope):
    logits, targets = logits_and_targets(4.0)
    plain, calibrated = task_of(None, out_of_scope=None).problem, task_of("temperature", out_of_scope=scope).problem
    calibrated.tune(targets, logits)
    assert calibrated.state["temperature"] == pytest.approx(4.0, rel=0.1)
    answer = {name: value.numpy() for name, value in calibrated.decode(tf.constant(logits)).items()}
    np.testing.assert_allclose(answer["probabilities"], calibrated.probabilities(logits), atol=1e-6)
    before, after = plain.metrics(targets, logits), calibrated.metrics(targets, logits)
    assert after["expected_calibration_error"] < 0.05 < before["expected_calibration_error"]
    assert after["before_calibration"]["expected_calibration_error"] == before["expected_calibration_error"]
    assert after["temperature"] == calibrated.state["temperature"] and "temperature" not in before
    best = [calibrated.names()[i] for i in calibrated.predictions(logits)]
    assert [label.decode() for label in answer["label"]] == best
    if scope is None:
        assert before["accuracy"] == after["accuracy"]


def test_without_it_nothing_changes_and_it_is_for_one_label():
    logits, targets = logits_and_targets(4.0, 50)
    problem = task_of(None).problem
    problem.tune(targets, logits)
    assert "temperature" not in problem.state
    np.testing.assert_array_equal(problem.decode(tf.constant(logits))["probabilities"], tf.nn.softmax(logits))
    with pytest.raises(ValueError, match=r"evaluation\.calibrate: temperature is for one label a text"):
        task_of("temperature", problem="regression")
