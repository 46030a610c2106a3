"""Writes a trained model as a SavedModel that takes raw strings and returns answers."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kerasft
from kerasft.attribution import served
from kerasft.prompting import label_requests
from kerasft.serving.drift import reference
from kerasft.serving.export_check import WarmUp, checked_and_measured
from kerasft.serving.outside_ops import check_trusted
from kerasft.serving.probes import probe_inputs, probe_numbers, rows_of
from kerasft.serving.servable_check import Check
from kerasft.serving.servable_graph import METHODS, describe_signatures
from kerasft.serving.version_folder import write_version
from kerasft.versions import version

if TYPE_CHECKING:
    import keras
    import numpy as np

    from kerasft.models.preprocessing.preprocessor import StringPreprocessor
    from kerasft.tasks.base import Number, Task

PACKAGES = ("tensorflow", "tensorflow-text", "keras", "keras-hub", "numpy")


def export(
    task: Task, preprocessor: StringPreprocessor, model: keras.Model, directory: Path, metadata: Mapping[str, Any]
) -> Path:
    """Writes `directory`/VERSION, the next integer, whole and checked or not at all.

    The SavedModel is made and checked in a hidden folder beside its place and then renamed, so a TensorFlow Serving
    that watches `directory` never sees half of it. Exports at the same time get different versions.

    Args:
        task: decodes logits; its `state["labels"]`, where it has them, are also written to `assets.extra/labels.txt`.
        preprocessor: {column: (batch,) strings} -> features; `preprocessor.inputs` names the columns.
        model: float32 Keras model, features -> logits.
        directory: `saved_models/NAME`.
        metadata: JSON-able; joins what `assets.extra/kerasft.json` says anyway, which wins where names collide.

    Returns:
        `directory`/VERSION.

    Raises:
        ServableError: the check failed; `directory` is as it was.
        UserError: `directory` cannot be written.
    """

    def write(draft: Path) -> None:
        save(task, preprocessor, model, draft)
        inputs = task.probes(probe_inputs(preprocessor.inputs, task.config.model.max_length))
        numbers = probe_numbers(task.numbers, rows_of(inputs))
        check_trusted(draft)
        expected = expected_answers(task, preprocessor, model, inputs)
        check = Check(draft, inputs, expected, numbers, _inputs_of_labels(task, inputs))
        limit, sample = task.config.model.max_length, task.sample()
        own = _inputs_of_labels(task, {name: [text] for name, text in sample.items()})
        warm_up = WarmUp(draft, task.config.served_name, sample, limit, task.numbers, own)
        measured = checked_and_measured(draft, check, warm_up)
        write_labels(draft, task.state.get("labels"))
        facts = {
            "task": task.config.task.model_dump(mode="json"),
            "labels": task.state.get("labels"),
            "numbers": task.numbers,
            "max_length": task.config.model.max_length,
        }
        write_facts(draft, {**metadata, "measured": measured.as_dict(), **facts})

    return write_version(directory, write)


def save(task: Task, preprocessor: StringPreprocessor, model: keras.Model, path: Path) -> None:
    """Writes the SavedModel alone, unchecked, to `path`; the arguments are those of `export`."""
    import tensorflow as tf

    from kerasft.models.tokenizers.token_counts import token_counts
    from kerasft.serving.explain_signature import explain_signature

    module: Any = tf.Module(name="servable")  # saves what it is given as attributes
    module.preprocessor = preprocessor
    # The weights only: a Keras model tracked whole would bring its own functions, dropout seeds and a second copy.
    module.weights = [weight.value for weight in model.weights]
    names = preprocessor.inputs

    def answer(texts):
        return _answers(task, model, preprocessor(dict(zip(names, texts, strict=True))))

    specs = {name: tf.TensorSpec([None], tf.string, name=name) for name in names}
    compiled = tf.function(answer, input_signature=[list(specs.values())], autograph=False)

    def serving_default(**texts):
        return compiled([texts[name] for name in names])["serving_default"]

    signatures = {"serving_default": tf.function(serving_default, autograph=False).get_concrete_function(**specs)}
    outputs = compiled.get_concrete_function().structured_outputs
    signatures |= {key: _example_signature(compiled, names, key) for key in outputs if key != "serving_default"}
    signatures |= {key: _signature_with(task, preprocessor, model, numbers) for key, numbers in task.numbers.items()}
    signatures[reference.SIGNATURE] = tf.function(
        lambda **texts: token_counts(preprocessor, texts), autograph=False
    ).get_concrete_function(**specs)
    if explain := explain_signature(task, preprocessor, model):
        signatures[served.SIGNATURE] = tf.function(
            lambda **texts: explain(texts), autograph=False
        ).get_concrete_function(**specs)
    if task.config.export.labels:
        specs[label_requests.SIGNATURE] = tf.TensorSpec([None], tf.string, name=label_requests.SIGNATURE)
        by_labels = task.labels_signature(model, preprocessor)
        signatures[label_requests.SIGNATURE] = tf.function(
            lambda **columns: by_labels(columns), autograph=False
        ).get_concrete_function(**specs)
    tf.saved_model.save(module, str(path), signatures=signatures)
    set_method_names(path)


def expected_answers(
    task: Task, preprocessor: StringPreprocessor, model: keras.Model, inputs: Mapping[str, Sequence[bytes]]
) -> dict[str, dict[str, np.ndarray]]:
    """What Keras answers in this process, model and task run eagerly: {signature: {output: (batch, ...)}}."""
    import tensorflow as tf

    from kerasft.models.tokenizers.token_counts import token_counts
    from kerasft.serving.explain_signature import explain_signature

    # Preprocessing is made for graphs, as in tf.data: KerasHub's tokenizers return Python lists when run eagerly.
    texts = {name: tf.constant(list(rows)) for name, rows in inputs.items()}
    features = tf.function(preprocessor, autograph=False)(texts)
    numbers = probe_numbers(task.numbers, rows_of(inputs))
    # The servable is checked on the CPU; a GPU's TF32 products differ by more than the check allows.
    with tf.device("CPU"):
        answers = _answers(task, model, features)
        counts = tf.function(lambda columns: token_counts(preprocessor, columns), autograph=False)(texts)
        answers[reference.SIGNATURE] = counts
        if explain := explain_signature(task, preprocessor, model):
            answers[served.SIGNATURE] = tf.function(explain, autograph=False)(texts)
        for key, columns in _inputs_of_labels(task, inputs).items():
            by_labels = tf.function(task.labels_signature(model, preprocessor), autograph=False)
            answers[key] = by_labels({name: tf.constant(list(rows)) for name, rows in columns.items()})
        for key, values in numbers.items():
            answers[key] = task.answer_with(model, features, tf.nest.map_structure(tf.constant, values))
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), answers)


def _inputs_of_labels(task: Task, inputs: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Any]]:
    """{signature: inputs} of `export.labels`, each row with the labels of the config or with others."""
    if not task.config.export.labels:
        return {}
    own = label_requests.BETWEEN.join(task.state["labels"])
    every = [own, "one\ntwo words", "", " one \n\n\u00e9\n"]
    labels = [every[row % len(every)] for row in range(rows_of(inputs))]
    if isinstance(next(iter(inputs.values()))[0], bytes):
        return {label_requests.SIGNATURE: {label_requests.SIGNATURE: [each.encode() for each in labels], **inputs}}
    return {label_requests.SIGNATURE: {label_requests.SIGNATURE: labels, **inputs}}


def _answers(task, model, features):
    answers = task.answer(model, features)
    return {"serving_default": answers, **task.tf_serving_signatures(answers)}


def _example_signature(answer, names: Sequence[str], key: str):
    """The form of TensorFlow Serving's Classify and Regress: serialized tf.Examples -> the answers under `key`."""
    import tensorflow as tf

    # No default: a misspelt feature must be an error that names it, not the answer for an empty text.
    features = {name: tf.io.FixedLenFeature([], tf.string) for name in names}

    def signature(inputs):
        texts = tf.io.parse_example(inputs, features)
        return answer([texts[name] for name in names])[key]

    spec = tf.TensorSpec([None], tf.string, name="inputs")
    return tf.function(signature, autograph=False).get_concrete_function(spec)


def _signature_with(task: Task, preprocessor: StringPreprocessor, model: keras.Model, numbers: Mapping[str, Number]):
    """Strings and numbers -> answers."""
    import tensorflow as tf

    def signature(**inputs):
        features = preprocessor({name: inputs[name] for name in preprocessor.inputs})
        return task.answer_with(model, features, {name: inputs[name] for name in numbers})

    specs = {name: tf.TensorSpec([None], tf.string, name=name) for name in preprocessor.inputs}
    specs |= {name: tf.TensorSpec([None], number.dtype, name=name) for name, number in numbers.items()}
    return tf.function(signature, autograph=False).get_concrete_function(**specs)


def set_method_names(path: Path) -> None:
    """Signatures of TensorFlow Serving's names have its methods."""
    # tf.saved_model.save calls every signature a Predict.
    from tensorflow.core.protobuf import saved_model_pb2

    file = path / "saved_model.pb"
    proto = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for key, signature in proto.meta_graphs[0].signature_def.items():
        if key in METHODS:
            signature.method_name = METHODS[key]
    file.write_bytes(proto.SerializeToString(deterministic=True))
    # An optional file that holds the checksum of saved_model.pb as it was before this change.
    (path / "fingerprint.pb").unlink(missing_ok=True)


def write_labels(path: Path, labels: Sequence[str] | None, name: str = "labels") -> None:
    """Writes `assets.extra/NAME.txt`, where there are labels."""
    if not labels:
        return
    # A line a label, so a line break inside one is written as the two characters \n.
    lines = [re.sub(r"\r\n|\r|\n", r"\\n", label) + "\n" for label in labels]
    folder = path / "assets.extra"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.txt").write_text("".join(lines), encoding="utf-8")


def write_facts(path: Path, facts: Mapping[str, Any]) -> None:
    """Writes `assets.extra/kerasft.json`: these facts, the signatures, and the versions of all that made it."""
    folder = path / "assets.extra"
    folder.mkdir(exist_ok=True)
    whole = {
        **facts,
        "signatures": describe_signatures(path),
        "versions": {
            "kerasft": kerasft.__version__,
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
        },
    }
    text = json.dumps(whole, ensure_ascii=False, indent=2)
    (folder / "kerasft.json").write_text(text + "\n", encoding="utf-8")
