"""What the report says of texts in train and test is what an inspection calls leaks."""

import pytest

from kerasft.config.schema import Config
from kerasft.data.quality.overlap import overlap, text_keys
from kerasft.data.tables.table import Table
from kerasft.tasks.registry import create_task

MARKED = {"name": "relation_extraction"}


@pytest.mark.parametrize(
    ("task", "train", "test", "expected", "different"),
    [
        ({"name": "text_classification"}, ["One!", "two", "one"], ["ONE", "Two.", "three"], (2, 1), 2),
        (MARKED, ["<e1>A</e1> <e2>B</e2> C"], ["<e1>a</e1> b <e2>c</e2>"], (1, 0), 1),
    ],
)
def test_texts_are_compared_as_a_reader_does(task, train, test, expected, different):
    columns = {"text": "text", "label": "label"}
    values = {"name": "n", "task": task, "model": {"preset": "x"}, "data": {"train": "x", "columns": columns}}
    made = create_task(Config.model_validate(values))
    labels = {"One!": "a", "one": "b", "two": "a", "ONE": "b", "Two.": "b", "three": "a"}

    def table(texts: list[str]) -> Table:
        rows = ({"text": text, "label": labels.get(text, "a"), "where": f"f:{i}"} for i, text in enumerate(texts))
        return Table.from_rows(rows, made.schema())

    assert overlap(made, table(test), table(train)) == expected
    assert len(set(text_keys(made, table(train)))) == different
