"""Every test sees two logical CPUs, so that a mirrored strategy is the real one; they must exist before TF starts."""

import gc
import io
import os
from pathlib import Path
from unittest import mock

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import hypothesis
import keras
import keras_hub
import matplotlib
import numpy as np
import pytest
import tensorflow as tf
from matplotlib.figure import Figure
from support.projects import project, trained, trained_project  # noqa: F401
from support.shared import shared_folder
from support.tiny_bert import make_tiny_preset
from tensorflow.python.data.ops import multi_device_iterator_ops
from tensorflow.python.eager import context

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


# What is imported stays: a collection need not look through all of TensorFlow again and again. Graphs are made of
# millions of objects, and a collection among them takes up to half a minute, so there are few, and what one leaves is
# not looked at by the next.
gc.freeze()
gc.set_threshold(100_000, 20, 20)


def _keep_survivors(phase: str, collection: dict[str, int]) -> None:
    if phase == "stop" and collection["generation"] == 2:
        gc.freeze()


gc.callbacks.append(_keep_survivors)

# The shortened tracebacks of Keras and TensorFlow cost a tenth of the time that a graph takes.
tf.debugging.disable_traceback_filtering()
keras.config.disable_traceback_filtering()


# TensorFlow tunes what hands batches to each device of a mirrored training, though nothing in it can be tuned; whoever
# throws such an iterator away then waits for the thread that tunes, with Python locked, once for up to two minutes.
_device_dataset = multi_device_iterator_ops._create_device_dataset


def _untuned(*arguments) -> tf.data.Dataset:
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return _device_dataset(*arguments).with_options(options)


multi_device_iterator_ops._create_device_dataset = _untuned


# Charts take a tenth of a tiny run, nearly all of it to lay out and write what was drawn. What they look like is tested
# in tests/evaluation; elsewhere the first that was written under a name stands for all.
_written: dict[str, str] = {}
_write = Figure.savefig


def _write_once(figure: Figure, target: io.StringIO, **how) -> None:
    name = matplotlib.rcParams["svg.hashsalt"]
    if name is None or "tests/evaluation/" in os.environ.get("PYTEST_CURRENT_TEST", ""):
        _write(figure, target, **how)
        return
    if name not in _written:
        first = io.StringIO()
        _write(figure, first, **how)
        _written[name] = first.getvalue()
    target.write(_written[name])


Figure.savefig = _write_once


# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


# The files that take longest come first: whichever worker began one of them last would work on alone.
TESTS = Path(__file__).parent
LONGEST = (
    "distributed/test_agreement.py",
    "training/test_step.py",
    "test_programs.py",
    "continual/test_programs.py",
    "distributed/test_losses.py",
    "training/checkpoints/test_checkpoint_folder.py",
    "tasks/text_generation/test_text_generation.py",
    "contracts/test_keras_classes.py",
    "serving/test_generation_export.py",
    "training/test_augmentation.py",
    "training/test_chaos.py",
    "training/test_written_texts.py",
    "tasks/seq2seq/test_seq2seq.py",
    "compress/test_compress.py",
    "tasks/text_embedding/test_text_embedding.py",
    "tasks/token_classification/test_token_classification.py",
    "tasks/relation_extraction/test_relation_extraction.py",
    "test_audit_labels.py",
    "test_notebook.py",
    "test_peft_runs.py",
    "training/test_resume.py",
    "training/test_packed_step.py",
    "contracts/test_objectives.py",
    "models/tokenizers/test_encoder.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {TESTS / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(autouse=True)
def seeded():
    """Seeds all that draws numbers.

    A seed makes TensorFlow throw its kernels away, so that every function that tests share, a served model or a
    tokenizer, would be optimized again for each test, which takes up to a second. Here they stay: only kernels with a
    state of their own need to go, and all but a few draws are stateless.
    """
    with mock.patch.object(context.pywrap_tfe, "TFE_ContextClearCaches"):
        keras.utils.set_random_seed(0)


@pytest.fixture
def kernels() -> None:
    """Skips a test where there is no C++ compiler."""
    from kerasft.kernels import library

    try:
        library.load()
    except library.Unavailable as reason:
        pytest.skip(f"no kernels: {reason}")


@pytest.fixture
def mirrored() -> tf.distribute.Strategy:
    from kerasft.distribution.strategy import mirrored_over

    return mirrored_over(("/cpu:0", "/cpu:1"))


@pytest.fixture
def cloud_storage(tmp_path, monkeypatch):
    """gs://bucket, empty: Google Cloud Storage, imitated for TensorFlow's own client of it."""
    from gcs import storage

    with storage(tmp_path) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield


@pytest.fixture
def tiny_bert():
    """Returns a function that makes a random BERT of two layers, 16 wide, without dropout unless asked."""

    def make(dropout: float = 0.0, vocabulary: int = 100) -> keras.Model:
        return keras_hub.models.BertBackbone(
            vocabulary_size=vocabulary,
            num_layers=2,
            num_heads=2,
            hidden_dim=16,
            intermediate_dim=32,
            dropout=dropout,
            max_sequence_length=64,
        )

    return make


@pytest.fixture(scope="session")
def tiny_preset(tmp_path_factory) -> Path:
    """A random BERT with a vocabulary of a few words, as a folder that any config can name."""
    return shared_folder(tmp_path_factory, "preset", make_tiny_preset)


@pytest.fixture
def words() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def shared_data() -> Path:
    """The folder of public data sets that development and CI have; the test is skipped where there is none."""
    root = Path(__file__).parents[1]
    folder = Path(os.environ.get("KERASFT_SHARED_DATA", root.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no shared data; set KERASFT_SHARED_DATA")
    return folder
