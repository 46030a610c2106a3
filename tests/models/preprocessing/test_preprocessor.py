"""Features beside the encodings of `tokenizers`, truncation, and what stands in the graph."""

import functools
import subprocess
import sys

import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.rarely import rarely
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tokenizers import Encoding, Tokenizer

from kerasft.errors import UserError
from kerasft.models.preprocessing.layout import Layout, special_token_layout
from kerasft.models.preprocessing.preprocessor import TextPreprocessor, text_preprocessor
from kerasft.models.preprocessing.ragged_rows import longest_first

WORDS = "the quick brown fox doesn't jump over 12345 lazy dogs , 我们 café".split()
texts = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)


class SpacedWords(tf.Module):
    """Ids 10, 11, ... for the words of a text."""

    def __call__(self, text: tf.Tensor) -> tf.RaggedTensor:
        words = tf.strings.split(text)
        return words.with_flat_values(10 + tf.range(tf.size(words.flat_values)))


def preprocessor_of(make_backbone, tiny_tokenizer, family, max_length=16, inputs=("text",)) -> TextPreprocessor:
    return text_preprocessor(make_backbone(family), tiny_tokenizer(family), max_length, inputs)


@pytest.fixture
def preprocessors(make_backbone, tiny_tokenizer):
    return lambda family, **options: preprocessor_of(make_backbone, tiny_tokenizer, family, **options)


@pytest.mark.parametrize(
    ("family", "single", "pair"),
    [
        ("bert", "[CLS] a [SEP]", "[CLS] a [SEP] b [SEP]"),
        ("distil_bert", "[CLS] a [SEP]", "[CLS] a [SEP] b [SEP]"),
        ("electra", "[CLS] a [SEP]", "[CLS] a [SEP] b [SEP]"),
        ("albert", "[CLS] a [SEP]", "[CLS] a [SEP] b [SEP]"),
        ("deberta_v3", "[CLS] a [SEP]", "[CLS] a [SEP] b [SEP]"),
        ("roberta", "<s> a </s>", "<s> a </s> </s> b </s>"),
        ("xlm_roberta", "<s> a </s>", "<s> a </s> </s> b </s>"),
        ("gpt2", "a <|endoftext|>", "a <|endoftext|> b <|endoftext|>"),
        ("llama3", "<|begin_of_text|> a <|end_of_text|>", "<|begin_of_text|> a <|end_of_text|> b <|end_of_text|>"),
    ],
)
def test_layout_of_each_family(make_backbone, tiny_tokenizer, family, single, pair):
    tokenizer = tiny_tokenizer(family)
    layout = special_token_layout(make_backbone(family), tokenizer)
    names = {tokenizer.end_token_id: tokenizer.end_token, tokenizer.start_token_id: tokenizer.start_token}

    def spelled(*parts: str | tuple[int, ...]) -> str:
        return " ".join(part if isinstance(part, str) else names[part] for part in parts)

    assert spelled(*layout.start, "a", *layout.end) == single
    assert spelled(*layout.start, "a", *layout.separator, "b", *layout.end) == pair
    assert layout.pad == tokenizer.pad_token_id


def test_features_of_each_family(family, make_backbone, tiny_tokenizer):
    backbone = make_backbone(family)
    preprocessor = text_preprocessor(backbone, tiny_tokenizer(family), 16)
    features = preprocessor({"text": [b"the quick brown fox", b"", b"\xff\xfe\x00 invalid"]})
    assert set(features) == {tensor.name for tensor in backbone.inputs} == set(preprocessor.pad_values)
    assert {value.dtype for value in features.values()} == {tf.int32}
    mask = features["padding_mask"].numpy()
    assert (mask.sum(1) >= 1).all() and mask.sum(1).max() == mask.shape[1]
    ids = features["token_ids"].numpy()
    assert (ids[mask == 0] == preprocessor.pad_values["token_ids"]).all()
    assert ((ids >= 0) & (ids < tiny_tokenizer(family).vocabulary_size())).all()
    output = backbone(features)
    output = output["sequence_output"] if isinstance(output, dict) else output
    assert output.shape == (3, mask.shape[1], 8)


def test_empty_batch(family, preprocessors):
    for inputs in (("text",), ("text", "text_pair")):
        preprocessor = preprocessors(family, inputs=inputs)
        columns = {name: tf.zeros([0], tf.string) for name in inputs}
        assert {value.shape[0] for value in preprocessor(columns).values()} == {0}
        assert preprocessor.lengths(columns).shape == (0,)


def test_columns_of_different_lengths(preprocessors):
    with pytest.raises(tf.errors.InvalidArgumentError, match="text and text_pair need the same number"):
        preprocessors("bert", inputs=("text", "text_pair"))({"text": ["a"], "text_pair": ["b", "c"]})


def test_segments_of_a_pair(preprocessors):
    features = preprocessors("bert", inputs=("text", "text_pair"))({"text": ["the fox"], "text_pair": ["dog"]})
    ids, kinds = features["token_ids"][0].numpy(), features["segment_ids"][0].numpy()
    first_end = int(np.flatnonzero(ids == ids[-1])[0])
    assert kinds.tolist() == [0] * (first_end + 1) + [1] * (len(ids) - first_end - 1)


def encode(tokenizer: Tokenizer, max_length: int, columns: dict[str, list[str]]) -> list[Encoding]:
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    rows = list(zip(*columns.values()))
    found = tokenizer.encode_batch([row if len(row) > 1 else row[0] for row in rows])
    tokenizer.no_truncation()
    return found


@pytest.fixture(scope="session")
def pairs_beside_theirs(reference, tiny_tokenizer):
    """Returns a function: (family, max_length, inputs) -> our preprocessor and the same in `tokenizers`."""
    layouts = {
        "bert": lambda t: Layout(*[(t.token_to_id(x),) for x in ("[CLS]", "[SEP]", "[SEP]")], pad=0),
        "roberta": lambda t: Layout(*[tuple(map(t.token_to_id, x)) for x in (["<s>"], ["</s>"] * 2, ["</s>"])], pad=1),
    }

    @functools.lru_cache
    def make(family, max_length, inputs):
        both = reference({"bert": "uncased"}.get(family, family))
        layout = layouts[family](both.tokenizer)
        ours = TextPreprocessor(both.encoder, layout, ["token_ids", "padding_mask", "segment_ids"], max_length, inputs)
        return ours, both.tokenizer

    return make


@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize("max_length", [5, 8, 13])
@settings(max_examples=15, deadline=None)
@given(rows=st.lists(st.tuples(texts, texts), min_size=1, max_size=8))
@example(rows=[("the", ""), ("", "the"), ("", "")])
@example(rows=[("the quick brown fox jump over", "the quick brown fox jump over"), ("fox", "the " * 12)])
def test_truncation_is_theirs(pairs_beside_theirs, family, max_length, rows):
    for inputs in (("text",), ("text", "text_pair")):
        ours, theirs = pairs_beside_theirs(family, max_length, inputs)
        columns = {name: list(column) for name, column in zip(inputs, zip(*rows))}
        features = {name: value.numpy() for name, value in ours(columns).items()}
        mask = features["padding_mask"].astype(bool)
        expected = encode(theirs, max_length, columns)
        assert [row[m].tolist() for row, m in zip(features["token_ids"], mask)] == [e.ids for e in expected]
        if family == "bert":
            assert [row[m].tolist() for row, m in zip(features["segment_ids"], mask)] == [e.type_ids for e in expected]
        whole = [len(e.ids) for e in encode(theirs, 1000, columns)]
        assert ours.lengths(columns).numpy().tolist() == whole


@settings(max_examples=60, deadline=None)
@given(
    first=st.lists(st.integers(0, 40), min_size=1, max_size=30),
    second=st.integers(0, 40),
    budget=st.integers(0, 50),
)
def test_longest_first_keeps_all_it_can(first, second, budget):
    a, b = longest_first(tf.constant(first, tf.int64), tf.fill([len(first)], tf.cast(second, tf.int64)), budget)
    for n, kept_first, kept_second in zip(first, a.numpy(), b.numpy()):
        assert 0 <= kept_first <= n and 0 <= kept_second <= second
        assert kept_first + kept_second == min(n + second, budget)
        if kept_first < n and kept_second < second:
            assert abs(kept_first - kept_second) <= 1


def test_lengths_count_before_truncation():
    layout = Layout((1,), (2, 2), (2,), pad=0)
    single = TextPreprocessor(SpacedWords(), layout, ["token_ids", "padding_mask"], 6, ("text",))
    assert single.lengths({"text": ["a b c d e f g h", ""]}).numpy().tolist() == [10, 2]
    assert single({"text": ["a b c d e f g h", ""]})["padding_mask"].numpy().sum(1).tolist() == [6, 2]
    pair = TextPreprocessor(SpacedWords(), layout, ["token_ids", "padding_mask"], 6, ("text", "text_pair"))
    assert pair.lengths({"text": ["a b"], "text_pair": ["c"]}).numpy().tolist() == [7]


def test_wrong_columns(preprocessors):
    with pytest.raises(ValueError, match=r"columns are \['text'\] and have to be \['text', 'text_pair'\]"):
        preprocessors("bert", inputs=("text", "text_pair"))({"text": ["a"]})


def test_max_length_beyond_the_positions(make_backbone, tiny_tokenizer):
    with pytest.raises(UserError, match="model.max_length: 33 is more than the 32 positions of this BertBackbone"):
        text_preprocessor(make_backbone("bert"), tiny_tokenizer("bert"), 33)
    assert text_preprocessor(make_backbone("bert"), tiny_tokenizer("bert"), 32).max_length == 32
    assert text_preprocessor(make_backbone("llama3"), tiny_tokenizer("llama3"), 4096).max_length == 4096


def test_backbone_that_reads_something_else(tiny_tokenizer):
    bart = keras_hub.models.BartBackbone(
        vocabulary_size=20, num_layers=1, num_heads=1, hidden_dim=4, intermediate_dim=4, max_sequence_length=8
    )
    with pytest.raises(UserError, match="model.preset: BartBackbone reads .*decoder_token_ids"):
        text_preprocessor(bart, tiny_tokenizer("roberta"), 8)


class Served(tf.Module):
    def __init__(self, preprocessor: TextPreprocessor):
        super().__init__()
        self.preprocessor = preprocessor

    @tf.function
    def serve(self, *texts):
        return self.preprocessor(dict(zip(self.preprocessor.inputs, texts)))


def operations(graph: tf.compat.v1.GraphDef) -> set[str]:
    return {node.op for node in graph.node} | {node.op for f in graph.library.function for node in f.node_def}


@pytest.mark.parametrize("family", ["bert", "gpt2", *rarely("roberta", "xlm_roberta")])
def test_saved_model(family, preprocessors, tmp_path):
    inputs = ("text",) if family == "gpt2" else ("text", "text_pair")
    preprocessor = preprocessors(family, inputs=inputs)
    batch = {name: ["the quick brown fox doesn't", "", "我们 12345 \ud55c\uad6d"] for name in inputs}
    expected = preprocessor(batch)  # called eagerly first: its trace must not be saved
    module = Served(preprocessor)
    specs = [tf.TensorSpec([None], tf.string, name=name) for name in inputs]
    tf.saved_model.save(module, str(tmp_path), signatures=module.serve.get_concrete_function(*specs))
    saved = SavedModel.FromString((tmp_path / "saved_model.pb").read_bytes())
    found = operations(saved.meta_graphs[0].graph_def)
    assert len(found) > 20
    forbidden = ("Xla", "PyFunc", "EagerPyFunc", "MutableHashTable", "TFText>RoundRobinTrim")
    assert not [op for op in found if op.startswith(forbidden)]
    tables = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert tables < 4_000_000
    loaded = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    again = loaded(**{name: tf.constant(column) for name, column in batch.items()})
    for name, value in expected.items():
        np.testing.assert_array_equal(value, again[name])


@pytest.mark.slow
@pytest.mark.long
def test_saved_models_in_another_process(preprocessors, tmp_path):
    families, expected = ("bert", "gpt2", "albert"), []
    for family in families:
        module = Served(preprocessors(family))
        spec = tf.TensorSpec([None], tf.string, name="text")
        tf.saved_model.save(module, str(tmp_path / family), signatures=module.serve.get_concrete_function(spec))
        expected.append(module.preprocessor({"text": ["the quick brown fox", ""]})["token_ids"].numpy().tolist())
    script = (
        "import sys, tensorflow as tf, tensorflow_text\n"
        "for folder in sys.argv[1:]:\n"
        "    serve = tf.saved_model.load(folder).signatures['serving_default']\n"
        "    print(serve(text=tf.constant(['the quick brown fox', '']))['token_ids'].numpy().tolist())\n"
    )
    command = [sys.executable, "-c", script, *(str(tmp_path / family) for family in families)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.strip().splitlines()[-len(families) :] == list(map(str, expected))


def test_in_a_dataset(preprocessors):
    preprocessor = preprocessors("roberta")
    dataset = tf.data.Dataset.from_tensor_slices({"text": ["the fox", "", "a b c"]}).batch(2)
    mapped = list(dataset.map(lambda columns: (preprocessor(columns), preprocessor.lengths(columns))))
    assert [features["token_ids"].shape[0] for features, _ in mapped] == [2, 1]
    together = preprocessor({"text": ["the fox", "", "a b c"]})["padding_mask"].numpy().sum(1)
    np.testing.assert_array_equal(np.concatenate([lengths for _, lengths in mapped]), together)
