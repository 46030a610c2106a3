import pytest

from kerasft.errors import UserError
from kerasft.training.strategy import check_batch, choose_strategy


@pytest.mark.parametrize(
    ("batch", "parts", "replicas", "mend"),
    [(30, 1, 8, "use 24 or 32"), (3, 1, 8, "use 8"), (12, 4, 2, "use 8 or 16")],
)
def test_a_batch_that_does_not_divide_names_the_nearest_that_do(batch, parts, replicas, mend):
    with pytest.raises(UserError, match=mend):
        check_batch(batch, parts, replicas)


def test_a_batch_that_divides_passes():
    check_batch(32, 4, 8)


@pytest.mark.parametrize(
    ("environment", "gpus", "devices", "expected"),
    [
        ({}, 0, None, "one_device"),
        ({}, 1, None, "one_device"),
        ({}, 4, None, "mirrored"),
        ({}, 4, 1, "one_device"),
        ({}, 0, 2, "mirrored"),
        ({"TPU_NAME": "local"}, 0, None, "tpu"),
    ],
)
def test_auto_goes_by_what_the_machine_has(monkeypatch, environment, gpus, devices, expected):
    for name in ("TF_CONFIG", "TPU_NAME", "TPU_ACCELERATOR_TYPE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert choose_strategy("auto", gpus, devices) == expected


def test_without_other_workers_multi_worker_is_what_the_machine_has():
    assert choose_strategy("multi_worker", 4, None) == "mirrored"
    assert choose_strategy("multi_worker", 0, None) == "one_device"


def test_a_named_strategy_is_taken_as_it_is():
    assert choose_strategy("mirrored", 0, None) == "mirrored"
