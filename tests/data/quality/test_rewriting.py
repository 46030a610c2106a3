"""`normalise: fix` and `redact: mask` where answers are places in a text: they move with it, or the row goes."""

import json
import random

import pytest

from kerasft.config.schema import Config
from kerasft.data.augmentation.marked_text import MarkedText, Span
from kerasft.data.splits import stage_splits
from kerasft.data.stages.normalise import Normalise
from kerasft.data.stages.redact import Redact
from kerasft.tasks.registry import create_task

# What a word is in the data, and after both stages.
WORDS = {
    "cafÃ©": "café", "donâ€™t": "don’t", "bell\x07": "bell", "\x07ring": "ring", "ann@example.org": "[EMAIL]",
    "+49 30 1234567": "[PHONE]", "Zürich": "Zürich", "银行": "银行", "👩‍👩‍👧": "👩‍👩‍👧", "the": "the",
}  # fmt: skip
COLUMNS = {
    "token_classification": {"text": "text", "spans": "spans"},
    "relation_extraction": {"text": "text", "label": "label"},
    "question_answering": {"question": "question", "context": "text", "answers": "answers"},
}


def case(number: int) -> tuple[MarkedText, str, list[str]]:
    """A text with two to five spans of whole words, and what it and they are afterwards."""
    draw = random.Random(number)
    words = [draw.choice([*WORDS]) for _ in range(draw.randint(2, 9))]
    spans, mentions, at, first = [], [], 0, 0
    starts = [sum(len(word) + 1 for word in words[:i]) for i in range(len(words))]
    while first < len(words):
        last = min(len(words), first + draw.randint(1, 3))
        if draw.random() < 0.5:
            at = starts[last - 1] + len(words[last - 1])
            spans.append(Span(starts[first], at, draw.choice(["person", "place"])))
            mentions.append(" ".join(WORDS[word] for word in words[first:last]))
        first = last
    return MarkedText(" ".join(words), tuple(spans)), " ".join(map(WORDS.get, words)), mentions


def rewritten(marked: MarkedText) -> MarkedText | None:
    for stage in (Normalise(), Redact()):
        marked = marked and marked.rewritten(stage.edits(marked.text))
    return marked


def test_each_span_is_its_words_in_their_new_form():
    for number in range(1000):
        marked, text, mentions = case(number)
        after = rewritten(marked)
        assert (after.text, [after.mention(span) for span in after.spans]) == (text, mentions), marked
        assert [span.kind for span in after.spans] == [span.kind for span in marked.spans]


def test_a_span_of_a_part_takes_in_what_replaces_it():
    for start, end, mention in (
        (0, 3, "[EMAIL]"),
        (8, 15, "[EMAIL]"),
        (4, 7, "[EMAIL]"),
        (0, 19, "[EMAIL] for"),
        (16, 19, "for"),
    ):
        after = rewritten(MarkedText("ann@example.org for", (Span(start, end, "person"),)))
        assert after.mention(after.spans[0]) == mention
    after = rewritten(MarkedText("cafÃ©", (Span(0, 4, "place"),), ((0, 4), (4, 5))))
    assert after.text == "café" and after.mention(after.spans[0]) == "café" and after.words == ((0, 4),)


def test_answers_that_would_be_lost_are_none():
    names = (Span(0, 3, "person"), Span(4, 11, "place"))
    assert rewritten(MarkedText("ann@example.org", names)) is None  # two entities, one mask
    assert rewritten(MarkedText("a \x07 b", (Span(2, 3, "place"),))) is None  # nothing is left of it
    apart = rewritten(MarkedText("ann@example.org", tuple(Span(*span[:2]) for span in names)))
    assert [apart.mention(span) for span in apart.spans] == ["[EMAIL]"] * 2  # two right answers to one question


def config_of(folder, task, **data) -> Config:
    source = str(folder / "rows.jsonl")
    data = {"train": source, "validation": source, "columns": COLUMNS[task], **data}
    return Config.model_validate({"name": "n", "task": {"name": task}, "model": {"preset": "x"}, "data": data})


@pytest.mark.parametrize("name", COLUMNS)
def test_rows_of_a_task_come_with_their_answers_at_their_new_places(name, tmp_path):
    marked = "<e1>cafÃ©</e1> of <e2>ann@example.org</e2>"
    plain, lost = "cafÃ© of ann@example.org", "ann@example.org or bob"
    relation = name == "relation_extraction"
    both = [[0, 3, "person"], [4, 11, "place"]]
    rows = [
        {"text": marked if relation else plain, "spans": [[0, 5, "place"], [9, 24, "person"]], "label": "x"},
        {"text": "<e1>ann</e1>@<e2>example.org</e2>" if relation else lost, "spans": both, "label": "y"},
    ]
    for row in rows:
        row |= {"question": "whose?", "answers": [{"text": row["text"][a:b], "start": a} for a, b, _ in row["spans"]]}
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = config_of(tmp_path, name, clean={"normalise": "fix", "redact": "mask"})
    task = create_task(config)
    staged = stage_splits(config, task)
    mentions = []
    for row in staged.tables["train"].rows(range(len(staged.tables["train"]))):
        for text in task.marked_texts(row).values():
            mentions += [text.mention(span) for span in text.spans]
    if name == "question_answering":
        assert mentions == ["café", "[EMAIL]", "[EMAIL]", "[EMAIL]"]
        return
    assert mentions == ["café", "[EMAIL]"]
    gone = next(change for change in staged.changes if change.where.endswith(":2"))
    assert gone.what is None and staged.counts["redact"]["dropped"] == 1
    assert "1 that are dropped, because their answers would be lost" in staged.remarks[-1]


def test_corrections_count_places_in_the_text_that_the_audit_showed(tmp_path):
    (tmp_path / "rows.jsonl").write_text(json.dumps({"text": "cafÃ© by Ann", "spans": [[0, 4, "place"]]}) + "\n")
    (tmp_path / "held.jsonl").write_text(json.dumps({"text": "by Bob", "spans": [[3, 6, "person"]]}) + "\n")
    where, more = f"{tmp_path}/rows.jsonl:1", {"validation": str(tmp_path / "held.jsonl")}
    for text, spans in (("café by Ann", [[8, 11, "person"]]), ("cafÃ© by Ann", [[9, 12, "person"]])):
        answer = json.dumps(spans).replace('"', '""')
        (tmp_path / "corrections.csv").write_text(f'where,text,label\n{where},{text},"{answer}"\n')
        more |= {"clean": {"normalise": "fix"}, "corrections": str(tmp_path / "corrections.csv")}
        config = config_of(tmp_path, "token_classification", **more)
        train = stage_splits(config, create_task(config)).tables["train"]
        assert train.rows([0])[0] | {"where": ""} == {
            "text": "café by Ann", "starts": [8], "ends": [11], "label": ["person"],
            "word_starts": train.column("word_starts")[0], "word_ends": train.column("word_ends")[0], "where": "",
        }  # fmt: skip
