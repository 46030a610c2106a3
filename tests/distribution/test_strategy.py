import pytest

from kerasft.config.schema import Config
from kerasft.distribution.strategy import choose_strategy
from kerasft.errors import UserError
from kerasft.training.batches import check_batch


def config(batching="auto", **training) -> Config:
    return Config.model_validate(
        {
            "name": "t",
            "task": {"name": "masked_lm", "packing": "none"},
            "model": {"preset": "x", "max_length": 100},
            "data": {"train": "x", "columns": {"text": "text"}, "batching": batching},
            "training": training,
        }
    )


@pytest.mark.parametrize(
    ("batch", "parts", "replicas", "fix"),
    [(30, 1, 8, "use 24 or 32"), (3, 1, 8, "use 8"), (12, 4, 2, "use 8 or 16")],
)
def test_a_batch_that_does_not_divide_names_the_nearest_that_do(batch, parts, replicas, fix):
    with pytest.raises(UserError, match=fix):
        check_batch(config(batch_size=batch, gradient_accumulation=parts), replicas, static=False)


def test_a_batch_that_divides_passes():
    check_batch(config(batch_size=32, gradient_accumulation=4), 8, static=False)


def test_a_batch_of_tokens_is_cut_to_divide_where_it_has_room_and_is_a_number_of_rows_on_a_tpu():
    check_batch(config(tokens_per_batch=700, gradient_accumulation=2), 3, static=False)
    with pytest.raises(UserError, match="700 has no room for 8 rows of 100 tokens, .* 4 replicas x 2 .* use 800"):
        check_batch(config(tokens_per_batch=700, gradient_accumulation=2), 4, static=False)
    with pytest.raises(UserError, match="700 has no room for 7 rows of 104 tokens, .* use 728"):
        check_batch(config("pack", tokens_per_batch=700), 7, static=False)
    with pytest.raises(UserError, match="7 rows of model.max_length 100 do not divide over 2 .* use 600 or 800"):
        check_batch(config(tokens_per_batch=700), 2, static=True)


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
