"""A servable that is fine passes, and each kind that a server cannot use is refused for its own reason."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.serving import capi, capi_process, servable_check
from kerasft.serving.capi_process import run_capi
from kerasft.serving.probes import probe_inputs
from kerasft.serving.rankings import in_order_of
from kerasft.serving.servable_check import ServableError, check
from kerasft.serving.servable_graph import METHODS, check_kernels

TEXTS = probe_inputs(["text"], max_length=8)
ROWS = len(TEXTS["text"])


def save(path, answer, module=None, spec=None, key="serving_default"):
    """A SavedModel whose signature is `answer`, a function of a string tensor."""
    spec = spec if spec is not None else tf.TensorSpec([None], tf.string, name="text")
    signature = tf.function(answer, autograph=False).get_concrete_function(spec)
    tf.saved_model.save(module or tf.Module(), str(path), signatures={key: signature})
    return path


def lengths(text):
    return tf.cast(tf.strings.length(text), tf.float32)  # (batch,) -> (batch,)


def expected_lengths(shift=0.0):
    return {"serving_default": {"length": np.array([len(text) for text in TEXTS["text"]], np.float32) + shift}}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return save(tmp_path_factory.mktemp("good") / "1", lambda text: {"length": lengths(text), "echo": text})


def with_echo(expected):
    echo = np.array(TEXTS["text"], object)
    return {"serving_default": {**expected["serving_default"], "echo": echo}}


def test_good_servable_passes_and_strings_come_through_whole(good):
    report = check(good, TEXTS, with_echo(expected_lengths()))
    assert report.signatures == ("serving_default",)
    assert report.rows == ROWS
    assert report.ops > 3
    assert report.largest_difference == 0.0


def test_small_differences_pass_and_are_reported(good):
    report = check(good, TEXTS, with_echo(expected_lengths(shift=5e-5)))
    assert 0 < report.largest_difference <= servable_check.TOLERANCE


def test_wrong_number_is_refused(good):
    with pytest.raises(ServableError, match=r"output 'length' for b'', served and in Keras, differs by 0\.001"):
        check(good, TEXTS, with_echo(expected_lengths(shift=1e-3)))


def test_wrong_string_is_refused(good):
    expected = with_echo(expected_lengths())
    expected["serving_default"]["echo"][1] = b"b"
    with pytest.raises(ServableError, match=r"output 'echo' for b'a', served and in Keras, is \[b'a'\] and \[b'b'\]"):
        check(good, TEXTS, expected)


def test_the_probes_hold_what_breaks_servers():
    texts = TEXTS["text"]
    assert b"" in texts
    assert any(b"\x00" in text for text in texts)
    assert max(len(text.split()) for text in texts) > 8
    with pytest.raises(UnicodeDecodeError):
        b"".join(texts).decode()
    pair = probe_inputs(["text", "text_pair"], max_length=8)
    assert sorted(pair["text_pair"]) == sorted(texts)
    assert all(one != two for one, two in zip(pair["text"], pair["text_pair"], strict=True))


def xla(text):
    written = keras.ops.slice_update(tf.zeros([tf.size(text), 2]), [0, 0], lengths(text)[:, tf.newaxis])
    return {"length": written}


@tf.function(jit_compile=True, autograph=False)
def compiled(numbers):
    return numbers * 2


REFUSED = {
    "an XLA op": (xla, r"op XlaDynamicUpdateSlice .*needs XLA"),
    "jit_compile": (lambda text: {"length": compiled(lengths(text))}, "needs XLA"),
    "a py_function": (
        lambda text: {"length": tf.ensure_shape(tf.py_function(lengths, [text], tf.float32), [None])},
        "op EagerPyFunc .*calls Python",
    ),
    "a numpy_function": (
        lambda text: {"length": tf.ensure_shape(tf.numpy_function(lambda t: t, [text], tf.string), [None])},
        "op PyFunc .*calls Python",
    ),
    "a scalar output": (lambda text: {"total": tf.reduce_sum(lengths(text))}, "output 'total' is a scalar"),
    "a fixed output": (
        lambda text: {"names": tf.constant(["a", "b"])},
        "output 'names' has a fixed first dimension of 2",
    ),
    "an unknown rank": (
        lambda text: {"length": tf.reshape(lengths(text), tf.cast(tf.shape(text)[: tf.size(text)], tf.int32))},
        "output 'length' has an unknown rank",
    ),
    "bfloat16": (lambda text: {"length": tf.cast(lengths(text), tf.bfloat16)}, "which has no JSON form"),
    "NaN": (lambda text: {"length": lengths(text) / 0.0 * 0.0}, "is not a number"),
    "a batch that matters": (
        lambda text: {"length": lengths(text) - tf.reduce_mean(lengths(text))},
        "alone and in a batch, differs by",
    ),
    "a lost row": (lambda text: {"length": lengths(text)[1:]}, r"output 'length' has shape \(9,\) for a batch of 10"),
    "an error": (lambda text: {"length": tf.strings.to_number(text)}, "serving_default: .*StringToNumber"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(tmp_path, kind):
    answer, reason = REFUSED[kind]
    with pytest.raises(ServableError, match=reason) as caught:
        check(save(tmp_path / "1", answer), TEXTS)
    assert "\n" not in str(caught.value)


def test_scalar_input_is_refused(tmp_path):
    spec = tf.TensorSpec([], tf.string, name="text")
    path = save(tmp_path / "1", lambda text: {"length": lengths(text)[tf.newaxis]}, spec=spec)
    with pytest.raises(ServableError, match="input 'text' is a scalar"):
        check(path, TEXTS)


def test_growing_table_is_refused(tmp_path):
    module = tf.Module()
    module.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, -1.0)

    def answer(text):
        module.table.insert(text, lengths(text))
        return {"length": module.table.lookup(text)}

    with pytest.raises(ServableError, match="op LookupTableInsertV2 .*grows without bound"):
        check(save(tmp_path / "1", answer, module), TEXTS)


def test_fixed_table_passes(tmp_path):
    module = tf.Module()
    pairs = tf.lookup.KeyValueTensorInitializer(["a"], [7.0])
    module.table = tf.lookup.StaticHashTable(pairs, 0.0)
    path = save(tmp_path / "1", lambda text: {"found": module.table.lookup(text)}, module)
    expected = {"found": np.array([7.0 if text == b"a" else 0.0 for text in TEXTS["text"]], np.float32)}
    assert check(path, TEXTS, {"serving_default": expected}).rows == ROWS


def test_outputs_padded_to_the_longest_row_pass(tmp_path):
    # (batch,) -> (batch, longest)
    path = save(tmp_path / "1", lambda text: {"bytes": tf.strings.bytes_split(text).to_tensor("[PAD]")})
    assert check(path, TEXTS).rows == ROWS


def test_other_inputs_and_no_default_signature_are_refused(good, tmp_path):
    with pytest.raises(ServableError, match="its inputs are text, not text, text_pair"):
        check(good, probe_inputs(["text", "text_pair"], 8))
    path = save(tmp_path / "1", lambda text: {"length": lengths(text)}, key="other")
    with pytest.raises(ServableError, match="no signature serving_default; there is other"):
        check(path, TEXTS)


def test_classify_needs_its_method_name(tmp_path):
    module = tf.Module()
    specs = {"serving_default": "text", "classify": "inputs"}
    signatures = {
        key: tf.function(lambda text: {"scores": lengths(text)[:, tf.newaxis]}, autograph=False).get_concrete_function(
            tf.TensorSpec([None], tf.string, name=name)
        )
        for key, name in specs.items()
    }
    tf.saved_model.save(module, str(tmp_path / "1"), signatures=signatures)
    with pytest.raises(
        ServableError, match=f"the method name is 'tensorflow/serving/predict', not '{METHODS['classify']}'"
    ):
        check(tmp_path / "1", TEXTS)


def test_a_hang_is_refused(tmp_path):
    def forever(text):
        count = tf.while_loop(lambda i: tf.greater_equal(i, 0), lambda i: [(i + 1) % 7], [tf.size(text)])[0]
        return {"length": lengths(text) + tf.cast(count, tf.float32)}

    path = save(tmp_path / "1", forever)
    with pytest.raises(ServableError, match="did not answer within 3 s"):
        check(path, TEXTS, timeout=3)


def test_a_crash_is_refused(good, monkeypatch):
    dies = "import os, sys; print('last words', file=sys.stderr, flush=True); os.abort()"
    monkeypatch.setattr(capi_process, "COMMAND", (sys.executable, "-c", dies))
    with pytest.raises(ServableError, match="died with exit code -6: last words"):
        check(good, TEXTS)


def test_a_process_that_imported_tensorflow_is_refused(good, monkeypatch):
    says = """print('{"imported_tensorflow": true}')"""
    monkeypatch.setattr(capi_process, "COMMAND", (sys.executable, "-c", says))
    with pytest.raises(ServableError, match="imported TensorFlow"):
        check(good, TEXTS)


def test_private_names_hold_and_xla_is_disabled(tmp_path):
    """Past the check by name, the C API itself refuses an XLA op, as TensorFlow Serving does."""
    path = save(tmp_path / "1", lambda text: {"length": compiled(lengths(text))})
    meta_graph = servable_check.read_meta_graph(path)
    signature = meta_graph.signature_def["serving_default"]
    run = {
        "inputs": {signature.inputs["text"].name: [capi.encode(b"a")]},
        "outputs": {"length": signature.outputs["length"].name},
    }
    reply = run_capi(path, ["MatMul", "NoSuchOp"], [run], timeout=120)
    assert "XLA" in reply["runs"][0]["error"]
    assert reply["imported_tensorflow"] is False
    with pytest.raises(ServableError, match="op NoSuchOp has no CPU kernel"):
        check_kernels(reply["kernels"])
    check_kernels({"MatMul": reply["kernels"]["MatMul"]})


def test_op_libraries_are_found_without_tensorflow():
    found = capi.find_libraries()
    assert len(found["core"]) == 2
    assert any("wordpiece" in path for path in found["ops"])


def test_a_servable_that_does_not_load_is_refused(tmp_path):
    module = tf.Module()
    module.weight = tf.Variable(2.0)
    path = save(tmp_path / "1", lambda text: {"length": lengths(text) * module.weight}, module)
    (path / "variables" / "variables.data-00000-of-00001").unlink()
    with pytest.raises(ServableError, match="the C API cannot load it: .*variables"):
        check(path, TEXTS)


def test_a_broken_file_is_refused(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff not a proto")
    with pytest.raises(ServableError, match="not a SavedModel"):
        check(tmp_path, TEXTS)
    with pytest.raises(UserError, match="holds no saved_model.pb"):
        check(tmp_path / "none", TEXTS)


def ranking(names, scores):
    names = np.array([[name.encode() for name in names]], object)
    return {"top_labels": names, "top_probabilities": np.array([scores], np.float32)}


def test_names_of_equal_scores_may_change_places():
    one = ranking("abc", [0.5, 0.3, 0.3])
    for other in (ranking("acb", [0.5, 0.3, 0.3]), ranking("abd", [0.5, 0.3, 0.3])):
        ordered = in_order_of(one, other)
        assert ordered["top_labels"].tolist() == one["top_labels"].tolist()
        np.testing.assert_allclose(ordered["top_probabilities"], one["top_probabilities"])
    ordered = in_order_of(one, ranking("bac", [0.5, 0.3, 0.1]))  # another answer: its scores differ name by name
    np.testing.assert_allclose(ordered["top_probabilities"], [[0.3, 0.5, 0.1]])
