import dataclasses
import json

import pytest

from kerasft.accelerators.bounds import Refused
from kerasft.accelerators.chips import GIB
from kerasft.accelerators.report import Shape, duration, gib
from kerasft.data.batching.pack_plan import Filling


def too_large(report):
    """Its training would take more than the chip has."""
    outcome = dataclasses.replace(report.training.outcome, temporary_bytes=20 * GIB)
    return dataclasses.replace(report, training=dataclasses.replace(report.training, outcome=outcome))


def test_what_fits_needs_no_advice(small_report):
    report = small_report(price=1.2)
    assert report.fits
    assert report.advice() == []
    shown = report.as_json()
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown
    assert shown["shapes"][0]["total_bytes"] == report.training.outcome.total_bytes
    assert shown["lower_bound_cost"] == pytest.approx(report.bounds().cost)
    assert "cost" not in shown["lower_bound_seconds"]


def test_bounds_are_called_bounds(small_report):
    lines = "\n".join(small_report(price=1.2).lines())
    assert "lower bounds, from published peaks; real times are longer: step 250 ms" in lines
    assert "cost: at least 0.0669 at 1.2 a chip-hour" in lines
    assert "each of 8 chips sends" in lines


def test_packing_is_told_where_there_is_any(small_report):
    assert small_report().as_json()["packing"] is None
    report = small_report(packing=Filling(texts=32, rows=7, length=80, padding=0.07, padding_alone=0.75))
    said = "packing: 32 texts share 7 rows of 80 tokens; padding is 7.0% of them, and would be 75.0% without"
    assert said in report.lines()
    assert report.as_json()["packing"]["rows"] == 7


def test_advice_names_the_keys_that_help(small_report, small_config):
    report = too_large(small_report())
    assert not report.fits
    assert [line.split(":")[0] for line in report.advice()] == [
        "training.batch_size",
        "training.gradient_accumulation",
        "training.rematerialize",
        "model.max_length",
        "training.precision",
        "model.trainable",
    ]
    spare = small_config(batch_size=8, precision="mixed_bfloat16", trainable="head", rematerialize=True)
    report = too_large(small_report(config=spare))
    assert [line.split(":")[0] for line in report.advice()] == ["model.max_length"]


def test_advice_where_weights_alone_are_too_large(small_report):
    advice = too_large(small_report(state_bytes=40 * GIB)).advice()
    assert advice[0].startswith("weights and optimizer alone do not fit")
    assert not any("batch" in line for line in advice)


def test_an_evaluation_that_does_not_fit(small_report):
    refused = Shape("evaluation", 64, 8, 16, Refused("Ran out of memory on HBM", memory=True))
    report = small_report(evaluation=refused)
    assert report.advice() == ["training.evaluation_batch_size: less than 64"]
    assert report.bounds() is None
    assert report.as_json()["lower_bound_seconds"] is None


def test_an_operation_that_does_not_compile_is_told_with_its_layer(small_report):
    refused = Shape("training", 32, 4, 16, Refused("no AsString", layer="classifier/odd_layer"))
    report = small_report(training=refused)
    assert "training does not compile (layer classifier/odd_layer): no AsString" in report.lines()
    assert report.advice() == ["the layer that is named: the TPU's compiler does not know one of its operations"]


def test_the_largest_batch(small_report):
    said = "largest training.batch_size that fits, to within 1/32"
    assert f"{said}: 1,024" in small_report(searched=True, largest_batch=1024).lines()
    assert f"{said}: none" in small_report(searched=True).lines()
    report = too_large(small_report(searched=True, largest_batch=16))
    assert report.advice()[0].startswith("training.batch_size: 16")


def test_words():
    assert [gib(3 * GIB), gib(2**20)] == ["3.00 GiB", "1.00 MiB"]
    assert [duration(s) for s in (7200, 90, 1.5, 0.002, 3e-6)] == ["2 h", "1.5 min", "1.5 s", "2 ms", "3 us"]
