"""What filters find, mask and refuse; without a server."""

import json

import numpy as np
import pytest
from grpc import StatusCode
from pydantic import ValidationError
from tensorflow.core.example.example_pb2 import Example

from kerasft.config.schema import Config
from kerasft.config.serving import FilterConfig, ServingConfig
from kerasft.errors import ServableError
from kerasft.serving.filters import TextFilter, filters_of, masked
from kerasft.serving.personal_data import KINDS, spans
from kerasft.serving.server.guard import Guard, ReviewFile, load_guard
from kerasft.serving.server.metrics import Metrics
from kerasft.serving.server.requests import INPUTS
from kerasft.serving.status import ServingError


def found(text, **config):
    filter_ = TextFilter(FilterConfig(name="f", **config))
    return [text[start:end] for hit in filter_.hits([text]) for start, end in hit.spans]


def test_words_are_found_whole_in_any_case_width_and_disguise():
    words = ["bad word", "idiot", "坏蛋"]
    assert found("Such an IDIOT!", words=words) == ["IDIOT"] and found("idiotic", words=words) == []
    assert found("你是坏蛋吗", words=words) == ["坏蛋"] and found("ａ ｂａｄ　ｗｏｒｄ", words=words) == [
        "ｂａｄ　ｗｏｒｄ"
    ]
    assert found("SCHEISSE", words=["scheiße"]) == ["SCHEISSE"]
    assert found("un cabron", words=["cabron", "cabrón"]) == ["cabron"]
    for hidden in ("id\u2066iot", "id\u061ciot", "id\U000e0020iot", "i\u200b\u0301diot"):
        assert found(hidden, words=words) == [hidden]
    assert found("a" + "\u0315\u0300" * 100_000, words=words) == []  # at once: marks are not put in order without end
    assert found("i\u2063di\ufe0fot", words=words) == ["i\u2063di\ufe0fot"]
    assert (
        found("😀 i\u200bdi\u200bot", words=words) == ["i\u200bdi\u200bot"] and found("bad\n word", words=words) != []
    )


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("iban", "DE89370400440532013000", "DE88370400440532013000"),
        ("card", "4111 1111 1111 1111", "4111 1111 1111 1112"),
        ("chinese_id", "11010519491231002X", "110105194912310021"),
        ("email", "a.b@example.org", "a.b at example.org"),
        ("phone", "+49 30 1234567", "1234567"),
    ],
)
def test_personal_data_is_found_by_its_form_and_its_check_digits(kind, right, wrong):
    text = f"😀 我 {right}, ok"
    assert [text[start:end] for start, end in spans(text, [kind])] == [right]
    assert spans(f"x {wrong}, ok", [kind]) == []
    once = masked(text, "id", spans(text, KINDS))
    assert once == "😀 我 [id], ok" and masked(once, "id", spans(once, KINDS)) == once


class Stub:
    """A guard with filters by their configs."""

    def __init__(self, tmp_path, *configs):
        self.metrics, self.file = Metrics(), tmp_path / "review.jsonl"
        filters = [TextFilter(FilterConfig(**each)) for each in configs]
        self.guard = Guard("m", 2, filters, self.metrics, ReviewFile(self.file))

    def counted(self) -> list[str]:
        lines = self.metrics.page().decode().splitlines()
        return [line for line in lines if line.startswith("kerasft_filtered_texts_total")]


def strings(*texts: str) -> np.ndarray:
    array = np.empty(len(texts), object)
    array[:] = [text.encode() for text in texts]
    return array


def test_a_guard_masks_flags_and_blocks_and_counts_all_of_it(tmp_path):
    stub = Stub(
        tmp_path,
        {"name": "mail", "patterns": ["email"], "action": "mask"},
        {"name": "watch", "words": ["refund"], "action": "flag", "on": "input"},
        {"name": "rude", "words": ["idiot"], "action": "block"},
    )
    inputs = {"text": strings("a@b.org wants a refund", "fine"), "max_new_tokens": np.array([3, 3])}
    passed = stub.guard.inputs(inputs)
    assert (
        passed["text"].tolist() == [b"[mail] wants a refund", b"fine"]
        and passed["max_new_tokens"] is inputs["max_new_tokens"]
    )
    for call in (stub.guard.inputs, stub.guard.outputs):
        with pytest.raises(ServingError) as error:
            call({"text": strings("you idiot")})
        assert error.value.code is StatusCode.PERMISSION_DENIED and "idiot" not in error.value.message
        assert "filter rude" in error.value.message
    assert stub.guard.outputs({"text": strings("refund"), "tokens": np.array([1])})["text"].tolist() == [b"refund"]
    assert len(stub.counted()) == 4
    lines = [json.loads(line) for line in stub.file.read_text().splitlines()]
    assert [(line["filter"], line["side"], line["action"]) for line in lines] == [
        ("mail", "input", "mask"),
        ("watch", "input", "flag"),
        ("rude", "input", "block"),
        ("rude", "output", "block"),
    ]
    assert "a@b.org" not in stub.file.read_text() and stub.file.stat().st_mode & 0o777 == 0o600


def test_texts_in_examples_are_masked_too(tmp_path):
    stub = Stub(tmp_path, {"name": "mail", "patterns": ["email"], "action": "mask"})
    example = Example()
    example.features.feature["text"].bytes_list.value.append(b"write to a@b.org")
    array = np.empty(1, object)
    array[:] = [example.SerializeToString()]
    changed = Example.FromString(stub.guard.inputs({INPUTS: array})[INPUTS][0])
    assert changed.features.feature["text"].bytes_list.value[0] == b"write to [mail]"


def test_what_is_no_example_is_the_clients_mistake(tmp_path):
    stub = Stub(tmp_path, {"name": "mail", "patterns": ["email"], "action": "mask"})
    with pytest.raises(ServingError, match="no serialized tf.Example") as error:
        stub.guard.inputs({INPUTS: strings("\n\x7f no example")})
    assert error.value.code is StatusCode.INVALID_ARGUMENT


def test_a_version_whose_filters_can_not_be_read_is_not_served(tmp_path):
    file = tmp_path / "assets.extra" / "kerasft.json"
    assert load_guard(tmp_path, "m", 1, Metrics(), None, False) is None
    file.parent.mkdir()
    file.write_text('{"config": {"serving"')
    with pytest.raises(ServableError, match="nobody knows the filters of this version"):
        load_guard(tmp_path, "m", 1, Metrics(), None, False)


def test_filters_of_adapters_hold_for_all_of_them(tmp_path):
    mail, rude = {"name": "mail", "patterns": ["email"], "action": "mask"}, {"name": "rude", "words": ["idiot"]}
    own = {
        name: {"config": {"serving": {"filters": filters}}} for name, filters in (("a", [mail]), ("b", [mail, rude]))
    }
    assert [each.name for each in filters_of({"adapters": own})] == ["mail", "rude"]
    assert [each.name for each in filters_of({"adapters": own, "serving": {"filters": [rude]}})] == ["rude", "mail"]
    file = tmp_path / "assets.extra" / "kerasft.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"adapters": own}))
    guard = load_guard(tmp_path, "m", 1, Metrics(), None, False)
    assert guard is not None
    with pytest.raises(ServingError, match="filter rude"):
        guard.inputs({"text": strings("idiot"), "adapter": strings("a")})


def test_a_model_stops_labels_above_a_score():
    config = FilterConfig(name="tox", model="saved_models/tox", labels=["toxic"], threshold=0.7)
    scores = {"a": ("toxic", 0.9), "b": ("toxic", 0.6), "c": ("fine", 0.99)}
    hits = TextFilter(config, lambda texts: [scores[text] for text in texts]).hits(["a", "b", "c"])
    assert [(hit.row, hit.spans) for hit in hits] == [(0, [(0, 1)])]


def test_a_filter_of_what_is_written_is_for_models_that_write():
    config = {
        "name": "t",
        "task": {"name": "text_classification"},
        "model": {"preset": "x"},
        "data": {"train": "x", "columns": {"text": "t", "label": "l"}},
        "serving": {"filters": [{"name": "a", "words": ["x"], "on": "output"}]},
    }
    with pytest.raises(ValidationError, match="serving.filters.0.on: output is for models that write texts"):
        Config.model_validate(config)
    config["task"] = {"name": "seq2seq"}
    config["data"] = {"train": "x", "columns": {"input": "i", "output": "o"}}
    assert Config.model_validate(config).serving.filters[0].on == "output"


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ([{"name": "a"}], "one of words, patterns and model"),
        ([{"name": "a", "words": ["x"], "patterns": ["email"]}], "one of words, patterns and model"),
        ([{"name": "a", "model": "m"}], "labels and model go together"),
        ([{"name": "a", "words": [" "]}], "one is empty"),
        ([{"name": "a", "words": ["x"]}, {"name": "a", "words": ["y"]}], "two filters are called a"),
    ],
)
def test_a_filter_that_could_not_work_is_refused(filters, message):
    with pytest.raises(ValidationError, match=message):
        ServingConfig.model_validate({"filters": filters})


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("an ídïöt", "ídïöt"),  # accents
        ("an і\u200bdiоt!", "і\u200bdiоt"),  # Cyrillic letters between Latin ones
        ("🅸🅳🅸🅾🆃 𝓲𝓭𝓲𝓸𝓽", "🅸🅳🅸🅾🆃 𝓲𝓭𝓲𝓸𝓽"),
        ("so ﬁlthy", "ﬁlthy"),  # one character, two letters
        ("a crovvd", "crovvd"),
        ("a cуka", "cуka"),  # of a word in Cyrillic
        ("il pécha", None),  # whose own accents count
        ("il a pe\u0302ché", "pe\u0302ché"),
        ("сор", None),  # all of it is Cyrillic: another word
        ("burn", None),
    ],
)
def test_words_are_found_in_disguise_and_where_they_stand(text, hidden):
    words = ["idiot", "idiot idiot", "filthy", "crowd", "сука", "pêché", "cop", "bum"]
    spans_ = found(text, words=words)
    assert spans_ == ([] if hidden is None else [hidden]) or spans_ == hidden.split()
