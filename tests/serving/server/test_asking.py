"""The client and `kerasft predict` ask a running server."""

import gzip
import json
import threading

import numpy as np
import pytest
from grpc import StatusCode

from kerasft import predict
from kerasft.inference.export import Export
from kerasft.serving import Client, ModelSpec, ServingError

TEXTS = ["goal match", "", "the bank \U0001f40d", "stock"]


def addresses(running):
    return f"http://127.0.0.1:{running.server.rest_port}", f"grpc://127.0.0.1:{running.server.grpc_port}"


@pytest.fixture
def clients(running):
    made = [Client(address, timeout=120.0) for address in addresses(running)]
    yield made
    for client in made:
        client.close()


def test_both_transports_answer_as_the_model_does(clients, exported):
    expected = Export.open(exported("single_label")).load().answer({"text": TEXTS})
    for client in clients:
        for texts in (TEXTS, [text.encode() for text in TEXTS]):
            answer = client.predict("single_label", {"text": texts})
            assert set(answer) == set(expected)
            for name, values in expected.items():
                assert answer[name].dtype == values.dtype
                np.testing.assert_array_equal(answer[name], values)
        (row,) = client.classify("single_label", [{"text": TEXTS[0]}])
        assert [label for label, _ in row] == ["sport", "trade", "two\nlines"]
        assert [score for _, score in row] == pytest.approx(expected["probabilities"][0].tolist())
        assert client.versions("single_label") == {1: "AVAILABLE"}
        found = client.signatures(ModelSpec("single_label", version=1))
        assert found["serving_default"] == {
            "method": "tensorflow/serving/predict",
            "inputs": {"text": "string"},
            "outputs": {"label": "string", "score": "float32", "probabilities": "float32"},
        }
        for which, code in (
            (ModelSpec("nobody"), StatusCode.NOT_FOUND),
            (ModelSpec("single_label", version=9), StatusCode.NOT_FOUND),
            (ModelSpec("single_label", label="x"), StatusCode.INVALID_ARGUMENT),
        ):
            with pytest.raises(ServingError) as failed:
                client.predict(which, {"text": ["a"]})
            assert failed.value.code is code


def test_threads_share_a_client(clients):
    for client in clients:
        labels = [None] * 16

        def ask(place, client=client, labels=labels):
            labels[place] = client.predict("single_label", {"text": [TEXTS[place % 4]] * (place % 3 + 1)})["label"]

        threads = [threading.Thread(target=ask, args=(place,)) for place in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [len(each) for each in labels] == [place % 3 + 1 for place in range(16)]


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_predict_streams_through_a_server_in_order(running, exported, tmp_path, capsys):
    texts = [f"{'goal ' * (number % 7)}{number}" for number in range(50)]
    file = tmp_path / "in.jsonl.gz"
    file.write_bytes(gzip.compress("".join(json.dumps({"text": text}) + "\n" for text in texts).encode()))
    assert predict.main([str(exported("single_label")), "--input", str(file)]) == 0
    local = lines(capsys.readouterr().out)
    for address in addresses(running):
        asked = [f"{address}/v1/models/single_label", "--input", str(file), "--batch-size", "7"]
        assert predict.main(asked) == 0
        remote = lines(capsys.readouterr().out)
        assert [row["label"] for row in remote] == [row["label"] for row in local]
        assert [row["score"] for row in remote] == pytest.approx([row["score"] for row in local], abs=1e-4)


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("/v1/models/nobody", '{"text": "a"}\n', "nobody: NOT_FOUND"),
        ("/v1/models/single_label/versions/9", '{"text": "a"}\n', "NOT_FOUND"),
        ("", '{"text": "a"}\n', "not a model on a server"),
        ("/v1/models/single_label", '{"text": "a"}\n{"txet": "a"}\n', "in.jsonl:2: the model asks for 'text'"),
        ("/v1/models/single_label", '{"text": 7}\n', "in.jsonl:1: the model asks for 'text', a text; there is 7"),
        ("/v1/models/single_label", json.dumps({"text": "a" * 300_000}), "in.jsonl:1 on: INVALID_ARGUMENT"),
    ],
)
def test_what_goes_wrong_is_one_line(running, tmp_path, capsys, path, text, expected):
    (tmp_path / "in.jsonl").write_text(text)
    assert predict.main([addresses(running)[0] + path, "--input", str(tmp_path / "in.jsonl")]) == 2
    told = capsys.readouterr()
    assert expected in told.err and told.err.count("\n") == 1 and told.out == ""


def test_a_server_that_is_not_there_is_exit_code_2(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("kerasft.serving.client.random.uniform", lambda low, high: 0.0)
    (tmp_path / "in.txt").write_text("a\n")
    assert predict.main(["http://127.0.0.1:9/v1/models/a", "--input", str(tmp_path / "in.txt")]) == 2
    assert "UNAVAILABLE: cannot reach http://127.0.0.1:9" in capsys.readouterr().err
