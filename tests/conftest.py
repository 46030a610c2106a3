"""Every test sees two logical CPUs, so that a mirrored strategy is the real one; they must exist before TF starts."""

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).parent))

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture(autouse=True)
def seeded():
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


WORDS = "goal match team score coach bank market stock price trade the a of in and".split()


@pytest.fixture(scope="session")
def tiny_preset(tmp_path_factory) -> Path:
    """A random BERT with a vocabulary of a few words, as a folder that any config can name."""
    return make_tiny_preset(tmp_path_factory.mktemp("preset"))


def make_tiny_preset(folder: Path) -> Path:
    """Writes the preset above to a folder."""
    from kerasft.models.presets.presets import save_preset

    keras.utils.set_random_seed(0)
    letters = [mark + letter for letter in "abcdefghijklmnopqrstuvwxyz0123456789" for mark in ("", "##")]
    vocabulary = list(dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters]))
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(vocabulary),
        num_layers=1,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        max_sequence_length=64,
    )
    save_preset(backbone, keras_hub.models.BertTokenizer(vocabulary, lowercase=True), str(folder))
    return folder


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
