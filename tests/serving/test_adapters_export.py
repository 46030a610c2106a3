"""One SavedModel of a base and several adapters, from the config to answers of the server's own session."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml
from support.projects import make_project, train_in

import kerasft
from kerasft import check_servable, export, predict
from kerasft.errors import UserError
from kerasft.serving import warm_up
from kerasft.serving.filters import filters_of
from kerasft.serving.servable_graph import read_meta_graph
from kerasft.serving.server.loaded_model import LoadedModel
from kerasft.serving.status import ServingError

ADAPTERS = {"finance": "run:runs/b", "support": "run:runs/a"}
TEXTS = ["goal by the team", "the bank and the stock market", "", "a price"]


@pytest.fixture(scope="module")
def project(tmp_path_factory, tiny_preset) -> Path:
    """Runs `a` (LoRA, two labels) and `b` (bottleneck adapters, three labels, shorter texts), exported as `many`."""
    folder = tmp_path_factory.mktemp("adapters")
    training, off = {"epochs": None, "steps": 6}, {"enabled": False}
    lora = {"model": {"peft": {"method": "lora", "rank": 2}}}
    make_project(folder, tiny_preset, training=training, export=off, **lora)
    train_in(folder, "name=a")
    model = {"peft": {"method": "adapter", "width": 4}, "max_length": 8}
    together = {"adapters": ADAPTERS}
    serving = {"filters": [{"name": "rude", "words": ["idiot"]}]}
    make_project(folder, tiny_preset, "multi_label", training=training, export=together, model=model, serving=serving)
    train_in(folder, "name=b")
    return folder


@pytest.fixture(autouse=True)
def here(project, monkeypatch) -> None:
    monkeypatch.chdir(project)


def version() -> Path:
    return Path("saved_models/b/1")


def test_a_training_ends_with_the_export_of_all_adapters():
    facts = json.loads((version() / "assets.extra/kerasft.json").read_text())
    assert {name: each["labels"] for name, each in facts["adapters"].items()} == {
        "support": ["money", "sport"],
        "finance": ["dull", "money", "sport"],
    }
    assert (version() / "assets.extra/labels-support.txt").read_text() == "money\nsport\n"
    assert [each.name for each in filters_of(facts)] == ["rude"] and facts["serving"]["filters"]
    assert sorted(facts["signatures"]) == ["finance", "serving_default", "support"]
    assert sorted(facts["signatures"]["serving_default"]["inputs"]) == ["adapter", "text"]
    logs = warm_up.read(version())
    keys = [log.predict_log.request.model_spec.signature_name for log in logs]
    assert sorted(set(keys)) == ["finance", "serving_default", "support"] and len(keys) == 9
    curl = Path("saved_models/b/serving/README.md").read_text()
    assert '"adapter": "finance"' in curl


def test_it_has_a_card_with_a_part_for_each_adapter():
    card = Path("saved_models/b/MODEL_CARD.md").read_text()
    facts = json.loads(Path("saved_models/b/model_card.json").read_text())["adapters"]
    assert facts.keys() == ADAPTERS.keys()
    for name, each in facts.items():
        assert f"## Adapter {name}" in card and each["training"]["sha256"] in card


def test_the_base_is_stored_once():
    shapes = [shape for _, shape in tf.train.list_variables(str(version() / "variables/variables"))]
    assert shapes.count([64, 16]) == 1  # the table of positions


def test_rows_of_one_batch_are_answered_by_the_adapters_that_they_name():
    served = kerasft.load("saved_models/b")
    rows = [{"text": text, "adapter": name} for text in TEXTS for name in ADAPTERS]
    answers = served.answer(rows)
    for name, run in ADAPTERS.items():
        own = kerasft.load(run.removeprefix("run:")).answer(TEXTS)
        mine = [answer for answer, row in zip(answers, rows) if row["adapter"] == name]
        for one, other in zip(mine, own):
            assert one["probabilities"].keys() == other["probabilities"].keys()
            np.testing.assert_allclose(
                list(one["probabilities"].values()), list(other["probabilities"].values()), atol=1e-5
            )
        alone = kerasft.load("saved_models/b", adapter=name).answer(TEXTS)
        assert [answer["label"] for answer in alone] == [answer["label"] for answer in own]
    with pytest.raises(UserError, match="text 0: adapter is 'nix'; each row names one of finance, support"):
        served.answer([{"text": "a", "adapter": "nix"}])


def test_a_server_answers_each_row_and_lists_the_adapters_where_one_is_unknown():
    model = LoadedModel(version())
    text, names = np.array([b"goal", b"goal", b"bank"], object), np.array([b"support", b"finance", b"support"], object)
    mixed = model.run("serving_default", {"text": text, "adapter": names})
    own = {name: model.run(name, {"text": text}) for name in ADAPTERS}
    for row, name in enumerate(names):
        for output, values in own[name.decode()].items():
            served = mixed[output][row]
            if values.ndim == 2:  # with blanks behind, where another adapter has more labels
                width = values.shape[1]
                assert not any(served[width:]) or served[width:].tolist() == [b""] * (len(served) - width)
                served = served[:width]
            if values.dtype == object:
                np.testing.assert_array_equal(served, values[row])
            else:
                np.testing.assert_allclose(served, values[row], atol=1e-5)
    with pytest.raises(ServingError, match="there is no such adapter; there are finance, support: .*nix") as refused:
        model.run("serving_default", {"text": text[:1], "adapter": np.array([b"nix"], object)})
    assert refused.value.code.name == "INVALID_ARGUMENT"
    model.close()
    assert "If" in {node.op for f in read_meta_graph(version()).graph_def.library.function for node in f.node_def}


def test_programs_know_adapters(capsys, tmp_path):
    Path("texts.txt").write_text("goal\n")
    assert predict.main(["saved_models/b", "--adapter", "support", "--input", "texts.txt"]) == 0
    one = json.loads(capsys.readouterr().out)
    Path("rows.jsonl").write_text(json.dumps({"text": "goal", "adapter": "support"}) + "\n")
    assert predict.main(["saved_models/b", "--input", "rows.jsonl"]) == 0
    assert json.loads(capsys.readouterr().out)["label"] == one["label"]
    assert predict.main(["saved_models/b", "--input", "rows.jsonl", "--precision", "mixed_bfloat16"]) == 2
    assert "--precision: saved_models/b" in capsys.readouterr().err
    assert predict.main(["saved_models/b", "--adapter", "nix", "--input", "texts.txt"]) == 2
    assert "there is no adapter 'nix'; there are finance, support" in capsys.readouterr().err
    assert predict.main(["runs/a", "--adapter", "nix", "--input", "texts.txt"]) == 2
    assert "--adapter: runs/a is one model" in capsys.readouterr().err
    assert check_servable.main(["saved_models/b", "--run"]) == 0
    assert "signatures finance, serving_default, support" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("adapters", "said"),
    [
        ({"classify": "run:runs/a"}, "'classify' can't be the name of an adapter"),
        ({"x": "runs/nowhere"}, "runs/nowhere is not a run"),
        ({"x": "runs/a", "y": "runs/strange"}, "runs/strange has another base than runs/a"),
        ({"x": "runs/plain"}, "export.adapters.x: runs/plain was trained without model.peft"),
        ({"x": "runs/biases"}, "is of bitfit, which changes weights of the base itself"),
    ],
)
def test_what_can_t_be_exported_together_is_refused_in_a_line(adapters, said, capsys):
    strange_runs()
    Path("bad.yaml").write_text(yaml.safe_dump({"name": "bad", "export": {"adapters": adapters}}))
    assert export.main(["bad.yaml"]) == 2
    assert said in capsys.readouterr().err and not Path("saved_models/bad").exists()


def strange_runs() -> None:
    """Copies of run `a`: without `model.peft`, of another method, of another base."""
    for name, change in (("plain", None), ("biases", {"method": "bitfit"}), ("strange", {"method": "lora", "rank": 2})):
        if not Path("runs", name).exists():
            shutil.copytree("runs/a", f"runs/{name}")
            config = yaml.safe_load(Path("runs", name, "config.yaml").read_text())
            config["model"]["peft"] = change
            Path("runs", name, "config.yaml").write_text(yaml.safe_dump(config))
    facts = Path("runs/strange/adapter/kerasft.json")
    content = json.loads(facts.read_text())
    facts.write_text(json.dumps({**content, "base": {**content["base"], "sha256": "0"}}))
