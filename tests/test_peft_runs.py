"""Runs of `model.peft`: what they write, how they go on, and what starts from them."""

import itertools
import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file
from support.projects import make_project, train_in
from support.rarely import rarely

import kerasft
from kerasft import adapter, merge, run_adapter, train
from kerasft.assembly import load_model
from kerasft.models.presets.presets import load_backbone
from kerasft.peft.staying import staying_layers
from kerasft.runs import Run
from kerasft.tasks.registry import create_task
from kerasft.training.trainer import Trainer

LORA = {"method": "lora", "rank": 2, "alpha": 8, "dropout": 0.2}
QUERY = "base_model.model.bert.encoder.layer.0.attention.self.query"
STILL = ["training.steps=1", "training.optimizer.learning_rate=1e-12", "training.optimizer.weight_decay=0"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_preset) -> Path:
    """A project with the run `whole` of LoRA."""
    folder = tmp_path_factory.mktemp("peft")
    training = {"epochs": None, "steps": 6, "ema": 0.5}
    make_project(
        folder, tiny_preset, model={"peft": LORA, "dropout": 0.1}, training=training, export={"enabled": False}
    )
    train_in(folder, "name=whole")
    return folder


@pytest.fixture(autouse=True)
def here(trained, monkeypatch) -> None:
    monkeypatch.chdir(trained)


def metrics(run: str) -> dict:
    return json.loads(Path("runs", run, "metrics.json").read_text())


def tensors(run: str) -> dict[str, np.ndarray]:
    return load_file(f"runs/{run}/adapter/adapter_model.safetensors")


def test_a_run_leaves_a_merged_preset_an_adapter_and_small_checkpoints(tiny_preset):
    sizes = metrics("whole")["model"]
    assert sizes["trainable_parameters"] == 4 * 2 * 32 + 2 * 2 * 48 + 16 * 2 + 2
    assert sizes["trainable_share"] == sizes["trainable_parameters"] / sizes["parameters"]
    base, merged = (load_backbone(str(preset)) for preset in (tiny_preset, "runs/whole/model"))
    found = tensors("whole")
    delta = 4.0 * (found[f"{QUERY}.lora_B.weight"] @ found[f"{QUERY}.lora_A.weight"]).T
    blocks = [backbone.get_layer("transformer_layer_0") for backbone in (base, merged)]
    before, after = (block._self_attention_layer._query_dense.kernel.numpy().reshape(16, 16) for block in blocks)
    np.testing.assert_allclose(after - before, delta, atol=1e-6)
    assert np.abs(delta).max() > 1e-4
    facts = json.loads(Path("runs/whole/adapter/kerasft.json").read_text())
    assert facts["labels"] == ["money", "sport"] and len(facts["base"]["sha256"]) == 64
    files = list(Path("runs/whole/checkpoints").rglob("*.data*"))
    whole = Path(tiny_preset, "model.weights.h5").stat().st_size
    assert files and max(file.stat().st_size for file in files) < 0.6 * whole
    newest = Path("runs/whole/checkpoints").glob("ckpt-*.*")
    assert sizes["checkpoint_bytes"] == sum(file.stat().st_size for file in newest)
    assert 10**7 < sizes["peak_memory_bytes"] < 10**12 and sizes["device_peak_memory_bytes"] is None


def test_a_run_that_was_broken_off_ends_with_the_bits_of_one_that_was_not(monkeypatch, capsys):
    loop, calls = Trainer.train, itertools.count()

    def interrupted(trainer, steps):
        if next(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return loop(trainer, steps)

    monkeypatch.setattr(Trainer, "train", interrupted)
    assert train.main(["config.yaml", "name=broken"]) == 130
    said = capsys.readouterr().err
    assert f"training {metrics('whole')['model']['trainable_parameters']} of " in said
    # Beside other frozen weights it does not go on.
    shutil.copytree("runs/broken", "kept")
    other = yaml.safe_load(Path("runs/broken/config.yaml").read_text())
    other["model"]["preset"] = "run:runs/whole"
    Path("runs/broken/config.yaml").write_text(yaml.safe_dump(other))
    assert train.main(["runs/broken/config.yaml", "--resume"]) == 2
    assert "its run trained beside other frozen weights" in capsys.readouterr().err
    shutil.rmtree("runs/broken")
    shutil.move("kept", "runs/broken")
    assert train.main(["config.yaml", "name=broken", "--resume"]) == 0, capsys.readouterr().err
    whole, broken = metrics("whole"), metrics("broken")
    assert whole["training"]["sha256"] == broken["training"]["sha256"] and whole["test"] == broken["test"]
    for name, value in tensors("whole").items():
        np.testing.assert_array_equal(tensors("broken")[name], value)


def test_an_adapter_leaves_its_run_and_another_starts_from_it(capsys):
    assert adapter.main(["export", "runs/whole", "taken"]) == 0
    names = ["adapter_config.json", "adapter_model.safetensors", "kerasft.json"]
    assert sorted(path.name for path in Path("taken").iterdir()) == names
    assert adapter.main(["list"]) == 0 and "runs/whole: lora, 482 numbers" in capsys.readouterr().out
    assert merge.main(["runs/whole", "merged"]) == 0 and Path("merged/config.json").is_file()
    capsys.readouterr()
    assert adapter.main(["import", "taken"]) == 0
    section = yaml.safe_load(capsys.readouterr().out)["peft"]
    assert section["start"] == "taken" and section["rank"] == 2
    # Where nothing more is learnt, the run that starts from an adapter ends with what it had.
    assert train.main(["config.yaml", "name=second", "model.peft.start=taken", *STILL]) == 0, capsys.readouterr().err
    assert "model.peft.start: taken; the head is the adapter's" in capsys.readouterr().err
    for name, value in tensors("whole").items():
        np.testing.assert_allclose(tensors("second")[name], value, atol=1e-6)
    assert metrics("whole")["test"]["accuracy"] == metrics("second")["test"]["accuracy"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("model.preset=run:runs/whole", "was trained beside other weights than those of model.preset run:runs/whole"),
        ("model.peft.rank=3", "model.peft.rank: 3, but runs/whole/adapter has 2; set it to that"),
        ("model.trainable=head", "peft and trainable: head both say which weights are updated"),
        ("model.peft.targets=[classifier]", "classifier fits no linear layer of this BertBackbone"),
        ("model.peft.start=nowhere", "nowhere is no adapter: it has no adapter_config.json"),
    ],
)
def test_what_an_adapter_does_not_fit_is_refused_in_a_line(change, said, capsys):
    assert train.main(["config.yaml", "name=third", "model.peft.start=runs/whole", change]) == 2
    assert said in capsys.readouterr().err and not Path("runs/third").exists()


def test_an_adapter_that_can_t_be_written_leaves_nothing(tmp_path, monkeypatch):
    def failing(assembled, task, folder):
        (folder / "adapter_config.json").write_text("half")
        raise OSError("No space left on device")

    monkeypatch.setattr(run_adapter, "write_files", failing)
    with pytest.raises(OSError, match="No space"):
        run_adapter.save_adapter(None, None, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def staying(trained) -> Path:
    """Its run `beside` has adapters that stay in the model; it is exported."""
    peft = "{method: adapter, width: 4, style: houlsby}"
    train_in(trained, "name=beside", f"model.peft={peft}", "model.dropout=0", "export.enabled=true")
    return trained


def test_adapters_that_stay_are_saved_measured_served_and_started_from(staying, capsys):
    files = {path.name for path in Path("runs/beside/model").iterdir()}
    assert "peft.weights.npz" in files
    adapters, base = tensors("beside"), Path("runs/beside/adapter/adapter_config.json")
    ups = [value for name, value in adapters.items() if name.endswith("adapter_up.weight")]
    assert len(ups) == 2 and all(np.abs(value).max() > 1e-4 for value in ups)
    assert json.loads(base.read_text())["peft_type"] == "KERASFT_ADAPTER"
    texts = ["goal by the team", "the bank"]
    run, served = (kerasft.load(model).answer(texts) for model in ("runs/beside", "saved_models/beside"))
    assert [row["label"] for row in run] == [row["label"] for row in served]
    assert [row["score"] for row in run] == pytest.approx([row["score"] for row in served], abs=1e-5)
    assert merge.main(["runs/beside", "nothing"]) == 2 and not Path("nothing").exists()
    assert "runs/beside keeps its adapter in the model" in capsys.readouterr().err
    # As a preset it brings its adapters; nothing else may be put on top, and all of it may train.
    model = load_model(Path("runs/beside/model"), create_task(Run.open(Path("runs/beside")).config, {"labels": [1, 2]}))
    assert [type(layer).__name__ for layer in staying_layers(model.backbone)] == ["Dense", "EinsumDense"]
    assert train.main(["config.yaml", "name=third", "model.preset=run:runs/beside"]) == 2
    assert "has an adapter that stays beside" in capsys.readouterr().err
    start = ["model.peft={method: adapter, width: 4, style: houlsby, start: runs/beside}", *STILL]
    assert train.main(["config.yaml", "name=again", "model.dropout=0", *start]) == 0, capsys.readouterr().err
    for name, value in adapters.items():
        np.testing.assert_allclose(tensors("again")[name], value, atol=1e-6)
    assert metrics("again")["test"]["accuracy"] == metrics("beside")["test"]["accuracy"]


@pytest.mark.parametrize(
    "section",
    [
        *rarely("{method: p_tuning, tokens: 3, hidden: 8}"),
        "{method: prefix, tokens: 3, reparameterize: true, hidden: 8}",
    ],
    ids=["p_tuning", "prefix"],
)
def test_what_is_put_before_texts_is_saved_and_started_from(section, trained, capsys):
    name = section.split(",")[0].removeprefix("{method: ")
    peft = [f"model.peft={section}", "model.dropout=0"]
    assert train.main(["config.yaml", f"name={name}", *peft]) == 0, capsys.readouterr().err
    config = Run.open(Path("runs", name)).config
    state = json.loads(Path("runs", name, "model/kerasft_task.json").read_text())["state"]
    assembled = load_model(Path("runs", name, "model"), create_task(config, state))
    assert not any("network" in weight.path for weight in assembled.model.weights)
    ids = assembled.preprocessor({"text": ["goal"]})["token_ids"].numpy()[0]
    if name == "p_tuning":  # an ordinary preset, whose vocabulary is longer by the prompt; [CLS] comes first
        assert assembled.tokenizer.id_to_token(int(ids[0])) == "[CLS]" and ids[1:4].tolist() == state["prompt_ids"]
        assert not assembled.parts and len(ids) == 6
    else:
        assert len(ids) == 3 and [part.name for part in assembled.parts] == ["peft"]
    start = [f"model.peft={section[:-1]}, start: runs/{name}}}", "model.dropout=0", *STILL]
    assert train.main(["config.yaml", f"name={name}2", *start]) == 0, capsys.readouterr().err
    capsys.readouterr()
    for key, value in tensors(name).items():
        np.testing.assert_allclose(tensors(f"{name}2")[key], value, atol=1e-6)
    assert metrics(f"{name}2")["test"]["accuracy"] == metrics(name)["test"]["accuracy"]


def test_a_prompt_that_leaves_no_room_is_refused(capsys):
    assert train.main(["config.yaml", "name=third", "model.peft={method: prompt, tokens: 30}"]) == 2
    assert (
        "model.peft.tokens: 30 leave no room for a text in model.max_length, of which 10 tokens are"
        in capsys.readouterr().err
    )


def test_a_full_run_becomes_an_adapter_and_adapters_are_added(tiny_preset, capsys):
    assert train.main(["config.yaml", "name=all", "model.peft=null", "model.dropout=0"]) == 0, capsys.readouterr().err
    capsys.readouterr()
    assert adapter.main(["extract", "runs/all", "--rank", "16", "--to", "difference"]) == 0
    said = capsys.readouterr().err
    assert "rank 16 keeps 100.0% of the difference of linear layers" in said
    base, after = (load_backbone(str(preset)) for preset in (tiny_preset, "runs/all/model"))
    query = [
        backbone.get_layer("transformer_layer_0")._self_attention_layer._query_dense.kernel.numpy().reshape(16, 16)
        for backbone in (base, after)
    ]
    found = load_file("difference/adapter_model.safetensors")
    delta = (found[f"{QUERY}.lora_B.weight"] @ found[f"{QUERY}.lora_A.weight"]).T
    np.testing.assert_allclose(delta, query[1] - query[0], atol=1e-6)
    # The sum of it and another starts a run as any adapter does.
    both = ["merge", "difference", "runs/whole", "--how", "linear", "--weights", "1", "0.5", "--to", "sum"]
    assert adapter.main(both) == 0 and adapter.main(["import", "sum"]) == 0
    section = yaml.safe_load(capsys.readouterr().out.partition("\n")[2])["peft"]
    assert (section["rank"], section["alpha"]) == (18, 18.0)
    start = [f"model.peft.{key}={json.dumps(section[key])}" for key in ("rank", "alpha", "targets", "start")]
    assert train.main(["config.yaml", "name=summed", "model.peft.dropout=0", *start, *STILL]) == 0
    merged = load_backbone("runs/summed/model")
    kernel = merged.get_layer("transformer_layer_0")._self_attention_layer._query_dense.kernel.numpy().reshape(16, 16)
    own = tensors("whole")
    more = 4.0 * (own[f"{QUERY}.lora_B.weight"] @ own[f"{QUERY}.lora_A.weight"]).T
    np.testing.assert_allclose(kernel - query[0], delta + 0.5 * more, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["merge", "runs/whole", "runs/whole", "--to", "x"], "say --how (linear, ties, dare, svd) and --to DIR"),
        (["merge", "runs/whole", "runs/whole", "--how", "svd", "--density", "0.5", "--to", "x"], "--density: for ties"),
        (["extract", "runs/whole", "--to", "x"], "say --rank R and --to DIR"),
        (["export", "runs/whole", "x", "--rank", "2"], "it takes no --rank"),
    ],
)
def test_what_an_action_does_not_take_is_refused(arguments, said, capsys):
    assert adapter.main(arguments) == 2
    assert said in capsys.readouterr().err and not Path("x").exists()
