"""Records -> texts with entities, and what is said of records that can't be read."""

import json
import re
from pathlib import Path

import pytest

from kerasft.config.schema import Config
from kerasft.data.sources.sources import Record
from kerasft.data.splits import load_splits
from kerasft.errors import UserError
from kerasft.tasks.registry import create_task
from kerasft.tasks.token_classification.tagged_rows import join, read_spans, read_tagged

TAGGED = {"tokens": "tokens", "tags": "tags"}
SPANNED = {"text": "text", "spans": "spans"}


def make_config(columns, folder=Path("."), **task):
    return Config.model_validate(
        {
            "name": "tiny",
            "task": {"name": "token_classification", **task},
            "model": {"preset": "tiny"},
            "data": {"train": str(folder / "train.jsonl"), "validation": 0.5, "columns": columns},
        }
    )


def test_tokens_are_joined_with_exact_places():
    text, starts, ends = join(["I", "❤️", "北", "京", "OK", "！", "カ", "e\u0301"], "auto")
    assert text == "I ❤️ 北京 OK ！カ e\u0301"
    assert [text[a:b] for a, b in zip(starts, ends)] == ["I", "❤️", "北", "京", "OK", "！", "カ", "e\u0301"]
    assert join(["北", "京"], "space")[0] == "北 京" and join(["a", "b"], "none")[0] == "ab"


def test_tagged_and_spanned_records_say_the_same():
    tagged = read_tagged(
        Record({"tokens": ["In", "New", "York", "!"], "tags": ["O", "B-loc", "I-loc", "O"]}, "f:1"),
        *TAGGED,
        "auto",
        "auto",
    )
    assert tagged["text"] == "In New York !" and (tagged["word_starts"], tagged["word_ends"]) == (
        [0, 3, 7, 12],
        [2, 6, 11, 13],
    )
    for span in ({"start": 3, "end": 11, "label": "loc"}, [3, 11, "loc"]):
        spanned = read_spans(Record({"text": tagged["text"], "spans": [span]}, "f:1"), *SPANNED)
        assert all(spanned[name] == tagged[name] for name in ("text", "starts", "ends", "types"))
    cell = Record({"text": "In New York !", "spans": '[[3, 11, "loc"]]'}, "f:1")
    assert read_spans(cell, *SPANNED)["types"] == ["loc"]
    line = Record({"tokens": "In New York !", "tags": "O B-loc I-loc O"}, "f:1")
    assert read_tagged(line, *TAGGED, "auto", "auto") == tagged


GOOD_TAGGED, GOOD_SPANNED = {"tokens": ["a"], "tags": ["B-x"]}, {"text": "ab cd", "spans": [[0, 2, "x"]]}
BAD = [
    (TAGGED, {"tokens": ["a", "b"], "tags": ["O"]}, "2 tokens and 1 tags"),
    (TAGGED, {"tokens": ["a", ""], "tags": ["O", "O"]}, "token 1 is ''"),
    (TAGGED, {"tokens": ["a", " \u3000"], "tags": ["O", "O"]}, "token 1 is"),
    (TAGGED, {"tokens": 3, "tags": ["O"]}, "a list of tokens is needed"),
    (TAGGED, {"tokens": ["a"], "tags": [None]}, "a list of tags is needed"),
    (SPANNED, {"text": "ab cd", "spans": [[0, 3, "x"], [2, 5, "y"]]}, "overlap"),
    (SPANNED, {"text": "ab cd", "spans": [[0, 6, "x"]]}, "not inside the text of 5 characters"),
    (SPANNED, {"text": "ab cd", "spans": [[-1, 2, "x"]]}, "not inside the text"),
    (SPANNED, {"text": "ab cd", "spans": [[1, 1, "x"]]}, "not inside the text"),
    (SPANNED, {"text": "ab cd", "spans": [[2, 3, "x"]]}, "white space alone"),
    (SPANNED, {"text": "ab cd", "spans": [[0, 2]]}, "is no span"),
    (SPANNED, {"text": "ab cd", "spans": [[0, 2.0, "x"]]}, "is no span"),
    (SPANNED, {"text": None, "spans": []}, "a text is needed"),
    (SPANNED, {"text": "ab", "spans": "[[0"}, "is not JSON"),
]


@pytest.mark.parametrize(("columns", "row", "expected"), BAD)
def test_bad_rows_are_named_and_counted(tmp_path, columns, row, expected):
    good = GOOD_TAGGED if columns is TAGGED else GOOD_SPANNED
    rows = [good, row, good, row, row]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
    config = make_config(columns, tmp_path)
    with pytest.raises(UserError) as raised:
        load_splits(config, create_task(config))
    assert "train.jsonl:2" in str(raised.value) and expected in str(raised.value)
    assert re.search(r"\(and 2 more rows with (a mistake|tokens without a tag|.*spans.*)\)", str(raised.value))


def test_a_named_scheme_is_checked_with_its_place(tmp_path):
    row = {"tokens": ["a", "b"], "tags": ["O", "I-x"]}
    (tmp_path / "train.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(GOOD_TAGGED) + "\n", encoding="utf-8")
    config = make_config(TAGGED, tmp_path, scheme="iob2")
    with pytest.raises(UserError, match="train.jsonl:1: the tag 'I-x' after 'O' continues no span"):
        load_splits(config, create_task(config))
    config = make_config(TAGGED, tmp_path)
    task = create_task(config)
    load_splits(config, task)
    assert task.state["labels"] == ["x"]


@pytest.mark.parametrize(
    ("columns", "task", "training", "expected"),
    [
        ({"tokens": "a"}, {}, {}, "name tokens and tags, or text and spans"),
        ({**TAGGED, "text": "t"}, {}, {}, "name tokens and tags"),
        (TAGGED, {"stride": 65}, {}, "task.stride: 65 is more than half of model.max_length; use 64"),
        (TAGGED, {"crf": True}, {"label_smoothing": 0.1}, "not with task.crf"),
        (TAGGED, {}, {"class_weights": "balanced"}, "training.class_weights"),
        (TAGGED, {}, {"early_stopping": {"metric": "accuracy"}}, "there are: f1"),
    ],
)
def test_config_that_can_not_be_honoured(columns, task, training, expected):
    config = make_config(columns, **task)
    values = {**config.model_dump(), "training": {"epochs": 1, **training}}
    with pytest.raises(UserError, match=expected):
        create_task(Config.model_validate(values)).check_config()


def test_a_type_that_train_lacks_is_named(tmp_path):
    rows = [GOOD_TAGGED, GOOD_TAGGED]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
    (tmp_path / "test.jsonl").write_text(json.dumps({"tokens": ["a"], "tags": ["B-y"]}) + "\n", encoding="utf-8")
    config = make_config(TAGGED, tmp_path)
    values = config.model_dump()
    values["data"]["test"] = str(tmp_path / "test.jsonl")
    config = Config.model_validate(values)
    with pytest.raises(UserError, match="test.jsonl:1: the label 'y' does not occur"):
        load_splits(config, create_task(config))


@pytest.mark.parametrize("cells", [
    ("['Ann ', 'won', '10']", "['B-PER', 'O', 'O']"),
    ('["Ann\u200b", "won", "10"]', '["B-PER ", "O", "O"]'),
    ("['Ann' 'won' '10']", "['B-PER' 'O' 'O']"),
    ("array(['Ann', 'won', '10'], dtype=object)", "array(['B-PER', 'O', 'O'], dtype=object)"),
    ("Ann  won\t10", "B-PER O O"),
])  # fmt: skip
def test_tokens_and_tags_of_a_cell_are_read_however_a_program_wrote_the_list(cells):
    row = read_tagged(Record({"tokens": cells[0], "tags": cells[1]}, "f:2"), *TAGGED, "auto", "auto")
    assert (row["text"], row["types"], row["starts"], row["ends"]) == ("Ann won 10", ["PER"], [0], [3])


def test_only_spaces_part_the_tokens_of_a_cell():
    record = Record({"tokens": "paid 10\u00a0000 [ a ]", "tags": "O B-NUM O O O"}, "f:2")
    assert read_tagged(record, *TAGGED, "auto", "auto")["word_starts"] == [0, 5, 12, 14, 16]


@pytest.mark.parametrize(
    ("tokens", "tags", "expected"),
    [
        ("a b", "B-X,O", "'B-X,O' in column 'tags' is several tags; put spaces between them"),
        ("a b", ["B-X;O", "O"], "is several tags"),
        ("a, b", "B-X, O", "'B-X,' in column 'tags' is a tag and more; put spaces between them"),
        ("['a', 'b'", "B-X O", "a list of tokens is needed"),
        ("{'a', 'b'}", "B-X O", "a list of tokens is needed"),
        ("a b", [3, 0], r"\[3, 0\], numbers of tags; names are needed"),
        ("a b", "[3 0]", "numbers of tags"),
        ("a b", "3 0", "numbers of tags"),
        ("a b", [3.0, 0.0], "numbers of tags"),
        ("a b", "3.0 0", "numbers of tags"),
        ("['a', b]", "O O", "a list of tokens is needed"),
        ("a b", "['O', b]", "a list of tags is needed"),
        ("a b", ["O", float("nan")], "a list of tags is needed"),
        ("a b", ["O", " "], "a list of tags is needed"),
    ],
)
def test_tags_that_are_no_names_are_refused(tokens, tags, expected):
    with pytest.raises(UserError, match=expected):
        read_tagged(Record({"tokens": tokens, "tags": tags}, "f:2"), *TAGGED, "auto", "auto")


def test_a_message_quotes_no_more_than_a_part_of_a_line():
    huge = [["x"] * 1000] * 1000
    for columns, row in ((TAGGED, {"tokens": {"a": huge}, "tags": []}), (SPANNED, {"text": huge, "spans": []})):
        with pytest.raises(UserError) as raised:
            (read_tagged if columns is TAGGED else read_spans)(
                Record(row, "f:1"), *columns, *(("auto", "auto") if columns is TAGGED else ())
            )
        assert len(str(raised.value)) < 200 and "…" in str(raised.value)


@pytest.mark.parametrize("edges", [("", " "), (" ", "\n"), ("\u200b", "\ufeff"), ("\u00a0", "\u200d ")])
def test_spans_lose_what_nobody_sees_at_their_edges(edges):
    text = f"In{edges[0]}Rome{edges[1]}!"
    span = [2, len(text) - 1, b" CITY\xe2\x80\x8b"]
    row = read_spans(Record({"text": text, "spans": [span]}, "f:1"), *SPANNED)
    assert text[row["starts"][0] : row["ends"][0]] == "Rome" and row["types"] == ["CITY"]
    cell = Record({"text": text, "spans": str([tuple(span[:2]) + ("CITY",)])}, "f:1")
    assert read_spans(cell, *SPANNED)["types"] == ["CITY"]


def test_a_token_that_nobody_sees_keeps_its_tag():
    row = read_tagged(Record({"tokens": ["a", "\u200d"], "tags": ["O", "B-X"]}, "f:1"), *TAGGED, "none", "auto")
    assert (row["text"], row["starts"], row["ends"]) == ("a\u200d", [1], [2])


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        (["B-PER", "I-PER", "PER", "o"], "'PER' (2 times), 'o' (2 times)"),
        (["B-PER", "Ｏ", "B_LOC"], "'Ｏ' ('\\uff2f') (2 times)"),
        (["NOUN", "VERB", "0"], "'0' (2 times)"),
        (["NOUN", "VERB", "X"], None),
        (["NOUN", "o"], "'o' (2 times)"),
    ],
)
def test_tags_without_the_form_of_the_others_are_told(tmp_path, tags, told):
    row = json.dumps({"tokens": ["w"] * len(tags), "tags": tags}, ensure_ascii=False)
    (tmp_path / "train.jsonl").write_text(f"{row}\n{row}\n", encoding="utf-8")
    config = make_config(TAGGED, tmp_path)
    task = create_task(config)
    load_splits(config, task)
    found = [warning for warning in task.data_warnings() if "without a prefix" in warning]
    assert told in found[0] if told else not found


def spanned(text, *spans):
    return read_spans(Record({"text": text, "spans": list(spans)}, "f:1"), *SPANNED)


def test_a_span_with_its_own_text_is_held_against_the_text():
    text = "🚂 to Bern"
    for start in (5, 6):  # code points, or UTF-16 units
        row = spanned(text, {"start": start, "end": start + 4, "label": "LOC", "text": "Bern"})
        assert (row["starts"], row["ends"]) == ([5], [9])
    with pytest.raises(UserError, match="f:1: the span from 2 to 4 should be 'Bern', but 'to' is there"):
        spanned(text, {"start": 2, "end": 4, "label": "LOC", "text": "Bern"})


def test_a_span_that_is_none_is_quoted_as_it_stands():
    with pytest.raises(UserError, match=r"\{'start': 0, 'end': 4, 'type': 'PER'\} is no span"):
        spanned("Anna", {"start": 0, "end": 4, "type": "PER"})


def test_a_type_has_no_edge_that_nobody_sees():
    record = Record({"tokens": ["a", "b", "c"], "tags": ["B- X", "I-\u200bX", "B-X-1 "]}, "f:2")
    assert read_tagged(record, *TAGGED, "auto", "auto")["types"] == ["X", "X-1"]
