"""Texts that models make of train before a training: made once, by real models, kept, and learnt from."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from kerasft import augment, train
from kerasft.assembly import assemble, save_model
from kerasft.config.schema import Config
from kerasft.data.augmentation.marked_text import Edit, MarkedText, Span
from kerasft.data.augmentation.written import Paraphrase, read_texts, write_texts
from kerasft.errors import UserError
from kerasft.tasks.registry import create_task

FIXTURES = Path(__file__).parents[1] / "fixtures" / "hugging_face"
WRITES = {
    "name": "writes",
    "task": {"name": "seq2seq", "decoding": {"max_new_tokens": 6}},
    "model": {"preset": str(FIXTURES / "bart"), "max_length": 12},
    "data": {"train": "train.jsonl", "columns": {"input": "text", "output": "label"}},
}
FILLS = {
    "name": "fills",
    "task": {"name": "masked_lm"},
    "model": {"preset": "with_head", "max_length": 24},
    "data": {"train": "train.jsonl", "columns": {"text": "text"}},
}
METHODS = {
    "masked_lm": {"model": "fills.yaml", "judge": "runs/judge", "words": 0.5, "copies": 2},
    "back_translation": {"forward": "writes.yaml", "backward": "writes.yaml"},
}


@pytest.fixture
def models(trained_project, tiny_preset) -> Path:
    """A project whose run is the judge, with configs of presets that write and that fill masks, with random weights."""
    fills = Config.model_validate(FILLS)
    with_head = assemble(fills, create_task(fills), preset=str(tiny_preset))
    Path("with_head").mkdir()
    save_model(with_head, create_task(fills), Path("with_head"))
    shutil.move("runs/tiny", "runs/judge")
    no_head = FILLS | {"name": "no_head", "model": {"preset": str(tiny_preset), "max_length": 24}}
    for config in (WRITES, FILLS, no_head):
        Path(f"{config['name']}.yaml").write_text(yaml.safe_dump(config))
    config = yaml.safe_load(Path("config.yaml").read_text())
    config |= {"augment": {"rows": 1.0, **METHODS}, "export": {"enabled": False}}
    config["training"] |= {"epochs": None, "steps": 3}
    Path("config.yaml").write_text(yaml.safe_dump(config))
    return trained_project


@pytest.mark.long
def test_texts_are_made_once_and_learnt_from(models, capsys):
    assert train.main(["config.yaml", "name=first"]) == 0, capsys.readouterr().err
    files = {file.name.split("-")[0]: file for file in Path("augmented_texts").iterdir()}
    assert set(files) == set(METHODS)
    stamps = {file: file.stat().st_mtime_ns for file in files.values()}
    said = capsys.readouterr()
    texts = {json.loads(line)["text"] for line in Path("train.jsonl").read_text().splitlines()}
    for name, file in files.items():
        header, alternatives = read_texts(file)
        assert header["method"] == name and alternatives.keys() <= texts
        assert 0 < header["kept"] == sum(map(len, alternatives.values())), said.err
        assert set(header["models"]) == {key for key in METHODS[name] if key not in ("words", "copies")}
    assert (
        header_of(files["masked_lm"])["models"]["judge"]["id"]
        == json.loads(Path("runs/judge/run.json").read_text())["id"]
    )
    # As a run that finds them made: no model was loaded before it, and it ends with the same bits.
    assert train.main(["config.yaml", "name=second"]) == 0
    assert {file: file.stat().st_mtime_ns for file in files.values()} == stamps
    sums = [json.loads(Path(f"runs/{name}/metrics.json").read_text())["training"] for name in ("first", "second")]
    assert sums[0]["sha256"] == sums[1]["sha256"] and sum(sums[0]["augment"]["rows"].values()) > 0
    # A judge that is another run now is asked anew.
    identity = json.loads(Path("runs/judge/run.json").read_text())
    Path("runs/judge/run.json").write_text(json.dumps(identity | {"id": "another"}))
    assert augment.main(["config.yaml", "--show", "3", "--json"]) == 0
    assert header_of(files["masked_lm"])["models"]["judge"]["id"] == "another"
    assert files["back_translation"].stat().st_mtime_ns == stamps[files["back_translation"]]


def header_of(file: Path) -> dict:
    return read_texts(file)[0]


REFUSED = [
    ({"masked_lm": METHODS["masked_lm"] | {"model": "runs/judge"}}, "does not fill masks; name a masked_lm model"),
    ({"paraphrase": {"model": "runs/judge"}}, "augment.paraphrase.model: runs/judge is a text_classification"),
    ({"paraphrase": {"model": "writes.yaml", "judge": "writes.yaml"}}, "writes texts, which are not compared"),
    ({"paraphrase": {"model": "runs/none"}}, "runs/none"),
    ({"masked_lm": METHODS["masked_lm"] | {"model": "no_head.yaml"}}, "no head of a masked language model"),
    ({"masked_lm": {"model": "fills.yaml"}}, "augment.masked_lm.judge"),
]


def test_a_model_that_does_something_else_is_refused(models, capsys):
    config = yaml.safe_load(Path("config.yaml").read_text())
    for change, words in REFUSED:
        Path("config.yaml").write_text(yaml.safe_dump(config | {"augment": change, "name": "new"}))
        assert train.main(["config.yaml"]) == 2
        assert words in capsys.readouterr().err
        assert not Path("runs/new").exists() and not Path("augmented_texts").exists()


def test_a_text_whose_span_would_go_is_not_replaced(tmp_path):
    file = tmp_path / "texts.jsonl"
    header = {"method": "paraphrase", "texts": 2, "kept": 2, "models": {}}
    lines = {"two\u2028lines\u0085": [[Edit(0, 3, "2")]]}  # separators of lines that JSON leaves as they are
    write_texts(file, header, {"a mill": [[Edit(0, 6, "x")]], **lines})
    method = Paraphrase(None)
    _, method.alternatives = read_texts(file)
    assert method.alternatives.keys() == {"a mill", *lines}
    assert method.edits(MarkedText("a mill"), np.random.default_rng(0)) == [Edit(0, 6, "x")]
    assert method.edits(MarkedText("a mill", (Span(2, 6),)), np.random.default_rng(0)) == []
    assert method.edits(MarkedText("another"), np.random.default_rng(0)) == []
    file.write_text("{}")
    with pytest.raises(UserError, match="damaged"):
        read_texts(file)
