"""Any model answers texts in the same way: strings, rows or columns in, an answer for each out, in order."""

from pathlib import Path

import pytest

from kerasft.errors import UserError
from kerasft.inference.local import LocalPredictor
from kerasft.inference.predictor import Predictor, is_run, open_model
from kerasft.inference.remote import Remote
from kerasft.inference.texts import rows_of


@pytest.mark.parametrize(
    ("texts", "inputs", "rows"),
    [
        (["a", "b"], ("text",), [{"text": "a"}, {"text": "b"}]),
        (("a",), ("prompt",), [{"prompt": "a"}]),
        ([], ("text",), []),
        ({"text": ["a", "b"], "more": [1, 2]}, ("text",), [{"text": "a"}, {"text": "b"}]),
        (
            [{"question": "q", "context": "c", "id": 7}],
            ("question", "context"),
            [{"question": "q", "context": "c"}],
        ),
        ({"question": ["q"], "context": ["c"]}, ("question", "context"), [{"question": "q", "context": "c"}]),
        (["a \ud800"], ("text",), [{"text": "a ?"}]),
    ],
)
def test_texts_are_rows(texts, inputs, rows):
    assert rows_of(texts, inputs) == rows


@pytest.mark.parametrize(
    ("texts", "inputs", "expected"),
    [
        ("a text", ("text",), "'a text' is one text; give a list"),
        (["a", 7], ("text",), "text 1: 7 is not a string"),
        (["a"], ("text", "text_pair"), "text 0: 'a' is not a dict of text, text_pair"),
        ([{"text": None}], ("text",), "text 0: 'text' is None; a string"),
        ([{"question": "q"}], ("question", "context"), "text 0: 'context' is None"),
        ({"txt": ["a"]}, ("text",), r"no 'text' among \['txt'\]; the model reads text"),
        ({"a": ["x"], "b": []}, ("a", "b"), "give as many of each"),
        (["x" * 99, b"y" * 99], ("text",), r"text 1: b'y{50,55}\.\.\. is not"),
    ],
)
def test_what_is_no_text_is_named(texts, inputs, expected):
    with pytest.raises(UserError, match=expected):
        rows_of(texts, inputs)


def test_what_loads_are_predictors(tmp_path):
    for kind in (LocalPredictor, Remote):
        assert callable(kind.answer)
    assert isinstance(LocalPredictor(_Answerer()), Predictor)
    assert not is_run(tmp_path)
    with pytest.raises(UserError, match="neither a run"):
        open_model(tmp_path)
    with pytest.raises(UserError, match="a=b: .* has a config of its own"):
        open_model(Path(tmp_path), ["a=b"])


class _Task:
    inputs = ("text",)

    def rows(self, outputs):
        return [{"length": length} for length in outputs["lengths"]]


class _Answerer:
    """Gives the length of each text; like an old export it counts no tokens."""

    task = _Task()

    class loaded:
        signatures: dict = {}

    def answer(self, columns):
        assert len(columns["text"]) <= 3
        return {"lengths": [len(text) for text in columns["text"]]}


def test_answers_are_in_the_order_of_the_texts():
    texts = ["x" * (i * 7 % 11) for i in range(20)]
    predictor = LocalPredictor(_Answerer(), batch_size=3)
    assert predictor.answer(texts) == [{"length": len(text)} for text in texts]
    assert predictor.answer([]) == []
