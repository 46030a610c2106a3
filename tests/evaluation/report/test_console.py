"""The table that the terminal prints at the end of a run."""

import os
import re

import numpy as np
from rich.console import Console

from kerasft.evaluation.metrics import multi_label_metrics, regression_metrics, single_label_metrics
from kerasft.tasks.question_answering.kind import KIND as QUESTIONS
from kerasft.tasks.seq2seq.kind import KIND as OUTPUTS
from kerasft.tasks.text_classification.kind import KINDS


def single_label(labels, rows):
    random = np.random.default_rng(0)
    targets = random.integers(0, len(labels), rows)
    scores = random.random((rows, len(labels))) ** 3
    scores[np.arange(rows), targets] += 0.9
    return single_label_metrics(targets, scores / scores.sum(axis=1, keepdims=True), labels)


def printed(metrics, kind):
    console = Console(width=100, record=True, file=open(os.devnull, "w"))
    console.print(kind.console_table(metrics))
    return console.export_text()


def test_console_table_shows_every_class_and_the_averages():
    metrics = single_label(["好评", "[red]odd[/red]", "c"], rows=400)
    text = printed(metrics, KINDS["single_label"])
    assert "[red]odd[/red]" in text and "好评" in text
    line = next(line for line in text.splitlines() if line.strip().startswith("c "))
    row = metrics["per_class"]["c"]
    assert re.findall(r"[\d.]+", line) == [f"{row[key]:.3f}" for key in ("precision", "recall", "f1")] + [
        str(row["support"])
    ]
    assert re.search(rf"accuracy.*{metrics['accuracy']:.3f}.*400", text)
    assert re.search(rf"macro average.*{metrics['macro_f1']:.3f}", text)
    assert "report.html" not in text


def test_console_table_of_many_classes_shows_the_worst_ten():
    metrics = single_label([f"class {index}" for index in range(77)], rows=1500)
    text = printed(metrics, KINDS["single_label"])
    worst = sorted(metrics["per_class"], key=lambda label: (metrics["per_class"][label]["f1"], label))[:10]
    assert [line.split("│")[0].strip() for line in text.splitlines() if line.strip().startswith("class ")][1:] == worst
    assert "all 77 are in the run's report.html" in " ".join(text.split())


def test_console_table_of_the_other_problems():
    targets = np.array([[1, 0], [1, 1], [0, 1]])
    metrics = multi_label_metrics(targets, targets * 0.5 + 0.2, ["a", "b"], np.array([0.5, 0.65]))
    text = printed(metrics, KINDS["multi_label"])
    assert re.search(r"a .*1.000.*1.000.*1.000.*2 .*0.500", text) and "0.650" in text
    assert "threshold" in text and "micro average" in text and "accuracy" not in text
    metrics = regression_metrics(np.arange(5.0), np.array([0.0, 2, 1, 3, 5]))
    assert re.search(rf"Pearson.*{metrics['pearson']:.3f}", printed(metrics, KINDS["regression"]))
    constant = printed(regression_metrics(np.ones(3), np.arange(3.0)), KINDS["regression"])
    assert re.search(r"Spearman.*–", constant)


def test_questions_with_and_without_an_answer():
    metrics = {"rows": 1200, "exact_match": 0.5, "f1": 0.625}
    assert re.search(r"all .* 0.500 .* 0.625 .* 1,200", printed(metrics, QUESTIONS))
    assert "without" not in printed(metrics, QUESTIONS)
    groups = {"has_answer_rows": 0, "no_answer_rows": 1200, "no_answer_exact_match": 0.5, "no_answer_f1": 0.5}
    text = printed(metrics | groups, QUESTIONS)
    assert re.search(r"with an answer .* – .* – .* 0 ", text) and re.search(
        r"without an answer .* 0.500 .* 0.500 .* 1,200", text
    )


def test_figures_of_answers_are_shown_beside_those_of_copies_where_they_were_measured():
    tokens = {"perplexity": 2.0, "log_loss": 0.7, "bits_per_byte": 1.0, "accuracy": 0.5, "rows": 3}
    names = list(OUTPUTS.console_table(tokens).columns[0].cells)
    assert names == ["Perplexity", "Log loss", "Bits per byte", "Accuracy", "rows"]  # of a worker that is not the chief
    table = OUTPUTS.console_table(tokens | {"bleu": 30.0, "copy_baseline": {"bleu": 1.0}})
    assert list(table.columns[2].cells) == ["", "", "", "", "1.000", ""] and table.columns[2].header == "input itself"
