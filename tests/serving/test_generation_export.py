"""A served model that writes: its signatures, answered in a process without TensorFlow's Python as in this one."""

import json
import re

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from support.rarely import rarely
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
from tiny_bart import POSITIONS, make_bart
from tiny_sentence_pieces import make_llama
from tiny_t5 import make_t5

from kerasft.config.schema import Config
from kerasft.errors import ServableError
from kerasft.models.presets.from_scratch import train_byte_pairs
from kerasft.serving import capi
from kerasft.serving.capi_process import run_capi
from kerasft.serving.exporter import export
from kerasft.serving.inspection import inspect
from kerasft.serving.servable_check import check
from kerasft.serving.servable_graph import kinds_of_op, read_meta_graph
from kerasft.tasks.seq2seq.task import Seq2Seq
from kerasft.tasks.text_generation.task import TextGeneration

TEXTS = ["the quick brown fox", "the lazy dog and the quick cat", "naïve café 我们 😀"]
LENGTH, NEW = 16, 5


def made(**decoding) -> tuple:
    keras.utils.set_random_seed(0)
    config = {
        "name": "tiny",
        "task": {"name": "text_generation", "decoding": {"max_new_tokens": NEW, **decoding}},
        "model": {"preset": "tiny", "max_length": LENGTH},
        "data": {"train": "train.txt", "columns": {"text": "text"}},
    }
    task = TextGeneration(Config.model_validate(config))
    tokenizer = train_byte_pairs(lambda: TEXTS, 270)
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=270, num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=16, max_sequence_length=LENGTH
    )
    random = np.random.default_rng(0)
    backbone.set_weights([random.normal(0, 0.6, weight.shape) for weight in backbone.weights])
    return task, task.preprocessor(backbone, tokenizer), task.build(backbone)


def made_of_two(make=make_bart, **decoding) -> tuple:
    """A model that reads with an encoder."""
    config = {
        "name": "tiny",
        "task": {"name": "seq2seq", "decoding": {"max_new_tokens": NEW, **decoding}},
        "model": {"preset": "tiny", "max_length": POSITIONS},
        "data": {"train": "train.jsonl", "columns": {"input": "input", "output": "output"}},
    }
    task, (backbone, tokenizer) = Seq2Seq(Config.model_validate(config)), make()
    return task, task.preprocessor(backbone, tokenizer), task.build(backbone)


@pytest.fixture(scope="module")
def parts() -> tuple:
    return made()


@pytest.fixture(scope="module")
def exported(parts, tmp_path_factory):
    return export(*parts, tmp_path_factory.mktemp("saved_models") / "tiny", {"config": {}, "state": {}})


def ask(exported, *requests: tuple[str, dict]) -> list[list[str]]:
    """What signatures answer through the C API, in one process: (key, columns) of each request -> its texts."""
    signatures, runs = read_meta_graph(exported).signature_def, []
    for key, columns in requests:
        inputs = {signatures[key].inputs[name].name: capi.feed(values) for name, values in columns.items()}
        outputs = {name: info.name for name, info in signatures[key].outputs.items()}
        runs.append({"inputs": inputs, "outputs": outputs})
    answers = [capi.to_array(run["outputs"]["text"]) for run in run_capi(exported, [], runs, 120)["runs"]]
    return [[text.decode("utf-8") for text in texts] for texts in answers]


def numbers(rows, max_new_tokens=NEW, temperature=0.0, top_p=1.0, seed=0) -> dict[str, np.ndarray]:
    return {
        "max_new_tokens": np.full(rows, max_new_tokens, np.int32),
        "temperature": np.full(rows, temperature, np.float32),
        "top_p": np.full(rows, top_p, np.float32),
        "seed": np.array(np.broadcast_to(seed, rows), np.int64),
    }


def test_both_signatures_answer_as_a_loop_without_a_cache(parts, exported):
    task, preprocessor, model = parts
    prompts = [text.encode() for text in TEXTS]
    features = tf.function(preprocessor, autograph=False)({"prompt": tf.constant(prompts)})
    wanted = []
    for row, length in zip(features["token_ids"].numpy(), features["lengths"].numpy()):
        ids = row[:length].tolist()[-(LENGTH - NEW) :]
        begun = len(ids)
        for _ in range(NEW):
            inputs = {"token_ids": np.array([ids]), "padding_mask": np.ones((1, len(ids)))}
            ids.append(int(model(inputs).numpy()[0, -1].argmax()))
        wanted.append(task.generator.detokenizer.text(ids[begun:]))
    served, generated = ask(
        exported, ("serving_default", {"prompt": prompts}), ("generate", {"prompt": prompts, **numbers(3)})
    )
    assert served == wanted
    assert generated == wanted


@pytest.mark.parametrize("name", ["t5", *rarely("text_generation", "seq2seq")])
def test_beams_are_searched_in_the_served_graph(tmp_path, name):
    decoding, held = {"beams": 3, "length_penalty": 0.5, "stop": ["q"]}, re.compile("[a-z ]{2,9}")
    if name == "t5":  # what the answer is held to is in the served graph, too
        decoding |= {"stop": [], "constraint": {"regex": held.pattern}}
    makers = {"text_generation": made, "seq2seq": made_of_two, "t5": lambda **how: made_of_two(make_t5, **how)}
    task, preprocessor, model = makers[name](**decoding)
    exported = export(task, preprocessor, model, tmp_path / "tiny", {"config": {}, "state": {}})
    (column,), texts = task.inputs, [text.encode() for text in TEXTS]
    features = tf.function(preprocessor, autograph=False)({column: tf.constant(texts)})
    wanted = [text.decode() for text in task.answer(model, features)["text"].numpy()]
    (found,) = ask(exported, ("generate", {column: texts, "max_new_tokens": np.array([NEW, 2, 0], np.int32)}))
    assert found[0] == wanted[0] != "" and found[2] == ""
    assert found[1] != wanted[1] if name != "t5" else all(map(held.fullmatch, [*wanted, *found[:2]]))
    assert not [op for op in kinds_of_op(read_meta_graph(exported)) if "Xla" in op]


@pytest.mark.parametrize("name", ["Llama", *rarely("Mistral")])
def test_sentence_pieces_are_written_in_the_served_graph(tmp_path, name):
    """An answer keeps the space that stands before it, a text of its own loses that of the tokenizer."""
    told = {"name": "tiny", "task": {"name": "text_generation", "decoding": {"max_new_tokens": NEW, "stop": ["~"]}}}
    told |= {"model": {"preset": "tiny", "max_length": LENGTH}, "data": {"train": "t", "columns": {"text": "text"}}}
    task, (backbone, tokenizer) = TextGeneration(Config.model_validate(told)), make_llama(name)
    preprocessor, model = task.preprocessor(backbone, tokenizer), task.build(backbone)
    exported = export(task, preprocessor, model, tmp_path / "tiny", {"config": {}, "state": {}})
    texts = [*TEXTS, "", " a", "b ", "x</s>y"]
    features = tf.function(preprocessor, autograph=False)({"prompt": tf.constant(texts)})
    wanted, known = [], preprocessor.detokenizer.ordinary | preprocessor.detokenizer.special
    for row, length in zip(features["token_ids"].numpy(), features["lengths"].numpy()):
        ids = row[:length].tolist()[-(LENGTH - NEW) :]
        begun = len(ids)
        while len(ids) < begun + NEW:
            inputs = {"token_ids": np.array([ids]), "padding_mask": np.ones((1, len(ids)))}
            best = int(np.where(known, model(inputs).numpy()[0, -1], -np.inf).argmax())
            if preprocessor.detokenizer.special[best]:
                break
            ids.append(best)
        wanted.append(preprocessor.detokenizer.text(ids[begun:], opens=begun == 1).split("~")[0])
    prompts = [text.encode() for text in texts]
    served, generated = ask(
        exported, ("serving_default", {"prompt": prompts}), ("generate", {"prompt": prompts, **numbers(len(prompts))})
    )
    assert served == wanted and len(set(wanted)) > 2
    assert generated == wanted


def test_a_request_is_drawn_by_its_seed_in_any_process(exported):
    prompts = [TEXTS[0].encode()] * 4
    wishes = numbers(4, temperature=2.0, seed=[1, 2, 1, 3])
    drawn, none = ("generate", {"prompt": prompts, **wishes}), numbers(2, max_new_tokens=0)
    (first,) = ask(exported, drawn)
    second, nothing = ask(exported, drawn, ("generate", {"prompt": prompts[:2], **none}))
    assert first == second and first[0] == first[2] and len(set(first)) == 3
    assert nothing == ["", ""]


def test_what_an_operator_finds(exported):
    signatures = read_meta_graph(exported).signature_def
    assert {key for key in signatures if not key.startswith("__")} == {"serving_default", "generate", "tokens"}
    assert not [op for op in kinds_of_op(read_meta_graph(exported)) if "Xla" in op or "MutableHash" in op]
    facts = json.loads((exported / "assets.extra" / "kerasft.json").read_text())
    assert facts["signatures"]["generate"]["inputs"]["seed"] == {"dtype": "int64", "shape": [-1]}
    path = exported / "assets.extra" / "tf_serving_warmup_requests"
    logs = [PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(path))]
    asked = [log.predict_log.request for log in logs if log.predict_log.request.model_spec.signature_name == "generate"]
    assert len(asked) == 3 and tf.make_ndarray(asked[2].inputs["max_new_tokens"]).tolist() == [NEW, NEW]
    found = inspect(exported, {}, run=True)
    assert not found.faults and "generate, serving_default" in found.summary


def test_a_number_of_another_type_is_found(exported):
    taken = {"generate": {name: values.astype("float64") for name, values in numbers(1).items()}}
    with pytest.raises(ServableError, match="generate: input '.*' is not of the type float64"):
        check(exported, {"prompt": [b"a"]}, numbers=taken)
    with pytest.raises(ServableError, match="no signature other; there is generate, serving_default"):
        check(exported, {"prompt": [b"a"]}, numbers={"other": {}})
    with pytest.raises(ServableError, match="generate: its inputs are .*, not prompt"):
        check(exported, {"prompt": [b"a"]})
