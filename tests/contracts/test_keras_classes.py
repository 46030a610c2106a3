"""What every Keras class promises; a class joins with a line of EXAMPLES.

The lines of a class' docstring run first, and the model that they make is the one that all tests of it share.
"""

import doctest
import inspect
import json
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.small_presets import small_presets  # noqa: F401

import kerasft
from kerasft.errors import UserError
from kerasft.keras_models.examples import measured_data
from kerasft.serving.exporter import save

WORDS = ["goal by the team", "the stock price", "match score", "bank in trade", "a coach", "market of stock"]
FOXES = ["the quick brown fox", "a dog", "the lazy dog", "a fox", "the quick cat", "a fox and a dog"]


@dataclass(frozen=True)
class Example:
    """What a class is tried on.

    Attributes:
        preset: a folder of `small_presets`.
        texts, labels: that it trains on; labels None: it takes none.
        asked: texts that it answers.
        unknown: a label that it can't have; None: it takes none.
        names: what `from_preset` takes as labels.
    """

    preset: str
    texts: Any
    labels: Any = None
    asked: Any = field(default_factory=lambda: ["a team", "the market"])
    unknown: Any = None
    names: Any = None


MARKED = [f"<e1>{a}</e1> the <e2>{b}</e2>" for a, b in zip("goal bank team stock coach price".split(), "abcdef")]
EXAMPLES = {
    "TextClassifier": Example("encoder", WORDS, ["sport", "trade"] * 3, unknown="sprot", names=2),
    "TokenClassifier": Example(
        "encoder",
        WORDS,
        [[(8, 12, "team")], [], [(0, 5, "team")], [(0, 4, "bank")], [], [(0, 6, "bank")]],
        unknown=[(0, 1, "tem")],
        names=["a"],
    ),
    "RelationClassifier": Example("encoder", MARKED, ["beats", "none"] * 3, MARKED[:2], unknown=2, names=["a", "b"]),
    "QuestionAnswerer": Example(
        "encoder",
        {"question": ["what"] * 6, "context": WORDS},
        ["goal", "stock", "match", None, "coach", "market"],
        {"question": ["who", "what"], "context": ["the team of a bank", "a price"]},
        unknown="none of it",
    ),
    "TextEmbedder": Example("encoder", {"text": WORDS, "text_pair": WORDS[::-1]}),
    "MaskedLM": Example("encoder", WORDS * 2, asked=["the [MASK] of a team", "a [MASK]"]),
    "CausalLM": Example("decoder", FOXES, asked=["the quick", "a"]),
    "Seq2SeqLM": Example("both", FOXES, FOXES[::-1], ["the lazy", "a"]),
}
GENERATE = ("CausalLM", "Seq2SeqLM")


@dataclass
class Case:
    """A class, what it is tried on, its model, and where its preset lies; `batches` are the examples, preprocessed."""

    name: str
    example: Example
    model: Any
    preset: str
    batches: tf.data.Dataset

    def loss(self, model=None) -> float:
        return (model or self.model).evaluate(self.batches, verbose=0, return_dict=True)["loss"]


@pytest.fixture(scope="module", params=EXAMPLES)
def case(request, small_presets) -> Case:  # noqa: F811
    """The model that the class' docstring makes."""
    example, kind = EXAMPLES[request.param], getattr(kerasft, request.param)
    preset = str(small_presets / example.preset)
    keras.utils.set_random_seed(0)
    names = {"kerasft": kerasft, "preset": preset}
    told = doctest.DocTestParser().get_doctest(inspect.cleandoc(kind.__doc__), names, request.param, None, 0)
    assert len(told.examples) == 3
    # pytest has replaced stdout, which a doctest reads.
    failed, _ = doctest.DocTestRunner(verbose=False).run(told, out=sys.stderr.write, clear_globs=False)
    assert not failed
    model = told.globs["model"]
    batches = measured_data(model, (example.texts, example.labels), 3).cache()
    return Case(request.param, example, model, preset, batches)


@pytest.fixture(scope="module")
def trained(case) -> Case:
    """Trained until the loss has fallen, step by step without a graph, which takes longer to trace than a few steps."""
    case.model.compile(keras.optimizers.Adam(1e-2), run_eagerly=True)
    before = case.loss()
    case.model.fit(case.example.texts, case.example.labels, batch_size=3, epochs=12, verbose=0)
    assert case.loss() < 0.9 * before
    return case


@pytest.fixture(scope="module")
def answered(trained) -> list:
    """What it answers."""
    return trained.model.predict(trained.example.asked)


def rounded(found) -> list:
    """Answers that are compared: numbers to four digits."""
    found = found.tolist() if isinstance(found, np.ndarray) else found
    return json.loads(json.dumps(found), parse_float=lambda text: round(float(text), 4))


def test_every_class_is_held_to_it():
    assert set(kerasft.KERAS_CLASSES) == EXAMPLES.keys()


def test_the_loss_falls_and_each_text_gets_an_answer(trained, answered):
    assert len(answered) == 2
    if trained.name == "TextEmbedder":
        np.testing.assert_allclose(np.linalg.norm(answered, axis=1), 1.0, atol=1e-5)
    else:
        assert all(isinstance(answer, dict) for answer in answered)


def test_a_data_set_trains_like_lists(case):
    """The same batches, one epoch from the same weights."""
    model, example = case.model, case.example
    optimizer, loss, weights = model.optimizer, [], model.get_weights()
    ragged = case.name == "TokenClassifier"
    labels = example.labels
    if ragged:  # a type is a number there, for a tensor has one kind of value
        numbers = [[(start, end, model.task.state["labels"].index(kind)) for start, end, kind in row] for row in labels]
        labels = tf.RaggedTensor.from_row_lengths(
            tf.constant([span for row in numbers for span in row]), [len(row) for row in numbers]
        )
    elif labels is not None:
        labels = ["" if label is None else label for label in labels]
    parts = (example.texts,) if labels is None else (example.texts, labels)
    data = tf.data.Dataset.from_tensor_slices(parts).batch(3)
    for given in ((example.texts, example.labels), (data,)):
        model.set_weights(weights)
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        loss.append(model.fit(*given, batch_size=3, shuffle=False, verbose=0).history["loss"][0])
    model.set_weights(weights)
    model.compile(optimizer, run_eagerly=True)
    assert loss[1] == pytest.approx(loss[0], rel=1e-5)


def test_it_is_saved_and_loaded_and_trains_on(trained, answered, tmp_path):
    model = trained.model
    model.save(tmp_path / "model.keras")
    files = zipfile.ZipFile(tmp_path / "model.keras").namelist()
    assert {name.rpartition(".")[2] for name in files} <= {"json", "h5", "txt", "spm", "keras"}
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert type(again) is type(model) and again.optimizer.iterations.numpy() == model.optimizer.iterations.numpy() > 0
    assert rounded(again.predict(trained.example.asked)) == rounded(answered)
    before = trained.loss(again)
    assert before == pytest.approx(trained.loss(), rel=1e-5)
    again.fit(trained.batches, verbose=0)
    assert trained.loss(again) != before


def test_it_is_a_preset_again(trained, tmp_path):
    """With head, options and tokenizer; what it answers then takes a graph more, and a loaded file has shown it."""
    trained.model.save_to_preset(tmp_path / "preset")
    again = type(trained.model).from_preset(str(tmp_path / "preset"))
    again.compile(run_eagerly=True)
    assert trained.loss(again) == pytest.approx(trained.loss(), rel=1e-5)
    assert again.task.state == trained.model.task.state
    assert again.settings.options == trained.model.settings.options
    assert again.preprocessor.max_length == trained.model.preprocessor.max_length


def test_its_export_answers_alike(trained, answered, tmp_path, monkeypatch):
    """Exports of all tasks are checked in tests/serving, one of a class by docs/python.md; here it is the graph."""
    monkeypatch.setattr("kerasft.keras_models.exports.export", unchecked)
    assert trained.model.export(tmp_path / "tiny") == tmp_path / "tiny" / "1"
    served = kerasft.load(tmp_path / "tiny").answer(trained.example.asked)
    if trained.name == "TextEmbedder":
        served = [answer["embedding"] for answer in served]
    assert rounded(served) == rounded(answered)


def unchecked(task, preprocessor, model, directory: Path, metadata) -> Path:
    """The SavedModel of an export without its checks, which run it in other processes."""
    folder = directory / "1"
    save(task, preprocessor, model, folder)
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "kerasft.json").write_text(json.dumps(metadata))
    return folder


def test_what_is_measured_are_the_figures_of_a_run(trained):
    found = trained.model.measure(trained.example.texts, trained.example.labels)
    assert trained.model.task.headline in found


def test_mistakes_are_told(case):
    model, example = case.model, case.example
    kind = type(model)
    with pytest.raises(UserError, match="did you mean max_length"):
        kind.from_preset(case.preset, example.names, max_lenght=4)
    with pytest.raises(UserError, match="is one text"):
        model.predict("a text")
    if example.labels is None:
        with pytest.raises(UserError, match="takes none|has no labels"):
            model.fit(example.texts, ["a"])
        return
    with pytest.raises(UserError, match="labels are missing"):
        model.fit(example.texts)
    with pytest.raises(UserError, match="6 texts and 2 labels"):
        model.fit(example.texts, example.labels[:2])
    if example.unknown is not None:
        with pytest.raises(UserError, match="example 0: "):
            model.fit(example.texts, [example.unknown] * 6)


def test_what_writes_takes_wishes(trained, answered):
    if trained.name not in GENERATE:
        assert not hasattr(trained.model, "generate")
        return
    prompts = trained.example.asked
    assert trained.model.generate(prompts, max_new_tokens=4) == [answer["text"] for answer in answered]
    assert trained.model.generate(prompts[0], max_new_tokens=0) == ""
    drawn = trained.model.generate(prompts[0], temperature=2.0, seed=3)
    assert drawn == trained.model.generate(prompts[0], temperature=2.0, seed=3)
    with pytest.raises(UserError, match="max_new_tokens: 'four'"):
        trained.model.generate(prompts, max_new_tokens="four")
