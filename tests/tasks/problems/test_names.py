"""What may be the name of a class, which names are one class, and which are told as looking alike."""

import datetime
import decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasft.config.load import load_config
from kerasft.config.schema import Config
from kerasft.data.sources.edges import blank
from kerasft.data.splits import load_splits
from kerasft.errors import BadRow, UserError
from kerasft.tasks.problems.labels import check_weights, fit_labels
from kerasft.tasks.problems.names import (
    alike,
    difference,
    distinct,
    identity,
    indices,
    name_of,
    name_warnings,
    read_name,
)
from kerasft.tasks.problems.regression import Regression
from kerasft.tasks.registry import create_task


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("  spam\u200b\ufeff", "spam"),
        ("trois\xa0mots", "trois\xa0mots"),
        ("très".encode(), "très"),
        (3, "3"),
        (0.5, "0.5"),
        (True, "True"),
        (decimal.Decimal("1.50"), "1.50"),
        (datetime.date(2024, 5, 1), "2024-05-01"),
    ],
)
def test_a_value_is_the_name_that_it_spells(value, name):
    assert name_of(value) == name


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "", " \u200b\n", b"\xff", [], ["a"], {"a": 1}])
def test_what_is_missing_is_no_name(value):
    with pytest.raises(BadRow, match="f.csv:3: the label is .*one label is needed"):
        read_name(value, "the label", "f.csv:3")


@given(st.text())
def test_a_name_has_no_edge_that_nobody_sees(text):
    if any(not blank(sign) for sign in text):
        name = name_of(text)
        assert name in text and not blank(name[0]) and not blank(name[-1])


def test_true_and_false_are_one_class_however_written():
    assert distinct(["true", "True", "FALSE", "half-true"]) == ["FALSE", "True", "half-true"]
    assert indices(["False", "True"])[identity("true")] == 1
    assert identity("Yes") == "Yes"


@pytest.mark.parametrize(
    ("name", "other", "how"),
    [
        ("Zürich", "Zu\u0308rich", "in the Unicode form"),
        ("Sport", "sport", "in case"),
        ("real\u200bestate", "realestate", "in characters that can't be seen"),
        ("very good", "very\xa0good", "in white space"),
        ("ＰＥＲ", "PER", "in full-width or other compatible forms"),
        ("сору", "copy", "in characters that look alike"),  # the first is Cyrillic
        ("co–op", "co-op", "in characters that look alike"),
    ],
)
def test_names_that_look_alike_are_told_with_what_differs(name, other, how):
    assert alike([name, other, "unlike"]) == [sorted([name, other])]
    assert difference(*sorted([name, other])) == how
    (warning,) = name_warnings([name, other, "unlike"])
    assert how in warning and "unlike" not in warning
    if not (name + other).isascii():
        assert ascii(name).strip("'") in warning or ascii(other).strip("'") in warning


def test_good_names_need_no_word():
    assert (
        name_warnings(["体育", "财经", "café", "Sci/Tech", "a|b", "Cause(e1,e2)"], separator="task.label_separator")
        == []
    )


def test_names_that_are_missing_values_lists_or_several_in_one():
    (warning,) = name_warnings(["NaN", "b'pos'", "[a b]", "fine"])
    assert "'NaN'" in warning and "pos" in warning and "[a b]" in warning and "fine" not in warning
    (warning,) = name_warnings(["joy; fear", "fear", "calm"], separator="task.label_separator")
    assert "'joy; fear' has ';' in it" in warning and "task.label_separator" in warning


def config_of(folder, task, columns, **data):
    return Config.model_validate(
        {
            "name": "tiny",
            "task": task,
            "model": {"preset": "x"},
            "data": {"train": str(folder / "train.csv"), "validation": 0.5, "columns": columns, **data},
        }
    )


LOOKALIKES = "text,label\n" + "".join(f"text {row},{('Sport', 'sport', 'money')[row % 3]}\n" for row in range(12))


@pytest.mark.parametrize(
    ("task", "lines", "columns"),
    [
        ({"name": "text_classification"}, LOOKALIKES, {"text": "text", "label": "label"}),
        (
            {"name": "text_classification", "problem": "multi_label"},
            LOOKALIKES.replace("money", "money|sport"),
            {"text": "text", "label": "label"},
        ),
        (
            {"name": "relation_extraction"},
            "text,label\n" + "".join(f"<e1>a</e1> <e2>b</e2>,{('Sport', 'sport')[row % 2]}\n" for row in range(8)),
            {"text": "text", "label": "label"},
        ),
        (
            {"name": "token_classification"},
            "tokens,tags\n" + "a b,B-Sport B-sport\n" * 4,
            {"tokens": "tokens", "tags": "tags"},
        ),
    ],
)
def test_every_task_with_names_tells_those_that_look_alike(tmp_path, task, lines, columns):
    (tmp_path / "train.csv").write_text(lines, encoding="utf-8")
    config = config_of(tmp_path, task, columns)
    made = create_task(config)
    load_splits(config, made)
    assert any("'Sport' and 'sport' (they differ in case)" in warning for warning in made.data_warnings())


def test_a_label_that_train_lacks_is_told_beside_the_one_it_looks_like(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\na,Ja\nb,Nein\nc,Ja\nd,Nein\n", encoding="utf-8")
    (tmp_path / "test.csv").write_text("text,label\na,Ja\nb,ja\n", encoding="utf-8")
    columns = {"text": "text", "label": "label"}
    config = config_of(tmp_path, {"name": "text_classification"}, columns, test=str(tmp_path / "test.csv"))
    with pytest.raises(
        UserError, match=r"test.csv:3: the label 'ja' does not occur in data.train; 'Ja' does, which diff"
    ):
        load_splits(config, create_task(config))


def test_a_sample_that_lacks_a_label_is_told_as_one(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\n" + "a,x\nb,y\n" * 20 + "c,z\n", encoding="utf-8")
    (tmp_path / "test.csv").write_text("text,label\nc,z\n", encoding="utf-8")
    columns = {"text": "text", "label": "label"}
    config = config_of(tmp_path, {"name": "text_classification"}, columns, test=str(tmp_path / "test.csv"), limit=8)
    with pytest.raises(UserError, match="the sample of data.train that data.limit=8 takes; raise data.limit"):
        load_splits(config, create_task(config))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("[a, b, a]", "'a' is there twice, as item 1 and 3"),
        ('["True", "true"]', "is there twice"),
        ('[a, " b"]', "write 'b'"),
        ('[a, ""]', "is no name"),
    ],
)
def test_labels_of_a_config_are_different_names(tmp_path, labels, expected):
    path = tmp_path / "c.yaml"
    path.write_text(
        f"name: t\ntask: {{name: text_classification, labels: {labels}}}\nmodel: {{preset: x}}\n"
        "data: {train: x.csv, columns: {text: text, label: label}}\n"
    )
    with pytest.raises(UserError) as raised:
        load_config(path)
    assert expected in str(raised.value) and "task.labels" in str(raised.value)


@pytest.mark.parametrize(("first", "second"), [("bools.csv", "bools.jsonl"), ("bools.jsonl", "bools.csv")])
def test_true_and_false_of_csv_and_json_are_the_same_classes(tmp_path, first, second):
    (tmp_path / "bools.csv").write_text("text,label\n" + "yes,TRUE\nno,FALSE\n" * 3, encoding="utf-8")
    rows = '{"text": "yes", "label": true}\n{"text": "no", "label": false}\n' * 3
    (tmp_path / "bools.jsonl").write_text(rows, encoding="utf-8")
    config = config_of(tmp_path, {"name": "text_classification"}, {"text": "text", "label": "label"})
    data = config.data.model_copy(update={"train": str(tmp_path / first), "test": str(tmp_path / second)})
    config = config.model_copy(update={"data": data})
    task = create_task(config)
    splits = load_splits(config, task)
    assert task.targets(splits["test"]).tolist() == [1, 0] * 3


@pytest.mark.parametrize("value", [10**400, -(10**400), "1e999", float("nan"), True, "x", None, [1.0]])
def test_a_regression_refuses_what_is_no_finite_number(value):
    with pytest.raises(BadRow, match="a.csv:3: the label is .*; task.problem regression needs a finite number"):
        Regression(None, None, {}).parse(value, "a.csv:3")


def parse(value, **task):
    config = {
        "name": "t",
        "task": {"name": "text_classification", **task},
        "model": {"preset": "x"},
        "data": {"train": "x", "columns": {"text": "text", "label": "label"}},
    }
    return create_task(Config.model_validate(config)).problem.parse(value, "f.csv:2")


@pytest.mark.parametrize("value", ["('a',)", "{'a'}", "array(['a'])", '["a"]', ["a"]])
def test_one_label_in_whatever_list_is_that_label(value):
    assert parse(value) == "a"
    assert parse(value, problem="multi_label") == ["a"]


def test_several_choices_of_label_studios_csv():
    assert parse('{"choices":["joy","fear"]}', problem="multi_label") == ["fear", "joy"]


@pytest.mark.parametrize("value", ["['a', 'b'", "{'label': 'a'}", "Index(['a'"])
def test_lists_that_are_cut_and_mappings_are_no_labels(value):
    for task in ({}, {"problem": "multi_label"}):
        with pytest.raises(BadRow, match="f.csv:2: the labels? (is|are) .* that can't be read"):
            parse(value, **task)


@pytest.mark.parametrize("value", [[0, 1, 0], [1.0, 0.0, 0.0], "[0, 0, 1]", "[0 0 1]", [False, False]])
def test_flags_for_each_class_are_no_labels(value):
    with pytest.raises(BadRow, match="a flag for each class; write the names of those that hold"):
        parse(value, problem="multi_label")
    assert parse([0, 1], problem="multi_label") == parse([1, 0], problem="multi_label") == ["0", "1"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["1", "1.0"], "in the way a number is written"),
        (["\u0661", "1"], "in characters"),
        (["\uff11", "1"], "full-width"),
    ],
)
def test_numbers_that_look_alike(names, words):
    (warning,) = name_warnings(names)
    assert words in warning


@pytest.mark.parametrize("name", ["None", "null", "NULL", "N/A", "\\N", "#REF!", "nan", "'pos'", '"pos"', "b'x'"])
def test_names_that_may_be_missing_or_quoted(name):
    (warning,) = name_warnings([name, "neg"])
    assert "may be missing values, bytes, lists or quoted names" in warning and repr(name) in warning


def test_names_of_people_are_names():
    assert name_warnings(["none", "it's", "NA", "other (x)", "C#", "New York", "York"], separator="k") == []


@pytest.mark.parametrize(
    "names",
    [
        ["a/b", "b/c", "a"],
        ["a b", "b c", "a", "b"],
        ["a，b", "b，c"],
        ["a,b", "c,d"],
        ["pos#neg", "neg"],
        ["a+b", "a", "b"],
    ],
)
def test_names_that_may_be_several_are_told(names):
    assert "may be several in one" in name_warnings(names, separator="task.label_separator")[0]


def test_a_label_that_the_config_writes_in_another_form_is_told():
    state: dict = {}
    with pytest.raises(UserError, match="is in the list, which differs in the Unicode form .*; write both alike"):
        fit_labels(["cafe\u0301", "bar"], state, {"caf\u00e9", "bar"})
    with pytest.raises(UserError, match="no such label; .* is one, which differs in the Unicode form"):
        check_weights({"caf\u00e9": 2.0}, ["cafe\u0301", "bar"])
    with pytest.raises(UserError, match="True, true name a label twice"):
        check_weights({"True": 2.0, "true": 1.0}, ["True", "False"])


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["New York", "New_York"], "in the signs between words"),
        (["non-toxic", "non toxic"], "in the signs between words"),
        (["a/b", "a / b"], "in the signs between words"),
        (["pos", "pos."], "in a full stop at the end"),
    ],
)
def test_names_with_other_joints_are_told(names, words):
    (warning,) = name_warnings(names)
    assert words in warning


def test_signs_of_numbers_and_other_words_are_no_joints():
    assert alike(["-1", "1", "1.5", "15", "ab", "a b", "+", "-", "C", "C++"]) == []
