"""Instructions whose input may be missing or null, as Alpaca's are; and a column that is nowhere is still told."""

import json

import pytest

from kerasft.config.schema import Config
from kerasft.data.sources.sources import Record
from kerasft.data.splits import load_splits
from kerasft.errors import UserError
from kerasft.tasks.registry import create_task

COLUMNS = {"instruction": "instruction", "input": "input", "output": "output"}
ROWS = [
    {"instruction": "Translate.", "input": "cat", "output": "Katze"},
    {"instruction": "Name a colour.", "input": None, "output": "red"},
    {"instruction": "Name a tree.", "input": float("nan"), "output": "oak"},
    {"instruction": "Name a tree.", "output": "oak"},
    {"instruction": "Say nothing.", "input": "", "output": "-"},
]


def read(tmp_path, rows, task, **columns):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows * 5), encoding="utf-8")
    config = Config.model_validate(
        {
            "name": "n",
            "task": task,
            "model": {"preset": None, "architecture": {"family": "bart" if task["name"] == "seq2seq" else "gpt2"}},
            "data": {"train": str(path), "validation": 0.25, "columns": COLUMNS | columns},
        }
    )
    made = create_task(config)
    return made, load_splits(config, made)["train"]


@pytest.mark.parametrize("task", [{"name": "seq2seq"}, {"name": "text_generation", "mode": "prompt_completion"}])
def test_a_missing_input_is_none(tmp_path, task):
    made, table = read(tmp_path, ROWS, task)
    found = set(zip(table.column("instruction"), table.column("input")))
    assert found == {("Translate.", "cat"), ("Name a colour.", ""), ("Name a tree.", ""), ("Say nothing.", "")}
    for row in ROWS:
        inputs = made.parse_inputs(Record(row, "a:1"))
        assert inputs == {"instruction": row["instruction"], "input": "cat" if row is ROWS[0] else ""}
    with pytest.raises(UserError, match="no column 'inptu' at .*rows.jsonl:1; did you mean 'input'"):
        read(tmp_path, ROWS, task, input="inptu")
    with pytest.raises(UserError, match="no row has a column 'context'; correct its name, or remove the key"):
        read(tmp_path, ROWS[3:4], task, input="context")
    with pytest.raises(UserError, match="column 'output' is None"):
        read(tmp_path, [*ROWS, ROWS[0] | {"output": None}], task)
    with pytest.raises(UserError, match="rows.jsonl:6: column 'instruction' is None"):
        read(tmp_path, [*ROWS, ROWS[0] | {"instruction": None}], task)
