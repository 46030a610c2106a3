"""Training rows for and against an answer, on a run that kept its checkpoints."""

import json

import numpy as np
import pytest
import tensorflow as tf

from kerasft.explain import program
from kerasft.explain.edits import fewest_edits, left_out, misspellings
from kerasft.explain.influence import Read


def test_a_product_of_gradients_in_closed_form_is_autodiffs():
    random = np.random.default_rng(0)
    inputs, targets = random.normal(size=(3, 4)).astype(np.float32), np.array([0, 2, 1])
    kernel, bias = (tf.Variable(random.normal(size=shape), dtype=tf.float32) for shape in ((4, 3), (3,)))
    gradients = []
    for row, target in zip(inputs, targets):
        with tf.GradientTape() as tape:
            logits = tf.matmul(row[None], kernel) + bias
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits([target], logits)
        gradients.append(np.concatenate([part.numpy().ravel() for part in tape.gradient(loss, [kernel, bias])]))
    errors = tf.nn.softmax(inputs @ kernel.numpy() + bias.numpy()).numpy()
    errors[np.arange(3), targets] -= 1
    read = Read(1.0, errors, np.concatenate([inputs, np.ones((3, 1), np.float32)], 1))
    np.testing.assert_allclose(read.products(read), np.array(gradients) @ np.array(gradients).T, atol=1e-5)


@pytest.mark.long
def test_rows_and_edits_of_an_answer_by_the_program(trained_project, capsys):
    (trained_project / "texts.txt").write_text("bank stock price\n", encoding="utf-8")
    assert program.main(["runs/tiny", "--input", "texts.txt", "--rows", "2", "--edits"]) == 0
    (line,) = (json.loads(each) for each in capsys.readouterr().out.splitlines())
    rows = line["rows"]
    assert [row["label"] for row in rows["helped"]] == ["money"] * 2 and rows["helped"][0]["score"] > 0
    assert rows["harmed"][0]["label"] == "sport" and rows["harmed"][0]["score"] < 0
    assert rows["nearest"][0]["score"] <= 1.0001 and rows["nearest"][0]["where"].startswith("train.jsonl:")
    assert line["edits"] is None or line["edits"]["label"] == "sport"
    assert program.main(["runs/tiny", "--harmful", "3"]) == 0
    said = capsys.readouterr()
    harmful = [json.loads(each) for each in said.out.splitlines()]
    assert "training rows: 216 texts" in said.err  # 72 at each of 3 checkpoints
    own = [row["self_influence"] for row in harmful]
    assert own == sorted(own, reverse=True) and own[-1] >= 0 and all("influence" in row for row in harmful)


def test_what_is_missing_is_said(trained_project, capsys):
    with pytest.raises(SystemExit):
        program.main(["runs/tiny"])
    assert "give --input FILE, or --harmful N" in capsys.readouterr().err
    assert program.main(["runs/tiny", "--harmful", "0"]) == 2
    assert "--harmful: 0 is too few" in capsys.readouterr().err


def test_the_fewest_edits_are_found_and_none_is_needless():
    def ask(texts, label):
        """A text is `bad` while it has a or b."""
        return [("bad", 1.0 + ("a" in t.split()) + ("b" in t.split())) if {"a", "b"} & set(t.split()) else ("good", 0.0)
                for t in texts]  # fmt: skip

    found = fewest_edits("x a y b z", ask, left_out)
    assert found.text == "x y z" and found.label == "good" and [edit["text"] for edit in found.edits] == ["a", "b"]
    assert fewest_edits("x a y b z", ask, left_out, budget=3) is None
    assert fewest_edits("a " + "y " * 250, ask, left_out).text.startswith("y")  # more words than the budget
    assert fewest_edits("a not", ask, lambda word: ["c"]).text == "c not"  # a negation stays
    assert misspellings("card") == misspellings("card") != [] and misspellings("no1") == []
