"""tfds: sources, against a data set that the test itself makes and prepares."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from kerasft.data.sources.sources import read_records
from kerasft.errors import UserError


class KerasftToy(tfds.core.GeneratorBasedBuilder):
    """Three training examples and one test example, with every kind of feature that is turned into plain Python."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        names = tfds.features.ClassLabel(names=["neg", "pos"])
        features = {
            "text": tfds.features.Text(),
            "label": names,
            "tags": tfds.features.Sequence(names),
            "spans": tfds.features.Sequence({"word": tfds.features.Text(), "start": np.int32}),
            "score": np.float32,
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(3), "test": self._generate_examples(1)}

    def _generate_examples(self, count):
        for number in range(count):
            label = number % 2 if count > 1 else -1
            spans = [{"word": "é", "start": number}] * number
            tags = [1, 0][:number]
            yield number, {"text": f"é{number}", "label": label, "tags": tags, "spans": spans, "score": 0.5}


@pytest.fixture(scope="module", autouse=True)
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    KerasftToy(data_dir=folder).download_and_prepare()
    tfds.core.add_data_dir(folder)


def test_values_are_plain_and_classes_named():
    records = list(read_records("tfds:kerasft_toy"))
    assert sorted(record.values["text"] for record in records) == ["é0", "é1", "é2"]
    assert [record.where for record in records] == [f"tfds:kerasft_toy:{number}" for number in (1, 2, 3)]
    by_text = {record.values["text"]: record.values for record in records}
    assert by_text["é2"] == {
        "text": "é2",
        "label": "neg",
        "tags": ["pos", "neg"],
        "spans": {"word": ["é", "é"], "start": [2, 2]},
        "score": 0.5,
    }
    assert by_text["é1"]["label"] == "pos"


def test_splits_versions_and_unknown_labels():
    (record,) = read_records("tfds:kerasft_toy:test")
    assert record.values["label"] == -1
    assert len(list(read_records("tfds:kerasft_toy:1.0.0:train[:2]"))) == 2
    assert len(list(read_records("kerasft_toy:train[:67%]", "tfds"))) == 2


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("tfds:kerasft_toy:dev", r"cannot be loaded: Unknown split 'dev'. Should be one of \['train', 'test'\]"),
        ("tfds:kerasft_no_such_set", "Dataset kerasft_no_such_set not found"),
        ("tfds:kerasft toy", "malformed; write tfds:NAME"),
    ],
)
def test_mistakes(spec, message):
    with pytest.raises(UserError, match=message) as error:
        list(read_records(spec))
    assert "\n" not in str(error.value)
