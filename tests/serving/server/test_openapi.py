"""`/openapi.json` and the list of models say what is served, and the answers are as they say."""

import jsonschema
import pytest


@pytest.fixture(scope="module")
def described(running):
    status, found = running.rest("/openapi.json")
    assert status == 200
    return found


def body(operation):
    return operation["requestBody"]["content"]["application/json"]["schema"]


def answer(operation):
    return operation["responses"]["200"]["content"]["application/json"]["schema"]


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("predict", {"instances": ["goal match", {"b64": "YQ=="}]}),
        ("predict", {"instances": [{"text": "goal match"}]}),
        ("predict", {"inputs": ["goal match"]}),
        ("classify", {"signature_name": "classify", "examples": [{"text": "goal"}]}),
    ],
)
def test_requests_and_answers_are_as_described(running, described, method, request_):
    path = f"/v1/models/single_label:{method}"
    operation = described["paths"][path]["post"]
    jsonschema.Draft202012Validator(body(operation)).validate(request_)
    status, found = running.rest(path, request_)
    assert status == 200
    jsonschema.Draft202012Validator(answer(operation)).validate(found)


def test_what_is_no_request_is_none_by_the_description_too(running, described):
    for wrong in ({"instances": [7]}, {"inputs": {"x": ["a"]}}, {}):
        path = "/v1/models/single_label:predict"
        assert not jsonschema.Draft202012Validator(body(described["paths"][path]["post"])).is_valid(wrong)
        assert running.rest(path, wrong)[0] == 400


def test_every_path_that_is_read_answers(running, described):
    assert described["openapi"] == "3.1.0" and "security" not in described
    reads = [path for path, operations in described["paths"].items() if "get" in operations]
    assert {"/v1/models", "/v1/models/single_label", "/v1/models/single_label/metadata"} < set(reads)
    for path in reads:
        connection = running.http()
        connection.request("GET", path)
        assert connection.getresponse().status == 200
        connection.close()
    jsonschema.Draft202012Validator.check_schema(body(described["paths"]["/v1/models/single_label:predict"]["post"]))


def test_a_list_of_all_models(running):
    assert running.rest("/v1/models") == (
        200,
        {"models": [{"name": "single_label", "versions": [{"version": "1", "state": "AVAILABLE"}], "labels": {}}]},
    )
