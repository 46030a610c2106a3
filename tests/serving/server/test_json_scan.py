"""The values of a JSON document are counted before they are made, and never too few."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.serving.server import json_scan
from kerasft.serving.server.json_scan import contents
from kerasft.serving.server.json_tensors import check_contents
from kerasft.serving.server.requests import RequestLimits
from kerasft.serving.status import ServingError

TEXTS = st.text(st.sampled_from('a,:[]{}"\\\n\u00e9'), max_size=6)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))


def count(value):
    """(values, keys) that Python makes of a document."""
    if isinstance(value, dict):
        inner = [count(each) for each in value.values()]
        return 1 + len(value) + sum(values for values, _ in inner), len(value) + sum(keys for _, keys in inner)
    inner = [count(each) for each in value] if isinstance(value, list) else []
    return 1 + sum(values for values, _ in inner), sum(keys for _, keys in inner)


@settings(max_examples=200, deadline=None)
@given(VALUES, st.booleans(), st.integers(1, 9))
def test_no_value_is_missed(value, escaped, block):
    body = json.dumps(value, ensure_ascii=escaped).encode()
    values, keys = count(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_scan, "BLOCK", block)
        found = contents(body)
    assert found.keys == keys
    # Brackets count beside what they hold, so that an opening one and a comma are two.
    assert values <= found.values <= 2 * values


def test_signs_in_texts_are_no_values():
    assert contents(json.dumps({"instances": [',,[[{{::"\\' * 1000]}).encode()).values == 4
    assert contents(b'["\\\\", "\\\\\\"", 1]').values == 4


@pytest.mark.parametrize("body", [b'"a', b"\\", b'\\"[[[[', b'[1, "\\', b'"' * 7, b"\xff" * 9, b'["a" "b" ,,,'])
def test_what_is_no_json_is_looked_at_without_an_error(body):
    assert contents(body).values >= 1


def test_more_values_or_keys_than_the_limits_are_refused():
    limits = RequestLimits(values=64)
    check_contents(json.dumps(["x, y" * 90] * 60).encode(), limits)
    for body, expected in (
        (json.dumps([1] * 64), "the request has 65 values; this server takes 64 at most"),
        (json.dumps({str(number): 1 for number in range(9)}), "9 keys; this server takes 8 at most"),
    ):
        with pytest.raises(ServingError, match=expected):
            check_contents(body.encode(), limits)
