"""Which texts to label next."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from kerasft import label
from kerasft.config.data import DataConfig
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import read_records
from kerasft.errors import UserError
from kerasft.few_shots.labelling import choose, far_apart, margins, new_texts, sheet

PROBABILITIES = np.array([[0.9, 0.1, 0.0], [0.4, 0.35, 0.25], [0.5, 0.5, 0.0], [0.1, 0.3, 0.6]])
VECTORS = np.array([[0.0, 0.0], [0.1, 0.0], [0.0, 0.1], [9.0, 0.0]])


def test_the_least_sure_comes_first():
    np.testing.assert_allclose(margins(PROBABILITIES), [0.8, 0.05, 0.0, 0.3])
    assert choose(2, "uncertainty", PROBABILITIES).tolist() == [2, 1]
    assert choose(9, "uncertainty", PROBABILITIES).tolist() == [2, 1, 3, 0]


def test_rows_that_differ_are_preferred_to_copies():
    assert far_apart(VECTORS, 2).tolist()[1] == 3
    copies = np.repeat(np.array([[0.0], [5.0], [9.0]]), 4, axis=0)
    assert {float(copies[row, 0]) for row in far_apart(copies, 3)} == {0.0, 5.0, 9.0}
    assert sorted(far_apart(copies, 12)) == list(range(12))
    assert 3 in choose(2, "both", PROBABILITIES, VECTORS)


def test_what_is_labelled_already_and_copies_are_left_out():
    assert new_texts([("a",), ("b",), ("a",), ("c",)], {("c",)}) == [0, 1]


def test_a_sheet_is_written_filled_in_and_read_back(trained_project, capsys):
    texts = [{"text": f"{word} goal {word}"} for word in ("bank", "match", "team", "price", "price")]
    known = json.loads(Path("train.jsonl").read_text().splitlines()[0])["text"]
    Path("new.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*texts, {"text": known}]))
    arguments = ["config.yaml", "--input", "new.jsonl", "--output", "next.csv", "--count", "3", "--by", "both"]
    assert label.main(arguments) == 0
    captured = capsys.readouterr()
    assert "2 of 6 texts are in data.train or copies" in captured.err and "3 of 4 texts" in captured.out
    with open("next.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["text", "label", "prediction", "probability"]
    assert len({row["text"] for row in rows}) == 3 and {row["prediction"] for row in rows} <= {"sport", "money"}
    assert [record.values["text"] for record in read_records("next.csv")] == [row["text"] for row in rows]
    assert label.main(arguments) == 2  # labels by hand are not written over
    assert "may have labels in it" in capsys.readouterr().err


def test_a_sheet_is_read_as_the_rest_of_the_data_is(tmp_path):
    rows, answers = [{"text": "café; au lait"}, {"text": 'said "no"\nand left'}], [{"label": "a", "score": 0.5}] * 2
    data = DataConfig(train="x", columns={"text": "t", "label": "l"}, delimiter=";", encoding="cp1252")
    (tmp_path / "next.csv").write_bytes(sheet(rows, data.columns, answers, data))
    read = [record.values for record in read_records(str(tmp_path / "next.csv"), "auto", Reading.of(data))]
    assert [row["t"] for row in read] == [row["text"] for row in rows] and list(read[0])[:2] == ["t", "l"]
    with pytest.raises(UserError, match="data.encoding: cp1252 has no '银'"):
        sheet([{"text": "银行"}], data.columns, answers[:1], data)
    bare = data.model_copy(update={"quoting": "none"})
    with pytest.raises(UserError, match="data.quoting: none.*use minimal"):
        sheet(rows, data.columns, answers, bare)
