"""The report's page for each problem, its safety against hostile texts, and its warnings."""

import html.parser
import os
import re
from dataclasses import replace

import numpy as np
import pytest

from kerasft.errors import UserError
from kerasft.evaluation.intervals import bootstrap_interval
from kerasft.evaluation.metrics import multi_label_metrics, regression_metrics, single_label_metrics
from kerasft.evaluation.report.blocks import Report
from kerasft.evaluation.report.page import report_page, write_report
from kerasft.evaluation.report.sections import best_step, sections
from kerasft.tasks.text_classification.kind import KINDS

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Page(html.parser.HTMLParser):
    """Tags that are opened and closed in order, headings, and every attribute that could fetch something."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.headings, self.addresses, self.handlers, self.text = [], [], [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "action", "data", "srcset"):
                self.addresses.append(value)
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, text):
        self.text.append(text)
        if self.open and self.open[-1] == "h2":
            self.headings.append(text)


def split(rows, classes, seed=0, skill=4.0):
    random = np.random.default_rng(seed)
    targets = random.integers(0, classes, rows)
    logits = random.normal(size=(rows, classes))
    logits[np.arange(rows), targets] += skill
    exponentials = np.exp(logits)
    return targets, exponentials / exponentials.sum(axis=1, keepdims=True)


def history(steps=90, metric="accuracy"):
    rows = [{"step": step, "loss": 2.0 / step, "learning_rate": 1e-4} for step in range(1, steps + 1)]
    values = {10: 0.5, 20: 0.9, 30: 0.8}
    return rows + [{"step": step, "validation": {metric: value, "log_loss": 0.3}} for step, value in values.items()]


TEXTS = {
    "lengths": {"min": 2, "median": 30.0, "p95": 90.0, "max": 400},
    "truncated": 0.02,
    "histogram": {"edges": [0.0, 100.0, 200.0, 400.0], "counts": [400, 90, 10]},
}


def data_summary(labels, **changes):
    train = {"rows": 500, "sides": {"texts": TEXTS}, "classes": {label: 50 for label in labels}, **changes}
    summary = {"limits": {"texts": ("model.max_length", 128)}, "shared_train_test": 0, "duplicates_train": 3}
    return {**summary, "splits": {"train": train, "test": {"rows": 200, "sides": {"texts": TEXTS}}}}


def single_label_report(labels, rows=400, **changes):
    targets, probabilities = split(rows, len(labels))
    metrics = single_label_metrics(targets, probabilities, labels)
    right = (probabilities.argmax(axis=1) == targets).astype(float)
    metrics["interval"] = {"metric": "accuracy", **bootstrap_interval(np.mean, right, seed=0)}
    values = dict(
        name="a-run",
        created="2025-01-01T00:00:00+00:00",
        kind=KINDS["single_label"],
        headline="accuracy",
        config={"name": "a-run", "data": {"train": "旅行.csv"}},
        versions={"keras": "3.15.1"},
        metrics={
            "test": metrics,
            "validation": metrics,
            "training": {"seconds": 212.4, "steps": 90, "examples_per_second": 71.26},
            "model": {"parameters": 22713216},
        },
        history=history(),
        labels=labels,
        data_summary=data_summary(labels),
        mistakes=[{"text": "text", "truth": labels[0], "prediction": labels[1], "score": 0.99}],
    )
    return Report(**{**values, **changes})


def multi_label_report(labels):
    random = np.random.default_rng(0)
    targets = random.random((300, len(labels))) < 0.2
    probabilities = np.clip(targets * 0.4 + random.random(targets.shape) * 0.6, 0, 1)
    metrics = multi_label_metrics(targets, probabilities, labels, np.full(len(labels), 0.5))
    mistakes = [{"text": "text", "truth": [], "prediction": labels[:2], "score": 0.9}]
    return replace(
        single_label_report(labels),
        kind=KINDS["multi_label"],
        headline="macro_f1",
        metrics={"test": metrics},
        mistakes=mistakes,
        history=history(metric="macro_f1"),
    )


def regression_report():
    random = np.random.default_rng(0)
    targets = random.random(200) * 5
    predictions = targets + random.normal(size=200)
    return Report(
        name="similarity",
        created="2025-01-01",
        kind=KINDS["regression"],
        headline="pearson",
        metrics={"test": regression_metrics(targets, predictions)},
        history=history(metric="pearson"),
        mistakes=[{"text": "one", "text_pair": "two", "truth": 1.0, "prediction": 4.0, "score": 3.0}],
        points=list(zip(targets, predictions)),
        falling=("rmse", "mae"),
    )


def names(count):
    return [f"class {index}" for index in range(count)]


@pytest.mark.parametrize("classes", [2, 8, 25, 77, 150])
def test_a_classifier_page_is_whole_and_self_contained(classes):
    page = report_page(single_label_report(names(classes), rows=3000))
    read = Page(page)
    assert not read.open
    expected = ["Learning curves", "Per class", "Confusion", "Reliability", "Most confidently wrong", "All scores"]
    assert read.headings == [*expected, "Data", "How it was made"]
    assert len(page.encode()) < 1.5e6
    assert "script" not in read.tags and not read.handlers
    assert all(address.startswith("#") for address in read.addresses), "something is fetched from elsewhere"
    assert not re.search(r"@import|url\((?!#)", page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids)) and {address[1:] for address in read.addresses} <= set(ids)


def test_the_page_says_the_figures():
    report = single_label_report(names(3))
    scores = report.metrics["test"]
    text = "".join(Page(report_page(report)).text)
    for figure in ("accuracy", "macro_f1", "log_loss"):
        assert f"{scores[figure]:.3f}" in text
    low, high = (f"{scores['interval'][end]:.3f}" for end in ("low", "high"))
    assert f"{low} to {high} (95 % interval)" in text
    for expected in ("3 min 32 s", "22.7M", "on 400 test examples", "train: 旅行.csv", "3.15.1", "best, step 20"):
        assert expected in text, expected


def test_multi_label_page_shows_thresholds_and_no_confusion():
    read = Page(report_page(multi_label_report(names(28))))
    assert not read.open
    assert "Confusion" not in read.headings and "Reliability" not in read.headings
    text = "".join(read.text)
    assert "threshold" in text and "0.500" in text and "(none)" in text and "class 0, class 1" in text


def test_regression_page_shows_the_scatter_and_the_pair():
    read = Page(report_page(regression_report()))
    assert read.headings == ["Learning curves", "Predictions", "Furthest off", "All scores"]
    text = "".join(read.text)
    assert "two" in text and "off by 3.000" in text and "predicted = true" in text


def test_sections_without_data_are_left_out():
    bare = Report(name="bare", created="now", kind=KINDS["single_label"], headline="accuracy")
    assert sections(bare) == []
    page = Page(report_page(bare))
    assert not page.open and page.headings == []
    assert "nan" not in "".join(page.text).lower()


def test_rows_that_were_not_inspected_are_told():
    report = Report(name="x", created="now", kind=KINDS["single_label"], headline="accuracy", inspection=None)
    page = Page(report_page(report))
    assert page.headings == ["Data before training"]
    assert "The rows were not inspected: their texts have more than 10,000,000 characters" in "".join(page.text)


@pytest.mark.parametrize(
    "payload", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</style></title><b>"]
)
def test_hostile_texts_and_labels_stay_text(payload):
    labels = ["fine", payload]
    summary = data_summary(labels, classes={"fine": 50, payload: 3})
    mistake = {"text": payload, "text_pair": payload, "truth": payload, "prediction": "fine", "score": 0.5}
    report = single_label_report(
        labels,
        name=payload,
        mistakes=[mistake],
        data_summary=summary,
        config={payload: payload},
        versions={payload: "1"},
    )
    page = report_page(report)
    read = Page(page)
    assert not read.open and "script" not in read.tags and "img" not in read.tags and not read.handlers
    assert payload not in page
    assert "".join(read.text).count(payload) >= 6  # and yet it can be read


def test_control_signs_and_lone_surrogates_do_not_lose_the_report(tmp_path):
    mistake = {"text": "a\0b\ud800c \u202e", "truth": "class 0", "prediction": "class 1", "score": 0.5}
    write_report(tmp_path / "report.html", single_label_report(names(2), mistakes=[mistake]))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "a\N{REPLACEMENT CHARACTER}b?c" in page and "\0" not in page


def test_long_texts_are_cut():
    mistake = {"text": "x" * 5000, "truth": "class 0", "prediction": "class 1", "score": 0.5}
    page = report_page(single_label_report(names(2), mistakes=[mistake] * 100))
    assert "x" * 500 + " …" in page and "x" * 501 not in page
    assert page.count('class="verdict"') == 25


def test_chinese_labels_reach_the_page_as_text_and_not_as_glyphs():
    page = report_page(single_label_report(["好评", "差评"]))
    assert re.search(r"<text[^>]*>好评</text>", page)
    assert "<bdi>差评</bdi>" in page


def test_equal_reports_are_equal_bytes():
    assert report_page(single_label_report(names(8))) == report_page(single_label_report(names(8)))


def test_writing_replaces_the_old_page_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(path, regression_report())
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert os.listdir(tmp_path) == ["report.html"]


def test_a_page_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(UserError, match="report.html: the page cannot be written"):
        write_report(tmp_path / "report.html", regression_report())
    assert os.listdir(tmp_path) == ["report.html"]
    with pytest.raises(UserError, match="No such file"):
        write_report(tmp_path / "missing" / "report.html", regression_report())


def test_warnings_stand_on_the_page_where_there_are_any():
    report = single_label_report(names(3))
    report.metrics["test"]["expected_calibration_error"] = 0.02
    assert "Before you trust" not in report_page(report)
    shared = {**report.data_summary, "shared_train_test": 12}
    text = "".join(Page(report_page(replace(report, data_summary=shared))).text)
    assert "Before you trust" in text and "12 test texts" in text


def test_each_side_of_a_row_stands_beside_its_own_limit():
    limits = {"inputs": ("model.max_length", 128), "outputs": ("task.max_output_length", 64)}
    sides = {"inputs": TEXTS, "outputs": {**TEXTS, "lengths": {"min": 3, "median": 7.0, "p95": 11.0, "max": 13}}}
    summary = {"limits": limits, "splits": {"train": {"rows": 500, "sides": sides}}}
    page = report_page(Report(name="x", created="now", kind=KINDS["regression"], headline="rmse", data_summary=summary))
    assert "train, inputs" in page and "train, outputs" in page
    for side, (key, limit) in limits.items():
        drawing = page[page.index(f'id="lengths-of-{side}-') : page.index(f"Lengths of the training {side}.")]
        assert f"{key} {limit}" in drawing and drawing.count("task.max_output_length") == (side == "outputs")
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_the_best_step_is_trainings_own_or_the_best_headline():
    report = single_label_report(names(2))
    assert best_step(report) == 20
    assert best_step(replace(report, metrics={"training": {"best_step": 30}})) == 30
    assert best_step(replace(regression_report(), headline="rmse", history=history(metric="rmse"))) == 10
    assert best_step(replace(report, history=[])) is None


def test_validation_leads_where_there_is_no_test():
    report = single_label_report(names(2))
    report = replace(report, metrics={"validation": report.metrics["test"]})
    assert "on 400 validation examples" in report_page(report)


def test_a_page_of_thousands_of_classes_stays_small():
    labels = [f"class number {number}" for number in range(3000)]
    page = report_page(single_label_report(labels, rows=4000))
    assert len(page) < 1_000_000 and '<svg class="confusion"' not in page
    assert "200 of 3,000; all are in metrics.json" in page and "Most often confused" in page
    assert "the 100 largest and the 100 smallest of 3,000 classes" in page
