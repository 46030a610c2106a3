"""Requests that are made to take as much as a server lets them, as bytes; of 8 MB, the largest that it takes."""

# ruff: noqa: E501  an attack is a line
import json
import random
from collections.abc import Callable

from google.protobuf.internal.encoder import _VarintBytes

SIZE = 8 * 2**20 - 4096
CLASSIFY, PREDICT = "/v1/models/single_label:classify", "/v1/models/single_label:predict"
TEXTS = (
    "words without an end",
    "words without an end, byte by byte",
    "rows that are as long as they may be",
)  # answered
PREDICTION, MODEL = "/tensorflow.serving.PredictionService/", "/tensorflow.serving.ModelService/"


def filled(before: str, item: str, after: str, count: int | None = None) -> bytes:
    """The item again and again with commas between, as often as there is room."""
    count = count or (SIZE - len(before) - len(after)) // (len(item.encode()) + 1)
    return (before + ",".join([item] * count) + after).encode("utf-8", "surrogatepass")


def keys(count: int, value: str) -> str:
    return ",".join(f'"{number:x}":{value}' for number in range(count))


def rest() -> dict[str, tuple[str, Callable[[], bytes]]]:
    """Name -> path and what makes the body."""
    rows, examples, columns = '{"instances": [', '{"signature_name": "classify", "examples": [', '{"inputs": {"text": ['
    words = "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz", k=200_000))
    return {
        "empty examples": (CLASSIFY, lambda: filled(examples, "{}", "]}")),
        "examples that are lists": (CLASSIFY, lambda: filled(examples, "[]", "]}")),
        "examples that are lists of lists": (CLASSIFY, lambda: filled(examples, "[[[[[]]]]]", "]}")),
        "700,000 texts": (PREDICT, lambda: filled(rows, '"a"', "]}", 700_000)),
        "700,000 columns": (PREDICT, lambda: filled(columns, '"a"', "]}}", 700_000)),
        "rows with keys": (PREDICT, lambda: filled(rows, '{"text":"a"}', "]}")),
        "rows of numbers": (PREDICT, lambda: filled(rows, "7", "]}")),
        "columns of lists": (PREDICT, lambda: filled(columns, "[[]]", "]}}")),
        "values just within the limit": (PREDICT, lambda: filled(rows, '"ab"', "]}", 2**19 - 8)),
        "keys just within the limit": (PREDICT, lambda: ('{"instances": [{%s}]}' % keys(2**16 - 8, "7")).encode()),
        "lists within lists": (PREDICT, lambda: b"[" * SIZE),
        "objects within objects": (PREDICT, lambda: b'{"a":' * (SIZE // 5)),
        "lists within lists, closed": (PREDICT, lambda: b'{"instances":' + b"[" * 4_000_000 + b"]" * 4_000_000 + b"}"),
        "one text": (PREDICT, lambda: filled(rows, '"%s"' % ("a" * (SIZE - 20)), "]}", 1)),
        "one text of escapes": (PREDICT, lambda: filled(rows, '"%s"' % (r"\u00e9" * (SIZE // 6 - 20)), "]}", 1)),
        "one text of backslashes": (PREDICT, lambda: filled(rows, '"%s"' % ("\\\\" * (SIZE // 2 - 20)), "]}", 1)),
        "one text of quotation marks": (PREDICT, lambda: filled(rows, '"%s"' % ('\\"' * (SIZE // 2 - 20)), "]}", 1)),
        "quotation marks": (PREDICT, lambda: b'"' * SIZE),
        "backslashes": (PREDICT, lambda: b"\\" * SIZE),
        "commas": (PREDICT, lambda: b"[" + b"," * SIZE),
        "spaces": (PREDICT, lambda: b" " * SIZE),
        "zeros": (PREDICT, lambda: bytes(SIZE)),
        "no UTF-8": (PREDICT, lambda: b'{"instances": ["' + b"\xff" * (SIZE - 20) + b'"]}'),
        "many keys": (PREDICT, lambda: ('{"instances": [{%s}]}' % keys(700_000, "1")).encode()),
        "a key again and again": (PREDICT, lambda: filled("{", '"instances":[]', "}")),
        "an integer of 5,000 digits": (PREDICT, lambda: filled(rows, "9" * 5000, "]}", 1)),
        "integers of 4,000 digits": (PREDICT, lambda: filled(rows, "9" * 4000, "]}")),
        "floats beyond floats": (PREDICT, lambda: filled(rows, "1e999", "]}")),
        "features beyond floats": (CLASSIFY, lambda: filled(examples + '{"text": [', "-1e999", "]}]}", 2**19 - 20)),
        "floats of many digits": (PREDICT, lambda: filled(rows, "1." + "9" * 700 + "e-300", "]}")),
        "one value as base64": (PREDICT, lambda: filled(rows, '{"b64": "%s"}' % ("A" * (SIZE - 60)), "]}", 1)),
        "values as base64": (PREDICT, lambda: filled(rows, '{"b64":"AA=="}', "]}")),
        "surrogates": (PREDICT, lambda: filled(rows, r'"\ud800"', "]}")),
        "a feature of many numbers": (CLASSIFY, lambda: filled(examples + '{"text": [', "1", "]}]}", 2**19 - 20)),
        "an example of many features": (CLASSIFY, lambda: ('%s{%s}]}' % (examples, keys(2**16 - 20, "1"))).encode()),
        "a context for many": (CLASSIFY, lambda: ('{"context": {"c": "%s"}, "examples": [%s]}' % ("a" * 7_000_000, ",".join(["{}"] * 256))).encode()),
        "a version of 5,000 digits": (f"/v1/models/single_label/versions/{'9' * 5000}:predict", lambda: b'{"instances": ["a"]}'),
        "words without an end": (PREDICT, lambda: json.dumps({"instances": [words] * 32}).encode()),
        "rows that are as long as they may be": (PREDICT, lambda: json.dumps({"instances": ["goal match " * 2900] * 256}).encode()),
        "words without an end, byte by byte": ("/v1/models/seq2seq:predict", lambda: json.dumps({"instances": [words]}).encode()),
    }  # fmt: skip


def field(number: int, content: bytes) -> bytes:
    """A field of a message whose content is a message, a string, or packed numbers."""
    return _VarintBytes(number << 3 | 2) + _VarintBytes(len(content)) + content


def grpc() -> dict[str, tuple[str, Callable[[], bytes]]]:
    """Name -> method and what makes the message."""
    spec = field(1, field(1, b"single_label") + field(3, b"classify"))
    classify, model = PREDICTION + "Classify", field(1, field(1, b"single_label"))

    def examples(content: bytes) -> bytes:
        return spec + field(2, field(1, content))

    def features(entries: bytes) -> bytes:
        return examples(field(1, field(1, entries)))

    def tensor(content: bytes, name: bytes = b"text") -> bytes:
        return model + field(2, field(1, name) + field(2, b"\x08\x07" + content))

    def shape(*sizes: int) -> bytes:
        return field(2, b"".join(field(2, b"\x08" + _VarintBytes(size)) for size in sizes))

    entry = field(1, field(1, b"a") + field(2, b""))

    def named(number: int) -> bytes:
        """As many entries of a map with names of their own as there is room for."""
        before, after = field(number, field(1, b"%06x" % 0) + field(2, b"")).split(b"%06x" % 0)
        return b"".join(b"%s%06x%s" % (before, count, after) for count in range(SIZE // 15))

    config = field(1, field(1, b"m") + field(2, b"/") + field(4, b"tensorflow"))
    empty = SIZE // 2 - 100
    return {
        "400,000 examples": (classify, lambda: examples(field(1, field(1, entry)) * 400_000)),
        "empty examples": (classify, lambda: examples(b"\x0a\x00" * empty)),
        "a context for many": (classify, lambda: spec + field(2, field(2, field(2, field(1, field(1, field(1, b"c") + field(2, field(1, field(1, b"a" * 7_000_000)))))) + b"\x0a\x00" * 256))),
        "a feature again and again": (classify, lambda: features(entry * (SIZE // len(entry) - 20))),
        "many features": (classify, lambda: features(named(1))),
        "packed numbers": (classify, lambda: features(field(1, field(1, b"text") + field(2, field(3, field(1, b"\x01" * (SIZE - 99))))))),
        "unknown fields": (classify, lambda: b"\x7a\x00" * empty),
        "unknown numbers": (classify, lambda: b"\x78\x00" * empty),
        "groups": (classify, lambda: b"\x7b" * SIZE),
        "no message": (classify, lambda: b"\xff" * SIZE),
        "texts of a row": (PREDICTION + "Predict", lambda: tensor(shape(empty) + b"\x42\x00" * empty)),
        "texts that do not fit": (PREDICTION + "Predict", lambda: tensor(shape(2) + b"\x42\x00" * empty)),
        "numbers of no use": (PREDICTION + "Predict", lambda: tensor(shape(2) + field(7, b"\x01" * (SIZE - 100)))),
        "a shape of many sizes": (PREDICTION + "Predict", lambda: tensor(field(2, b"\x12\x00" * empty))),
        "a shape beyond reason": (PREDICTION + "Predict", lambda: tensor(shape(2**62, 2**62, 2**62))),
        "many inputs": (PREDICTION + "Predict", lambda: model + named(2)),
        "many outputs": (PREDICTION + "Predict", lambda: tensor(shape(1) + b"\x42\x01a") + b"\x1a\x01a" * (SIZE // 3 - 99)),
        "a name without an end": (PREDICTION + "Predict", lambda: field(1, field(1, b"a" * (SIZE - 20)))),
        "a label without an end": (PREDICTION + "Predict", lambda: field(1, field(1, b"single_label") + field(4, b"a" * (SIZE - 99)))),
        "many models": (MODEL + "HandleReloadConfigRequest", lambda: field(1, field(1, config * (SIZE // len(config) - 20)))),
        "one folder under many names": (MODEL + "HandleReloadConfigRequest", lambda: field(1, field(1, config * 2000))),
        "many fields of metadata": (PREDICTION + "GetModelMetadata", lambda: model + b"\x12\x00" * empty),
        "a service without an end": ("/grpc.health.v1.Health/Check", lambda: field(1, b"a" * (SIZE - 20))),
    }  # fmt: skip
