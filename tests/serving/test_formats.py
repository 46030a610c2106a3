"""Forms of an export beside the SavedModel: what is written is what Keras computes."""

import json
from pathlib import Path

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from support.families import BACKBONES

from kerasft.cli import main
from kerasft.errors import ServableError, UserError
from kerasft.inference.predictor import load
from kerasft.models.presets.from_scratch import train_byte_pairs
from kerasft.models.presets.gguf_export import check_llama, write_gguf
from kerasft.models.presets.gguf_llama import gguf_backbone, gguf_tokenizer
from kerasft.models.presets.huggingface_export import huggingface_config, huggingface_tensors
from kerasft.models.presets.presets import load_backbone, load_tokenizer
from kerasft.runs import Run
from kerasft.serving.formats import registry
from kerasft.serving.formats.registry import write_formats

TEXTS = ["the goal", "bank stock price", "a match of the team, and the 7"]


def randomised(backbone: keras.Model) -> keras.Model:
    random = np.random.default_rng(0)
    for weight in backbone.weights:
        weight.assign(random.normal(1.0 if len(weight.shape) == 1 else 0.0, 0.2, weight.shape))
    return backbone


def with_formats(*names: str) -> Run:
    run = Run.open(Path("runs/tiny"))
    export = run.config.export.model_copy(update={"formats": ["saved_model", *names]})
    return Run(run.folder, run.config.model_copy(update={"export": export}))


def first(outputs) -> np.ndarray:
    return np.asarray(outputs["sequence_output"] if isinstance(outputs, dict) else outputs)


@pytest.mark.parametrize("family", ["bert", "distil_bert", "roberta", "xlm_roberta"])
def test_a_backbone_in_hugging_face_form_is_read_as_the_same(tmp_path, family):
    """By KerasHub's converter of that family, which has nothing to do with how it was written."""
    from safetensors.numpy import save_file

    from kerasft.models.presets.huggingface import load_huggingface_backbone

    backbone = randomised(BACKBONES[family](40))
    config = huggingface_config(backbone)
    tensors = huggingface_tensors(backbone)
    # Its hooks reshape, so it would read other shapes, too: those of transformers have no heads.
    attention = {value.shape for name, value in tensors.items() if "attention" in name}
    assert attention == {(8,), (8, 8)}
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, tmp_path / "model.safetensors")
    again = load_huggingface_backbone(str(tmp_path), config, None, True)
    random = np.random.default_rng(1)
    inputs = {tensor.name: np.ones((2, 9), np.int32) for tensor in backbone.inputs}
    inputs["token_ids"] = random.integers(0, 40, (2, 9))
    np.testing.assert_allclose(first(again(inputs)), first(backbone(inputs)), atol=1e-5)


def test_forms_are_folders_beside_the_version_and_answer_alike(trained_project, capsys):
    folder = Path("saved_models/tiny")
    said = []
    write_formats(with_formats("litert", "huggingface"), folder, said.append)
    assert [line.split(":")[0] for line in said] == ["litert", "huggingface"]
    check = json.loads((folder / "litert" / "kerasft.json").read_text())["check"]
    assert check["texts"] == 33 and check["agreement"] >= 0.9

    Path("texts.txt").write_text("".join(f"{text}\n" for text in TEXTS))
    assert main(["predict", str(folder / "litert"), "--input", "texts.txt"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    expected = load("runs/tiny").answer(TEXTS)
    assert [row["label"] for row in rows] == [row["label"] for row in expected]
    np.testing.assert_allclose([row["score"] for row in rows], [row["score"] for row in expected], atol=0.02)

    backbone, tokenizer = (make(str(folder / "huggingface")) for make in (load_backbone, load_tokenizer))
    own = load_tokenizer("runs/tiny/model")
    assert own.get_vocabulary() == tokenizer.get_vocabulary()
    assert backbone.vocabulary_size == len(own.get_vocabulary())
    config = json.loads((folder / "huggingface" / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {"0": "money", "1": "sport"}


def test_a_form_that_answers_otherwise_does_not_appear(trained_project, monkeypatch):
    def broken(model, folder):
        from kerasft.serving.formats.litert import write_litert

        kernel = model.get_layer("classifier").kernel
        kernel.assign(-kernel)  # what is converted is not what Keras computes afterwards
        write_litert(model, folder)
        kernel.assign(-kernel)

    monkeypatch.setattr(registry, "write_litert", broken)
    with pytest.raises(ServableError, match="have Keras' answer, fewer than 90%"):
        write_formats(with_formats("litert"), Path("saved_models/tiny"), print)
    assert [path.name for path in Path("saved_models/tiny").glob("*litert*")] == []


def test_a_head_that_transformers_has_not_is_refused(trained_project):
    from kerasft.assembly import load_model
    from kerasft.serving.formats.huggingface import head_form
    from kerasft.tasks.registry import create_task

    run = Run.open(Path("runs/tiny"))
    assembled = load_model(run.folder / "model", create_task(run.config, run.load_state()))
    assert head_form(assembled, "bert").architecture == "ForSequenceClassification"
    with pytest.raises(UserError, match="transformers has no head such as this model's"):
        head_form(assembled, "distilbert")


def test_a_llama_in_gguf_is_read_as_the_same(tmp_path):
    tokenizer = train_byte_pairs(lambda: TEXTS * 3, 300)
    backbone = keras_hub.models.Llama3Backbone(
        vocabulary_size=tokenizer.vocabulary_size(), num_layers=2, num_query_heads=4, num_key_value_heads=2,
        hidden_dim=64, intermediate_dim=96, rope_max_wavelength=5000, layer_norm_epsilon=1e-3, tie_word_embeddings=True,
    )  # fmt: skip
    check_llama(randomised(backbone), tokenizer)
    file = tmp_path / "llama.gguf"
    write_gguf(file, backbone, tokenizer, "llama", 32)
    assert file.stat().st_size < 0.5 * sum(4 * np.prod(weight.shape) for weight in backbone.weights)
    again = gguf_backbone(str(file), None, True)
    inputs = {"token_ids": np.arange(10)[None] + 60, "padding_mask": np.ones((1, 10), np.int32)}
    one, other = np.asarray(backbone(inputs)), np.asarray(again(inputs))
    assert np.abs(one - other).max() < 0.05 * np.abs(one).max()  # eight bits
    encode = [
        tf.function(each.tokenize)(tf.constant(TEXTS)).to_list() for each in (tokenizer, gguf_tokenizer(str(file)))
    ]
    assert encode[0] == encode[1]
    with pytest.raises(UserError, match="is no Llama"):
        check_llama(BACKBONES["bert"](40), tokenizer)
