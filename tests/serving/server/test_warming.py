"""Every warm-up request of a version is run before it answers, and one that fails is named."""

import pytest

from kerasft.errors import ServableError
from kerasft.serving.server.loaded_model import LoadedModel
from kerasft.serving.server.warming import Warmed, warm
from kerasft.serving.warm_up import FILE, request, write


@pytest.fixture(scope="module")
def model(exported):
    loaded = LoadedModel(exported("single_label") / "1")
    yield loaded
    loaded.close()


def test_warm_up_requests_are_run_and_one_that_fails_is_named(model, exported, tmp_path):
    warmed = warm(model, exported("single_label") / "1")
    assert (warmed.requests, list(warmed.sample)) == (2, ["text"]) and warmed.sample["text"]
    assert warm(model, tmp_path) == Warmed(0, {})  # no file
    good = request("single_label", "serving_default", {"text": [b"a"]})
    for bad, expected in (
        (request("single_label", "serving_default", {"txet": [b"a"]}), "record 2 fails: inputs do not match"),
        (request("single_label", "nothing", {"text": [b"a"]}), 'record 2 fails: Serving signature key "nothing"'),
        (request("single_label", "classify", {"txet": [b"a"]}), "record 2 fails: .*text"),
    ):
        write(tmp_path, [good, bad])
        with pytest.raises(ServableError, match=expected):
            warm(model, tmp_path)
    (tmp_path / FILE).write_bytes(b"no records, whatever it is")
    with pytest.raises(ServableError, match="not a TFRecord"):
        warm(model, tmp_path)
