"""Each warning fires for its reason and only then."""

from dataclasses import replace

from kerasft.evaluation.report.blocks import Report
from kerasft.evaluation.report.warnings import unreachable_warnings, warnings_of
from kerasft.tasks.base import Unreachable
from kerasft.tasks.text_classification.kind import KINDS

CALM = {"rows": 200, "accuracy": 0.7, "mean_confidence": 0.72, "expected_calibration_error": 0.02}


def said(scores=None, shared=0, **train):
    limits = {"inputs": ("model.max_length", 128), "outputs": ("task.max_output_length", 32)}
    cut = {"inputs": 0.02, "outputs": 0.1, **train.pop("cut", {})}
    train = {
        "rows": 500,
        "classes": {"a": 50, "b": 10},
        "sides": {side: {"truncated": cut[side]} for side in limits},
    } | train
    test = {"rows": 200, "sides": {side: {"truncated": 0.1} for side in limits}}
    summary = {"limits": limits, "shared_train_test": shared, "splits": {"train": train, "test": test}}
    metrics = {"test": {**CALM, **(scores or {})}}
    return warnings_of(
        Report(
            name="x",
            created="now",
            kind=KINDS["single_label"],
            headline="accuracy",
            metrics=metrics,
            data_summary=summary,
        )
    )


def test_nothing_to_say_where_all_is_well():
    assert said() == []
    assert warnings_of(Report(name="x", created="now", kind=KINDS["regression"], headline="pearson")) == []


def test_texts_in_both_train_and_test():
    (warning,) = said(shared=12)
    assert warning.startswith("12 test texts (6.0%) are also in the training data")


def test_truncated_texts():
    (warning,) = said(cut={"inputs": 0.25})
    assert warning.startswith("Inputs are cut at 128 tokens: 25% of train. ") and "model.max_length" in warning
    (warning,) = said(cut={"outputs": 0.25})
    assert warning.startswith("Outputs are cut at 32 tokens: ") and "a larger task.max_output_length" in warning


def test_classes_with_few_examples():
    (warning,) = said(classes={"enough": 10, "few": 9, "fewer": 2})
    assert "fewer (2), few (9)." in warning and "enough" not in warning
    (warning,) = said(classes={f"c{index}": index for index in range(9)})
    assert "c0 (0), c1 (1), c2 (2), c3 (3), c4 (4) and 4 more" in warning


def test_poor_calibration_needs_enough_rows_to_be_seen():
    (warning,) = said({"expected_calibration_error": 0.2, "mean_confidence": 0.9})
    assert "overconfident: it is 90% sure on average and right 70%" in warning
    (warning,) = said({"expected_calibration_error": 0.2, "mean_confidence": 0.5})
    assert "underconfident" in warning
    assert said({"expected_calibration_error": 0.2, "mean_confidence": 0.9, "rows": 99}) == []


def test_answers_that_no_model_can_give():
    missed = Unreachable(8, 20, "entities begin or end inside a unit", "Set task.units.", row=3)
    (warning,) = said(unreachable=missed)
    assert warning == (
        "8 of 20 entities begin or end inside a unit in train. No answer can equal them, and they count as missed. "
        "Set task.units."
    )
    assert said(unreachable=replace(missed, count=0)) == []
    assert unreachable_warnings({"train": None}) == []


def test_odd_names_are_told_on_the_page_too():
    report = Report(
        name="x",
        created="now",
        kind=KINDS["single_label"],
        headline="accuracy",
        data_summary={"warnings": ["labels look alike"]},
    )
    assert warnings_of(report) == ["Labels look alike"]
