"""Which paths mean what, and what HTTP says of a refusal; the answers themselves are in test_conformance.py."""

import json

import pytest
from grpc import StatusCode

from kerasft.serving.server.rest import PREDICTION, STATUS, json_response, refusal, version_of
from kerasft.serving.status import ServingError, invalid

# Path -> name, version, label, method.
PREDICTIONS = {
    "/v1/models/m:predict": ("m", None, None, "predict"),
    "/V1/Models/M.1_x-y:Classify": ("M.1_x-y", None, None, "Classify"),
    "/v1/models/m/versions/12:regress": ("m", "12", None, "regress"),
    "/v1/models/m/labels/stable:predict": ("m", None, "stable", "predict"),
    "/v1/models/%2e%2e:predict": ("%2e%2e", None, None, "predict"),
}
STATUSES = {
    "/v1/models/m": ("m", None, None, None),
    "/v1/models": (None, None, None, None),
    "/v1/models/m/versions/3": ("m", "3", None, None),
    "/v1/models/m/labels/stable/metadata": ("m", None, "stable", "/metadata"),
    "/v1/models/m/metadata": ("m", None, None, "/metadata"),
}


@pytest.mark.parametrize("path", PREDICTIONS)
def test_paths_of_predictions(path):
    assert PREDICTION.fullmatch(path).groups() == PREDICTIONS[path]
    assert STATUS.fullmatch(path) is None


@pytest.mark.parametrize("path", STATUSES)
def test_paths_of_questions_about_models(path):
    assert STATUS.fullmatch(path).groups() == STATUSES[path]
    assert PREDICTION.fullmatch(path) is None


@pytest.mark.parametrize(
    "path",
    ["/v1/models/m:explain", "/v1/models/:predict", "/v1/models/a/b:predict", "/v1/models/m/versions/x:predict",
     "/v1/models/m/versions/\u0663:predict", "/v1/models/m:predict/", "/v1/models/m/versions/1/labels/a:predict"],
)  # fmt: skip
def test_other_paths_mean_nothing(path):
    assert PREDICTION.fullmatch(path) is None and STATUS.fullmatch(path) is None


def test_refusals_say_when_to_come_again_and_what_is_needed():
    late = refusal(ServingError(StatusCode.RESOURCE_EXHAUSTED, "overloaded"))
    assert (late.status, late.headers["Retry-After"]) == (503, "1")
    unknown = refusal(ServingError(StatusCode.UNAUTHENTICATED, "a token"))
    assert (unknown.status, unknown.headers["WWW-Authenticate"]) == (401, "Bearer")
    large = refusal(ServingError(StatusCode.INVALID_ARGUMENT, "large", 413))
    assert large.status == 413 and "Retry-After" not in large.headers
    assert json.loads(refusal(invalid("na\u00efve \ud800")).body) == {"error": "na\u00efve ?"}


def test_an_answer_names_neither_a_charset_nor_versions_of_libraries():
    answer = json_response({"a": float("nan")})
    assert answer.headers["Content-Type"] == "application/json" and answer.headers["Server"] == "kerasft"
    assert answer.body == b'{"a": NaN}'


@pytest.mark.parametrize("digits", ["9" * 19, "9" * 5000, "9223372036854775808"])
def test_a_version_beyond_numbers_is_refused(digits):
    with pytest.raises(ServingError, match="to numeric") as refused:
        version_of(PREDICTION.fullmatch(f"/v1/models/m/versions/{digits}:predict"))
    assert refused.value.http_status == 400 and len(refused.value.message) < 1100


@pytest.mark.parametrize("digits", ["7", "0" * 5000 + "7", "9223372036854775807", "0"])
def test_versions_up_to_the_largest_are_read(digits):
    spec = version_of(PREDICTION.fullmatch(f"/v1/models/m/versions/{digits}:predict"))
    assert spec.version.value == int(digits.lstrip("0") or 0)
