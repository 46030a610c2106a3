"""DER++ reads the logits that were stored, and never makes them anew; what a method with a buffer starts from."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from kerasft.config.continual import DarkExperienceConfig, ReplayConfig
from kerasft.continual.memory.buffers import reservoir
from kerasft.continual.methods.base import Situation
from kerasft.continual.methods.dark_experience import DarkExperience
from kerasft.continual.methods.replay import Replay
from kerasft.data.tables.table import Table
from kerasft.errors import UserError

SCHEMA = pa.schema([("text", pa.large_string()), ("label", pa.string()), ("where", pa.string())])


def row(number: int, label: str) -> dict:
    return {"text": f"row {number}", "label": label, "where": f"f:{number}"}


def method(folder: Path, new: int) -> DarkExperience:
    (folder / "continual").mkdir()
    lines = [{"row": row(0, "a"), "logits": [1.0]}, {"row": row(1, "b"), "logits": [2.0, 3.0]}]  # two stages
    (folder / "continual" / "buffer.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    parent = SimpleNamespace(folder=folder, load_state=lambda: {"labels": ["a", "b"]})
    config = SimpleNamespace(seed=3)
    train = Table.from_rows([row(10 + i, "c") for i in range(new)], SCHEMA)
    section = DarkExperienceConfig(method="der++", alpha=0.25, beta=0.75)
    return DarkExperience(section, Situation(config, None, ["a", "b", "c"], parent, train))


def test_each_kept_row_has_its_own_logits_of_the_classes_known_then(tmp_path):
    der = method(tmp_path, new=4)
    rows, terms = der.train().rows(range(12)), der.terms()
    assert [each["label"] for each in rows[:4]] == ["c"] * 4
    assert terms["labels"].tolist() == [1.0] * 4 + [0.0] * 4 + [0.75] * 4
    assert terms["distance"].tolist() == [0.0] * 4 + [0.25] * 4 + [0.0] * 4
    stored = {"row 0": ([1.0, 0.0], [1.0, 0.0]), "row 1": ([2.0, 3.0], [1.0, 1.0])}
    for place in range(4, 8):
        logits, known = stored[rows[place]["text"]]
        assert terms["stored"][place].tolist() == logits and terms["known"][place].tolist() == known
    assert not terms["known"][:4].any() and not terms["known"][8:].any()


def test_the_two_draws_are_independent_and_repeat(tmp_path):
    der = method(tmp_path, new=40)
    texts = [each["text"] for each in der.train().rows(range(120))]
    assert sorted(texts[40:80]) == sorted(texts[80:]) and texts[40:80] != texts[80:]
    assert [each["text"] for each in der.train().rows(range(120))] == texts
    np.testing.assert_array_equal(der.terms()["stored"], der.terms()["stored"])


def test_the_reservoir_of_a_parent_without_one_is_drawn_as_if_it_had_kept_it(tmp_path):
    parent = SimpleNamespace(folder=tmp_path)
    table = Table.from_rows([row(number, "a") for number in range(30)], SCHEMA)
    section = ReplayConfig(method="replay", buffer="reservoir", rows=4)
    replay = Replay(section, Situation(SimpleNamespace(seed=3), None, ["a"], parent, table, table))
    assert [each["text"] for each in replay.kept().rows(range(4))] == [f"row {i}" for i in reservoir(4, 30, 3)]


def test_a_buffer_whose_rows_are_all_forgotten_is_refused(tmp_path):
    der = method(tmp_path, new=4)
    (tmp_path / "continual" / "buffer.jsonl").write_text("")
    with pytest.raises(UserError, match="keeps no row any more"):
        der.train()
