"""`kerasft compress`: runs from a run, by the program itself."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.projects import make_project, train_in
from support.rarely import rarely
from support.shared import shared_folder
from support.tiny_bert import make_tiny_preset

from kerasft.cli import main
from kerasft.compress.measures import bytes_of, without_numbers
from kerasft.inference.predictor import load
from kerasft.models.blocks import transformer_blocks
from kerasft.models.presets.fewer_layers import even_layers, fewer_layers
from kerasft.models.presets.presets import load_backbone
from kerasft.runs import Run

TEXTS = ["goal match team", "bank stock price trade"]  # of tokens that the training texts use


@pytest.fixture(scope="module")
def parent(tmp_path_factory) -> Path:
    """A project with a trained run, `tiny`, of two layers."""

    def make(folder: Path) -> None:
        preset = make_tiny_preset(folder / "preset", dropout=0.0, layers=2)
        make_project(folder, preset, training={"epochs": 1}, export={"enabled": False})
        train_in(folder)

    return shared_folder(tmp_path_factory, "compress", make)


@pytest.fixture
def here(parent, tmp_path, monkeypatch) -> Path:
    shutil.copytree(parent, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def compress(*words: str) -> int:
    return main(["compress", "runs/tiny", *words])


def compression(name: str) -> dict:
    return json.loads(Path("runs", name, "metrics.json").read_text())["compression"]


def test_a_smaller_run_is_a_run_with_both_side_by_side(here, capsys):
    assert compress("method=vocabulary", "name=small") == 0
    figures = compression("small")
    assert figures["parent"] == "runs/tiny"
    assert figures["tokens"] < figures["parent_tokens"] == 91
    assert figures["bytes"] == bytes_of(Path("runs/small/model")) < figures["parent_bytes"]
    assert figures["agreement"] == 1.0 and figures["score"] == figures["parent_score"]
    assert min(figures["speedup_batch_1"], figures["speedup_batch_32"]) > 0
    assert "same answers" in capsys.readouterr().out
    assert main(["evaluate", "runs/small"]) == 0
    assert compress("method=vocabulary", "name=small") == 2
    assert "runs/small exists; choose another name" in capsys.readouterr().err
    assert main(["compress", "runs/small", "method=vocabulary", "name=smaller"]) == 2
    assert "none can go" in capsys.readouterr().err


def test_texts_of_kept_tokens_have_the_same_logits_and_a_killed_run_is_finished(here, monkeypatch, capsys):
    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save_model", killed)
        assert compress("method=vocabulary", "name=small") == 130
    assert "--resume finishes runs/small" in capsys.readouterr().err
    assert compress("method=vocabulary", "name=small", "--resume") == 0
    one, other = (load(f"runs/{name}").answer(TEXTS) for name in ("tiny", "small"))
    assert one == other


@pytest.mark.parametrize("storage, share", [("int8", 0.36), *rarely(("float16", 0.55), ("int4", 0.33))])
def test_stored_in_fewer_bits_it_is_smaller_and_answers_alike(here, storage, share):
    assert compress("method=quantize", f"storage={storage}", "name=narrow", "output.dir=runs") == 0
    assert _weight_bytes("narrow") <= share * _weight_bytes("tiny")
    one, other = (load(f"runs/{name}").answer(TEXTS) for name in ("tiny", "narrow"))
    assert [row["label"] for row in one] == [row["label"] for row in other]
    tolerance = 0.1 if storage == "int4" else 0.02
    np.testing.assert_allclose([row["score"] for row in one], [row["score"] for row in other], atol=tolerance)
    assert main(["compress", "runs/narrow", "method=quantize", f"storage={storage}", "name=again"]) == 2
    if storage == "int8":  # what is trained from it is in float32 again
        assert main(["train", "runs/narrow/config.yaml", "name=more", "model.preset=run:runs/narrow"]) == 0
        assert _weight_bytes("more") == _weight_bytes("tiny")


def _weight_bytes(name: str) -> int:
    """Of the arrays as they lie in the file: a tiny file is mostly the names of groups."""
    sizes = []

    def add(_: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            sizes.append(item.id.get_storage_size())

    with h5py.File(f"runs/{name}/model/model.weights.h5") as file:
        file.visititems(add)
    return sum(sizes)


def test_halved_feed_forward_layers_are_smaller_matrices_as_a_profile_says(here, capsys):
    assert main(["profile", "runs/tiny", "--json", "profile.json"]) == 0
    said = capsys.readouterr().out
    figures = json.loads(Path("profile.json").read_text())
    parts = {part["name"]: part for part in figures["parts"]}
    assert {"layer 0: attention", "layer 1: feed-forward and norms", "classifier"} <= parts.keys()
    assert 4 * sum(part["parameters"] for part in parts.values()) == figures["bytes"]
    assert all(part["milliseconds"]["32"] > 0 for part in parts.values() if part["name"].endswith("attention"))
    steps = {step["step"]: step for step in figures["steps"]}
    assert all(name in said for name in steps)

    assert compress("method=feedforward", "keep=0.5", "name=thin") == 0
    weights = Run.open(Path("runs/thin")).load().model.weights
    made = sum(4 * int(np.prod(weight.shape)) for weight in weights)
    assert made == steps["method=feedforward keep=0.5"]["bytes"] < figures["bytes"]
    assert json.loads(Path("runs/thin/model/config.json").read_text())["config"]["intermediate_dim"] == 16
    assert compression("thin")["units"] == 16
    assert compression("thin")["agreement"] >= 0.9


@pytest.mark.long
def test_heads_that_go_make_smaller_matrices_that_evaluation_training_and_export_take(here, capsys):
    assert main(["profile", "runs/tiny", "--json", "profile.json"]) == 0
    steps = {step["step"]: step for step in json.loads(Path("profile.json").read_text())["steps"]}
    assert compress("method=heads", "keep=0.5", "name=thin") == 0
    assert "heads: 1 of 2 heads stay in each layer" in capsys.readouterr().err
    model = Run.open(Path("runs/thin")).load().model
    assert sum(4 * int(np.prod(weight.shape)) for weight in model.weights) == steps["method=heads keep=0.5"]["bytes"]
    attention = transformer_blocks(load_backbone("runs/thin/model"))[0]._self_attention_layer
    assert attention.num_heads == 1 and attention.key_dim == 8
    assert compression("thin")["heads"] == 1 and compression("thin")["agreement"] >= 0.9
    assert main(["evaluate", "runs/thin"]) == 0
    more = ["train", "runs/thin/config.yaml", "name=more", "model.preset=run:runs/thin", "export.enabled=true"]
    assert main([*more, "data.batching=pack"]) == 0  # the export is compared with Keras
    one, other = (load(place).answer(TEXTS) for place in ("runs/more", "saved_models/more"))
    assert [row["label"] for row in one] == [row["label"] for row in other]
    assert main(["compress", "runs/more", "method=drop_layers", "layers=1", "name=less"]) == 0
    assert transformer_blocks(load_backbone("runs/less/model"))[0]._self_attention_layer.num_heads == 1
    capsys.readouterr()
    assert main([*more, "--overwrite", "export.formats=[saved_model, huggingface]"]) == 2
    assert "here heads were removed; leave it out" in capsys.readouterr().err


def test_a_pruned_run_has_its_zeros_on_disk_and_a_smaller_file(here):
    words = ("sparsity=0.7", "name=sparse", "training.epochs=1", "model.peft.every=1")
    assert compress("method=prune_weights", *words) == 0
    assert compression("sparse")["settings"]["sparsity"] == 0.7
    figures = json.loads(Path("runs/sparse/metrics.json").read_text())
    assert figures["model"]["peft"]["sparsity"] == pytest.approx(0.7, abs=0.01)
    assert not Path("runs/sparse/adapter").exists()
    model = Run.open(Path("runs/sparse")).load().model
    kernels = [weight for weight in model.weights if "query/kernel" in weight.path]
    assert [np.mean(kernel.numpy() == 0) for kernel in kernels] == pytest.approx([0.7] * 2, abs=0.01)


def test_steps_are_taken_as_long_as_no_more_is_lost_than_allowed(here, capsys):
    assert compress("max_loss=30", "name=small") == 0
    walk = compression("small")["walk"]
    assert [step["step"] for step in walk[:3]] == ["vocabulary", "quantize float16", "quantize int8"]
    assert all(step["kept"] == (step["loss"] <= 30) for step in walk)
    assert {"feedforward 0.5", "heads 0.5"} <= {step["step"] for step in walk}  # 0.75 of two heads are two
    assert json.loads(Path("runs/small/model/config.json").read_text())["kerasft_storage"] == "int8"
    assert compression("small")["bytes"] < compression("small")["parent_bytes"]


def test_layers_that_matter_least_go(here, capsys):
    assert compress("method=drop_layers", "layers=1", "name=low", "rows=16") == 0
    kept = compression("low")["kept_layers"]
    gone = 1 - kept[0]
    assert f"layer {gone} goes" in capsys.readouterr().err
    assert json.loads(Path("runs/low/model/config.json").read_text())["config"]["num_layers"] == 1
    assert compress("method=drop_layers", "layers=2", "name=other") == 2


def test_a_student_learns_from_its_teacher_and_goes_on_where_it_was_killed(here, monkeypatch, capsys):
    words = (
        "method=distil",
        "layers=1",
        "hidden=0.5",
        "relations=0.5",
        "name=student",
        "training.steps=4",
        "training.epochs=null",
        "unlabelled=more.txt",
    )
    known = json.loads(Path("train.jsonl").read_text().splitlines()[0])["text"]
    Path("more.txt").write_text(f"{known}\nteam score in the bank\na coach of the market\na coach of the market\n")
    from kerasft.compress import distil

    def killed(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(distil, "add_comparison", killed)
        assert compress(*words) == 130
    assert "unlabelled: 2 of 4 texts; those of train" in capsys.readouterr().err
    assert compress(*words, "--resume") == 0
    assert compression("student")["settings"]["layers"] == 1
    assert json.loads(Path("runs/student/metrics.json").read_text())["training"]["unlabelled"] == 2
    assert compression("student")["bytes"] < compression("student")["parent_bytes"]
    assert compress(*words, "--resume") == 2
    assert "there is nothing to resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, line",
    [
        (["method=smaller", "name=x"], "command line: method: 'smaller' is none; choose one of vocabulary, distil"),
        (["name=x"], "command line: method: missing"),
        (["method=vocabulary"], "command line: name: missing"),
        (["method=vocabulary", "name=tiny"], "name: tiny is the name of runs/tiny itself; choose another"),
        (["method=feedforward", "name=x", "keep=2"], "command line: keep: 2"),
        (["method=feedforward", "name=x", "kep=0.5"], "did you mean keep?"),
        (
            ["method=quantize", "name=x", "training.epochs=1"],
            "quantize does not train; of the config it takes keys of output",
        ),
        (["method=distil", "name=x", "layers=1", "teacher=runs/none"], "teacher: runs/none is not a run"),
        (["method=distil", "name=x", "teacher=runs/tiny"], "layers: missing, and without it the student would be its"),
        (["method=distil", "name=x"], "layers: missing, and without it the student would be its teacher"),
        (["method=distil", "name=x", "layers=3"], "model.layers: 3 of the 2 layers of this BertBackbone"),
    ],
)
def test_a_mistake_is_one_line(here, capsys, words, line):
    assert compress(*words) == 2
    assert line in capsys.readouterr().err
    assert not Path("runs/x").exists()


def test_layers_are_spread_evenly_and_copied(tiny_bert):
    assert even_layers(6, 3) == [1, 3, 5] and even_layers(12, 4) == [2, 5, 8, 11]
    backbone = tiny_bert()
    student = fewer_layers(backbone, [1])
    pairs = zip(transformer_blocks(student)[0].weights, transformer_blocks(backbone)[1].weights, strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
    np.testing.assert_array_equal(student.token_embedding.embeddings, backbone.token_embedding.embeddings)


def test_answers_are_compared_without_their_scores():
    answer = {"label": "a", "score": 0.5, "spans": [{"text": "b", "score": 0.1}], "values": [0.1, 0.2], "none": []}
    assert without_numbers(answer) == {"label": "a", "spans": [{"text": "b"}], "none": []}
