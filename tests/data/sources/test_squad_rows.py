"""SQuAD's nested files: one row a question, with its place, whatever the layout of the file."""

import gzip
import json

import pytest

from kerasft.data.sources.sources import read_records
from kerasft.errors import UserError

ANSWER = {"text": "Anna", "answer_start": 9}


def article(*questions, context="Built by Anna."):
    return {"title": "Mill", "paragraphs": [{"context": context, "qas": list(questions)}]}


FILE = {
    "version": "v2.0",
    "data": [
        article(
            {"id": "a", "question": "Who?", "answers": [ANSWER], "is_impossible": False},
            {
                "id": "b",
                "question": "When?",
                "answers": [],
                "is_impossible": True,
                "plausible_answers": [{"text": "Built", "answer_start": 0}],
            },
        ),
        article({"id": "c", "question": "Wer?", "answers": [ANSWER, ANSWER]}, {"id": "d", "question": "?"}),
    ],
}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("version_first", [True, False])
@pytest.mark.parametrize("name", ["dev.json", "dev.json.gz"])
def test_questions_of_a_file(tmp_path, indent, version_first, name):
    content = FILE if version_first else dict(reversed(FILE.items()))
    data = ("\ufeff" + json.dumps(content, indent=indent)).encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    rows = list(read_records(str(path)))
    assert [row.values["id"] for row in rows] == list("abcd")
    assert [row.values.get("answers") for row in rows] == [[ANSWER], [], [ANSWER, ANSWER], None]
    assert {row.values["context"] for row in rows} == {"Built by Anna."}
    assert rows[0].where == f"{path}:{1 if indent is None else 4 if version_first else 3}, question a"
    assert [row.values for row in read_records(str(path), "squad")] == [row.values for row in rows]


def test_what_only_looks_like_it_is_json_lines(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('{"data": [1], "question": "?"}\n{"version": "2", "data": []}\n', encoding="utf-8")
    assert [row.values for row in read_records(str(path))] == [
        {"data": [1], "question": "?"},
        {"version": "2", "data": []},
    ]


@pytest.mark.parametrize(
    "content, message",
    [
        ({"data": [article({"id": "a"})]}, ":1: a question has no 'question' that is a text"),
        ({"data": [{"title": "x"}]}, ":1: the article has no 'paragraphs' that is a list"),
        ({"data": [{"paragraphs": [{"qas": []}]}]}, ":1: a paragraph has no 'context' that is a text"),
        ({"rows": []}, ':1: no "data" in the file'),
        ([], ":1: broken JSON: '\\[' where '{' is expected"),
        ({"data": [1]}, ":1: a number where an object is expected"),
    ],
)
def test_broken_files(tmp_path, content, message):
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UserError, match=f"dev.json{message}"):
        list(read_records(str(path), "squad"))


def test_a_file_that_is_cut_off(tmp_path):
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(FILE)[:-3], encoding="utf-8")
    with pytest.raises(UserError, match="broken JSON"):
        list(read_records(str(path)))


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_articles_without_an_object_around_them(tmp_path, name):
    articles = FILE["data"]
    lines = "".join(json.dumps(each) + "\n" for each in articles)
    for content in (json.dumps(articles), lines):
        (tmp_path / name).write_text(content, encoding="utf-8")
        assert [row.values["id"] for row in read_records(str(tmp_path / name))] == list("abcd")


def test_is_impossible_is_true_or_false(tmp_path):
    (tmp_path / "a.json").write_text(
        json.dumps({"data": [article({"id": "a", "question": "?", "is_impossible": "no"})]})
    )
    with pytest.raises(UserError, match="is_impossible is 'no'; write true or false"):
        list(read_records(str(tmp_path / "a.json")))
