"""`kerasft check-servable` says of any SavedModel what TensorFlow Serving of a release would refuse."""

import shutil

import keras
import pytest
import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tiny_export import LABELS, make_config, make_parts

from kerasft.check_servable import main
from kerasft.errors import ServableError
from kerasft.serving import inspection
from kerasft.serving.exporter import save as save_export
from kerasft.serving.warm_up import request, write
from kerasft.tasks.text_classification.task import TextClassification


def save(path, answer, spec=None):
    spec = spec if spec is not None else tf.TensorSpec([None], tf.string, name="text")
    signature = tf.function(answer, autograph=False).get_concrete_function(spec)
    tf.saved_model.save(tf.Module(), str(path), signatures={"serving_default": signature})
    return path


def lengths(text):
    return tf.cast(tf.strings.length(text), tf.float32)  # (batch,) -> (batch,)


def trimmed(text):
    """(batch,) -> (batch,): through an op that the tf-text inside TensorFlow Serving 2.18 and 2.19 does not have."""
    words = tf.strings.split(text)
    first, _ = tf_text.RoundRobinTrimmer(4).trim([words, words])
    return {"words": tf.cast(first.row_lengths(), tf.int32)}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return save(tmp_path_factory.mktemp("good") / "1", lambda text: {"length": lengths(text)})


@pytest.fixture(scope="module")
def modern(tmp_path_factory):
    return save(tmp_path_factory.mktemp("modern") / "1", trimmed)


@pytest.mark.parametrize("options", [[], ["--run"]])
def test_a_good_model_of_any_exporter_passes(good, capsys, options):
    assert main([str(good), *options]) == 0
    said = capsys.readouterr()
    assert "TensorFlow Serving 2.20.0 can load it" in said.out
    assert ("read and not run, which --run does" in said.out) == (not options)
    assert said.err == "" or "could not take from it" in said.err


def test_numbers_as_inputs_are_no_fault(tmp_path, capsys):
    spec = tf.TensorSpec([], tf.float32, name="x")
    assert main([str(save(tmp_path / "1", lambda x: {"y": x * 2.0}, spec))]) == 0
    assert "input 'x' has no batch as first dimension; serve it without --enable_batching" in capsys.readouterr().err


@pytest.mark.parametrize(("release", "code"), [("2.18", 1), ("2.19.1", 1), ("2.19", 1), ("2.20", 0), ("2.20.0", 0)])
def test_an_op_that_an_older_release_lacks(modern, capsys, release, code):
    assert main([str(modern), "--tf-serving", release]) == code
    said = capsys.readouterr()
    if code:
        assert "op TFText>RoundRobinTrim (node" in said.err
        assert "is not in the tf-text of TensorFlow Serving" in said.err
        assert said.out == ""


def test_an_unknown_release_is_the_users_mistake(good, capsys):
    assert main([str(good), "--tf-serving", "1.9"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --tf-serving: 1.9: nothing is known of this release; there are 2.18.0, ")
    assert said.count("\n") == 1


def test_all_faults_are_named_at_once(tmp_path, capsys):
    def answer(text):
        called = tf.ensure_shape(tf.py_function(lengths, [text], tf.float32), [None])
        written = keras.ops.slice_update(tf.zeros([tf.size(text), 2]), [0, 0], lengths(text)[:, tf.newaxis])
        return {"called": called, "written": written}

    assert main([str(save(tmp_path / "1", answer))]) == 1
    said = capsys.readouterr().err
    assert "op EagerPyFunc" in said and "calls Python" in said
    assert "op XlaDynamicUpdateSlice" in said and "needs XLA" in said
    assert said.count("\n") == 2


def test_no_saved_model_and_a_broken_one(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "is neither a run (config.yaml) nor a SavedModel" in capsys.readouterr().err
    (tmp_path / "saved_model.pb").write_bytes(b"\xff not a proto")
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_warm_up_requests_that_fail_are_a_fault(tmp_path, capsys):
    path = save(tmp_path / "1", lambda text: {"number": tf.strings.to_number(text)})
    write(path, [request("m", "serving_default", {"text": [text]}) for text in (b"1", b"one")])
    assert main([str(path)]) == 0  # nothing of it is run unasked
    assert "2 warm-up requests; read and not run" in capsys.readouterr().out
    assert main([str(path), "--run"]) == 1
    assert "record 2 fails, so no server would load this version" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"max_length": 1e15}', '{"max_length": "x"}', '{"max_length": 8, "numbers": 1}']
)
def test_facts_that_somebody_else_wrote_are_a_fault(good, tmp_path, text):
    (tmp_path / "kerasft.json").write_text(text)
    with pytest.raises(ServableError, match="kerasft.json: not as kerasft writes it"):
        inspection._probes(tmp_path / "kerasft.json", ["text"])


def test_names_of_a_strangers_graph_do_not_reach_the_terminal_as_they_are(good, tmp_path, capsys):
    shutil.copytree(good, tmp_path / "1")
    proto = SavedModel.FromString((good / "saved_model.pb").read_bytes())
    proto.meta_graphs[0].graph_def.node.add(name="\x1b[2Jevil\nline", op="WriteFile")
    (tmp_path / "1" / "saved_model.pb").write_bytes(proto.SerializeToString())
    assert main([str(tmp_path / "1")]) == 1
    said = capsys.readouterr().err
    assert "evil line" in said and "\x1b" not in said and said.count("\n") == 1


def test_an_export_of_ours_gets_the_whole_check(tmp_path, capsys):
    task = TextClassification(make_config(), {"labels": LABELS})
    path = tmp_path / "1"
    save_export(*make_parts(task), path)
    (path / "assets.extra").mkdir()
    (path / "assets.extra" / "kerasft.json").write_text('{"max_length": 16}')
    assert main([str(path), "--run"]) == 0
    assert "signatures classify, serving_default, tokens, 10 texts" in capsys.readouterr().out
