"""Exports of Label Studio and doccano: read as they are, up to the rows of a task."""

import json

import pytest

from kerasft.config.schema import Config
from kerasft.data.sources.annotations import flat_annotations
from kerasft.data.splits import load_splits
from kerasft.errors import UserError
from kerasft.tasks.registry import create_task

TEXT = "🚂 from Zürich to Bern"


def result(start, end, text, label, control="label"):
    value = {"start": start, "end": end, "text": text, "labels": [label]}
    return {"from_name": control, "to_name": "text", "type": "labels", "value": value}


def choice(*choices, control="sentiment"):
    return {"from_name": control, "to_name": "text", "type": "choices", "value": {"choices": list(choices)}}


def labelled(*results, text=TEXT, **annotation):
    return {"id": 1, "data": {"text": text}, "annotations": [{"id": 2, "result": list(results), **annotation}]}


def flat(values):
    ((row, _),) = flat_annotations(iter([(values, "a.json:1")]))
    return row


def test_spans_of_label_studio_count_code_points_or_utf16_units():
    by_points = flat(labelled(result(7, 13, "Zürich", "LOC"), result(17, 21, "Bern", "LOC")))
    by_units = flat(labelled(result(8, 14, "Zürich", "LOC"), result(18, 22, "Bern", "LOC")))
    spans = [{"start": 7, "end": 13, "label": "LOC"}, {"start": 17, "end": 21, "label": "LOC"}]
    assert by_points == by_units == {"text": TEXT, "spans": spans, "labels": [], "label": spans}
    with pytest.raises(UserError, match="a.json:1: the span 'Bern' from 3 to 7 is not what the text has there"):
        flat(labelled(result(3, 7, "Bern", "LOC")))
    with pytest.raises(UserError, match="a span from 'a' to 7; starts and ends are whole numbers"):
        flat(labelled(result("a", 7, "Bern", "LOC")))


def test_choices_and_other_results_of_label_studio():
    row = flat(labelled(choice("good", "short"), {"from_name": "note", "value": {"text": ["x"]}}))
    assert row == {"text": TEXT, "spans": [], "labels": ["good", "short"], "sentiment": ["good", "short"]}


def test_a_cancelled_annotation_does_not_count():
    task = labelled(choice("bad"), was_cancelled=True)
    assert flat(task) == {"text": TEXT}
    task["annotations"].append({"result": [choice("good")]})
    assert flat(task)["labels"] == ["good"]


def test_tasks_that_nobody_annotated_are_told_as_such(tmp_path):
    waiting = {"id": 1, "data": {"text": TEXT}, "annotations": []}
    rows = [labelled(choice("pos")), waiting, labelled(choice("neg")), waiting, waiting]
    with pytest.raises(UserError) as refused:
        rows_of(
            tmp_path,
            "a.json",
            json.dumps(rows),
            {"name": "text_classification"},
            {"text": "text", "label": "sentiment"},
        )
    assert "a.json:1: nobody has annotated this task, so it has no 'sentiment' for data.columns.label" in str(
        refused.value
    )
    assert "(and 2 more rows with no annotation)" in str(refused.value)


def test_json_min():
    row = {"id": 1, "text": TEXT, "annotation_id": 4, "annotator": 1, "mood": {"choices": ["a", "b"]}, "stars": 3}
    row["label"] = [{"start": 7, "end": 13, "text": "Zürich", "labels": ["LOC"]}]
    found = flat(row)
    assert found["mood"] == ["a", "b"] and found["stars"] == 3
    assert found["label"] == [{"start": 7, "end": 13, "label": "LOC", "text": "Zürich"}]


def test_doccano_with_relations():
    entity = {"id": 5, "label": "LOC", "start_offset": 7, "end_offset": 13}
    row = {"id": 1, "text": TEXT, "entities": [entity], "relations": [], "Comments": []}
    assert flat(row)["entities"] == [{"start": 7, "end": 13, "label": "LOC"}]


def test_other_rows_stay_as_they_are():
    for row in ({"text": "a", "annotations": "none"}, {"data": "a", "label": ["x"]}, {"entities": [[0, 1, "X"]]}):
        assert flat(row) == row


def rows_of(tmp_path, name, content, task, columns):
    (tmp_path / name).write_text(content, encoding="utf-8")
    config = Config.model_validate(
        {
            "name": "n",
            "task": task,
            "model": {"preset": None, "architecture": {"family": "bert"}},
            "data": {"train": str(tmp_path / name), "validation": 0.2, "columns": columns},
        }
    )
    made = create_task(config)
    return made, load_splits(config, made, lambda remark: None)


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [
        ("a.json", [labelled(result(7, 13, "Zürich", "LOC")), labelled()], {"text": "text", "spans": "spans"}),
        ("a.jsonl", [{"id": 1, "text": TEXT, "label": [[7, 13, "LOC"]], "Comments": []}], {"spans": "label"}),
        (
            "a.jsonl",
            [{"text": TEXT, "entities": [{"id": 1, "label": "LOC", "start_offset": 7, "end_offset": 13}]}],
            {"spans": "entities"},
        ),
    ],
)
def test_entities_up_to_the_rows_of_the_task(tmp_path, name, rows, columns):
    many = rows * 10
    content = json.dumps(many) if name == "a.json" else "".join(json.dumps(row) + "\n" for row in many)
    _, tables = rows_of(tmp_path, name, content, {"name": "token_classification"}, {"text": "text", **columns})
    row = tables["train"].rows([0])[0]
    assert row["text"] == TEXT
    assert {kind for kinds in tables["train"].column("label") for kind in kinds} == {"LOC"}


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ([{"id": 1, "data": "good", "label": ["pos"]}, {"id": 2, "data": "bad", "label": ["neg"]}], ("data", "label")),
        ([labelled(choice("pos")), labelled(choice("neg"))], ("text", "sentiment")),
        ([labelled(choice("pos")), labelled(choice("neg"))], ("text", "labels")),
    ],
)
@pytest.mark.parametrize("problem", ["single_label", "multi_label"])
def test_classes_up_to_the_rows_of_the_task(tmp_path, rows, columns, problem):
    content = json.dumps(rows * 10)
    task = {"name": "text_classification", "problem": problem}
    made, _ = rows_of(tmp_path, "a.json", content, task, dict(zip(("text", "label"), columns)))
    assert made.state["labels"] == ["neg", "pos"]


def test_a_control_that_an_annotation_makes_no_use_of_is_empty():
    rows = [(labelled(result(7, 13, "Zürich", "LOC", control="where")), "a:1"), (labelled(text="nowhere"), "a:2")]
    spans = [row["where"] for row, _ in flat_annotations(iter(rows), {"text", "where"})]
    assert [len(each) for each in spans] == [1, 0]
    assert "where" not in next(flat_annotations(iter(rows[1:]), {"texts", "where"}))[0]  # a slip in `text` is told


def test_numbers_of_controls_are_columns():
    stars = {"from_name": "stars", "to_name": "text", "type": "rating", "value": {"rating": 4}}
    assert flat(labelled(stars))["stars"] == 4


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ({"start": 7, "end": 13, "text": "Zürich"}, "labels", "the span 'Zürich' from 7 has no label"),
        ({"start": 7, "end": 13, "text": "Zürich", "labels": []}, "labels", "has no label; give it one"),
        ({"start": "/p[1]", "end": "/p[1]", "hypertextlabels": ["LOC"]}, "hypertextlabels", "of texts alone"),
    ],
)
def test_spans_that_can_not_be_read_are_refused(value, kind, expected):
    with pytest.raises(UserError, match=expected):
        flat(labelled({"from_name": "label", "to_name": "text", "type": kind, "value": value}))


def test_cells_of_label_studios_csv(tmp_path):
    cell = json.dumps([{"start": 8, "end": 14, "text": "Zürich", "labels": ["LOC"]}]).replace('"', '""')
    (tmp_path / "a.csv").write_text(f'text,label\n{TEXT},"{cell}"\n', encoding="utf-8")
    config = Config.model_validate(
        {
            "name": "t",
            "task": {"name": "token_classification"},
            "model": {"preset": "x"},
            "data": {
                "train": str(tmp_path / "a.csv"),
                "validation": str(tmp_path / "a.csv"),
                "columns": {"text": "text", "spans": "label"},
            },
        }
    )
    (row,) = load_splits(config, create_task(config))["train"].rows([0])
    assert (row["starts"], row["ends"], row["label"]) == ([7], [13], ["LOC"])
