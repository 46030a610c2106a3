"""Forms of an export beside the SavedModel: what is written is what Keras computes."""

import importlib.util
import json
import math
from pathlib import Path

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from gguf import GGUFReader
from support.families import BACKBONES

from kerasft.cli import main
from kerasft.errors import ServableError, UserError
from kerasft.inference.predictor import load
from kerasft.models.presets.from_scratch import train_byte_pairs
from kerasft.models.presets.gguf_export import check_llama, write_gguf
from kerasft.models.presets.gguf_llama import gguf_backbone, gguf_tokenizer
from kerasft.models.presets.huggingface_export import huggingface_config, huggingface_tensors
from kerasft.models.presets.huggingface_tokenizer_export import write_tokenizer
from kerasft.models.presets.presets import load_backbone, load_tokenizer
from kerasft.runs import Run
from kerasft.serving.formats import registry
from kerasft.serving.formats.agreement import near
from kerasft.serving.formats.onnx import open_file, write_onnx
from kerasft.serving.formats.registry import write_formats

FOLDERS = Path(__file__).parents[1] / "fixtures" / "hugging_face"
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
    inputs: dict[str, np.ndarray] = {tensor.name: np.ones((2, 9), np.int32) for tensor in backbone.inputs}
    inputs["token_ids"] = random.integers(0, 40, (2, 9))
    np.testing.assert_allclose(first(again(inputs)), first(backbone(inputs)), atol=1e-5)


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "xlm-roberta"])
def test_the_files_of_transformers_come_out_as_they_were(tmp_path, family):
    """Files that transformers wrote, read and written again: names, shapes, values and tokens are its own."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    def bare(tensors):
        beginnings = ("classifier.", "pooler.") if "roberta" in family else ()  # a head, which no backbone has
        prefix = "roberta." if "roberta" in family else f"{family}."
        return {n.removeprefix(prefix): value for n, value in tensors.items() if not n.startswith(beginnings)}

    folder = FOLDERS / family
    backbone, tokenizer = load_backbone(str(folder)), load_tokenizer(str(folder))
    theirs, ours = bare(load_file(folder / "model.safetensors")), bare(huggingface_tensors(backbone))
    if "roberta" in family:  # KerasHub adds the one type of tokens to the positions, and has no rows before the first
        kind, places = "embeddings.token_type_embeddings.weight", "embeddings.position_embeddings.weight"
        theirs |= {kind: np.zeros_like(theirs[kind][:1]), places: theirs[places] + theirs[kind][0]}
        theirs[places][:2] = 0.0
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, name)
    of_file = json.loads((folder / "config.json").read_text())
    config = huggingface_config(backbone)
    config.pop("type_vocab_size", None)  # a RoBERTa that KerasHub read has one
    assert config == {key: of_file[key] for key in config}
    write_tokenizer(tmp_path, tokenizer, family, 32)
    if family == "xlm-roberta":
        assert (tmp_path / "sentencepiece.bpe.model").read_bytes() == tokenizer.proto
        return
    one, other = (Tokenizer.from_file(str(each / "tokenizer.json")) for each in (folder, tmp_path))
    for text in [*TEXTS, "Good  film\tCAFÉ!", "don't\u00a0x <mask> [MASK] <s>", "", "film\n\nfilm 가 \U0001f600"]:
        for second in (None, "a film"):
            wanted, written = (each.encode(text, second) for each in (one, other))
            assert (written.ids, written.type_ids) == (wanted.ids, wanted.type_ids)


def written_head(project, problem: str, **task) -> tuple[Path, dict]:
    """A run whose model is written in Hugging Face form, and the config.json of that."""
    project(problem=problem, task={"problem": problem, **task}, export={"formats": ["saved_model", "huggingface"]})
    assert main(["train", "config.yaml"]) == 0
    folder = Path("saved_models/tiny/huggingface")
    return folder, json.loads((folder / "config.json").read_text())


@pytest.mark.long
def test_a_number_is_written_in_the_units_of_the_data(project):
    from safetensors.numpy import load_file

    folder, config = written_head(project, "regression")
    assert config["problem_type"] == "regression" and config["id2label"] == {"0": "LABEL_0"}
    tensors = load_file(folder / "model.safetensors")
    answers = [row["value"] for row in load("runs/tiny").answer(TEXTS)]
    preprocessor, backbone = parts()
    features = tf.function(preprocessor, autograph=False)({"text": tf.constant(TEXTS)})
    pooled = np.asarray(backbone({name: features[name] for name in backbone.input})["pooled_output"])
    numbers = pooled @ tensors["classifier.weight"].T + tensors["classifier.bias"]
    np.testing.assert_allclose(numbers[:, 0], answers, atol=1e-4)


def parts():
    """The preprocessor and the backbone of the run."""
    from kerasft.assembly import load_model
    from kerasft.tasks.registry import create_task

    run = Run.open(Path("runs/tiny"))
    assembled = load_model(run.folder / "model", create_task(run.config, run.load_state()))
    return assembled.preprocessor, assembled.backbone


def test_several_labels_are_told_as_such(project):
    config = written_head(project, "multi_label")[1]
    assert config["problem_type"] == "multi_label_classification"
    assert config["label2id"] == {"dull": 0, "money": 1, "sport": 2}


@pytest.mark.long
def test_a_unit_vector_has_a_module_before_the_dense_one(project):
    folder, config = written_head(project, "single_label", pooling="unit")
    assert config["architectures"] == ["BertModel"]
    modules = json.loads((folder / "modules.json").read_text())
    kinds = [(each["path"], each["type"].rsplit(".", 1)[1]) for each in modules]
    assert kinds[1:] == [("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"), ("3_Dense", "Dense")]
    assert all((folder / path).is_dir() for path, _ in kinds)


def test_numbers_are_near_where_they_tell_rows_apart():
    vectors = np.eye(4)[:, :3]
    assert near({"embedding": vectors}, {"embedding": vectors + 0.1}) == [True] * 4
    assert near({"embedding": vectors}, {"embedding": vectors[::-1]}).count(True) < 2
    assert near({"value": np.full(3, 2.0)}, {"value": np.array([2.5, 4.0, math.nan])}) == [True, False, False]


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


def test_onnx_answers_as_keras_does_and_is_refused_where_its_packages_are_not(trained_project, monkeypatch):
    pytest.importorskip("tf2onnx")
    pytest.importorskip("onnxruntime")
    folder = Path("saved_models/tiny")
    assert write_formats(with_formats("onnx"), folder, print) == [folder / "onnx"]
    assert json.loads((folder / "onnx" / "kerasft.json").read_text())["check"]["largest_difference"] < 1e-5
    rows, expected = load(folder / "onnx").answer(TEXTS), load("runs/tiny").answer(TEXTS)
    assert [row["label"] for row in rows] == [row["label"] for row in expected]
    np.testing.assert_allclose([row["score"] for row in rows], [row["score"] for row in expected], atol=1e-5)

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else found(name))
    with pytest.raises(UserError, match=r"model.onnx: needs the package onnxruntime.*pip install .*\[onnx\]"):
        load(folder / "onnx").answer(TEXTS)
    with pytest.raises(UserError, match=r"export.formats: onnx: needs the package onnxruntime"):
        write_formats(with_formats("onnx"), folder, print)


@pytest.mark.parametrize("activation", ["gelu", tf.math.erfc])
def test_the_exact_activation_of_bert_is_written_in_onnx(tmp_path, activation):
    pytest.importorskip("tf2onnx")
    pytest.importorskip("onnxruntime")
    inputs = {name: keras.Input([None], name=name, dtype="int32") for name in ("token_ids", "padding_mask")}
    vectors = keras.layers.Embedding(50, 8)(inputs["token_ids"]) * 4.0
    outputs = keras.layers.Dense(4, activation=activation)(vectors)
    model = keras.Model(inputs, outputs * keras.ops.cast(inputs["padding_mask"], "float32")[..., None])
    write_onnx(model, tmp_path)
    ids = np.arange(50, dtype=np.int32).reshape(5, 10)
    features = {"token_ids": ids, "padding_mask": np.ones_like(ids)}
    np.testing.assert_allclose(open_file(tmp_path / "model.onnx")()(features), model(features), atol=1e-5)


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


@pytest.mark.parametrize(
    ("form", "pooling", "message"),
    [("huggingface", "cls", "transformers has no head such as this model's"), ("gguf", "auto", "is no Llama")],
)
def test_a_form_that_a_model_has_not_is_refused_before_it_trains(project, capsys, form, pooling, message):
    project(task={"pooling": pooling}, export={"formats": ["saved_model", form]})
    assert main(["train", "config.yaml"]) == 2
    assert message in capsys.readouterr().err
    assert not Path("runs/tiny").exists()


def test_a_llama_in_gguf_is_read_as_the_same(tmp_path):
    tokenizer = train_byte_pairs(lambda: TEXTS * 3, 300)
    rows = tokenizer.vocabulary_size() + 3  # a table is often longer, and llama.cpp takes a row for each token
    backbone = keras_hub.models.Llama3Backbone(
        vocabulary_size=rows, num_layers=2, num_query_heads=4, num_key_value_heads=2,
        hidden_dim=64, intermediate_dim=96, rope_max_wavelength=5000, layer_norm_epsilon=1e-3, tie_word_embeddings=True,
    )  # fmt: skip
    check_llama(randomised(backbone), tokenizer)
    file = tmp_path / "llama.gguf"
    write_gguf(file, backbone, tokenizer, "llama", 32)
    assert file.stat().st_size < 0.5 * sum(4 * np.prod(weight.shape) for weight in backbone.weights)
    field = GGUFReader(file).get_field("tokenizer.ggml.tokens")
    assert field is not None
    tokens = field.contents()
    begins = GGUFReader(file).get_field("tokenizer.ggml.add_bos_token")
    assert begins is not None and begins.contents() == (tokenizer.start_token_id != tokenizer.end_token_id)
    assert len(tokens) == len(set(tokens)) == rows and tokens[-1] == f"[PAD{rows - 1}]"
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
