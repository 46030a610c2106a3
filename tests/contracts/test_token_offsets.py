"""Every preprocessor tells where the tokens that a model reads come from, in any script."""

import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from support.families import BACKBONES, make_tokenizer
from tiny_bart import make_bart

from kerasft.errors import UserError
from kerasft.models.preprocessing.masked_lm_preprocessor import masked_lm_preprocessor
from kerasft.models.preprocessing.preprocessor import text_preprocessor
from kerasft.models.preprocessing.prompt_preprocessor import prompt_preprocessor
from kerasft.models.preprocessing.prompt_template import PromptTemplate
from kerasft.models.preprocessing.question_preprocessor import question_preprocessor
from kerasft.models.preprocessing.relation_preprocessor import relation_preprocessor
from kerasft.models.preprocessing.seq2seq_preprocessor import seq2seq_preprocessor
from kerasft.models.preprocessing.window_preprocessor import window_preprocessor
from kerasft.models.presets.added_tokens import add_tokens

MARKERS = ("<e1>", "</e1>", "<e2>", "</e2>")
LENGTH = 24
TEXTS = [
    "The quick brown fox, doesn't it? 12345 times!",
    "Ein schöner Straßenname; nai\u0308ve café",
    "emoji 😀👍🏽 and 👨‍👩‍👧 zero\u200bwidth",
    "我们在北京大学学习中文，你好吗？",
    "",
    b"\xff\xfe abc",
]
PAIRS = [*TEXTS[1:], TEXTS[0]]
MARKED = ["the <e1> größte</e1>  <e2>犬</e2> 😀 naïve", "我 <e1>们</e1>在 \t <e2> 北京 </e2>大学", *TEXTS[2:]]


@pytest.fixture(scope="module", params=["bert", "roberta"])
def parts(request):
    tokenizer = make_tokenizer(request.param)
    return BACKBONES[request.param](tokenizer.vocabulary_size()), tokenizer


def decoder():
    tokenizer = make_tokenizer("gpt2")
    return BACKBONES["gpt2"](tokenizer.vocabulary_size()), tokenizer


TEMPLATE = PromptTemplate("Say: {input}!", ("input",))
PREPROCESSORS = {
    "a text": (lambda *parts: text_preprocessor(*parts, LENGTH), {"text": TEXTS}),
    "a pair": (
        lambda *parts: text_preprocessor(*parts, LENGTH, ("text", "text_pair")),
        {"text": TEXTS, "text_pair": PAIRS},
    ),
    "hidden tokens": (lambda *parts: masked_lm_preprocessor(*parts, LENGTH), {"text": TEXTS}),
    "windows": (lambda *parts: window_preprocessor(*parts, 12, 4, "spaces"), {"text": TEXTS}),
    "a question": (
        lambda *parts: question_preprocessor(*parts, LENGTH, 4, 8),
        {"question": TEXTS, "context": PAIRS},
    ),
}  # fmt: skip


def check(preprocessor, columns):
    """Each token is inside its text, in order, and there are as many as the model reads."""
    columns = {name: tf.constant(values) for name, values in columns.items()}
    found = preprocessor.token_offsets(columns)
    features = preprocessor(columns)
    name = next((name for name in features if name.endswith("padding_mask")), None)
    lengths = features["lengths"] if name is None else tf.reduce_sum(features[name], 1)
    assert found.offsets.row_lengths().numpy().tolist() == lengths.numpy().tolist()
    texts = [[text.decode("utf-8") for text in column.numpy()] for column in found.texts]
    slices = []
    for places, kinds, number in zip(found.offsets.to_list(), found.column.to_list(), found.text_of_row.numpy()):
        row = []
        for column, whole in enumerate(each[number] for each in texts):
            mine = [tuple(place) for place, kind in zip(places, kinds) if kind == column]
            assert mine == sorted(mine) and all(0 <= start < end <= len(whole) for start, end in mine)
            row.append([whole[start:end] for start, end in mine])
        assert all((place == [-1, -1]) == (kind == -1) for place, kind in zip(places, kinds))
        slices.append(row)
    return slices, found


@pytest.mark.parametrize("name", PREPROCESSORS)
def test_tokens_lie_in_their_texts_in_order(parts, name):
    make, columns = PREPROCESSORS[name]
    slices, found = check(make(*parts), columns)
    special = [places[0] == [-1, -1] == places[-1] for places in found.offsets.to_list()]
    assert all(special)  # such as [CLS] and [SEP]
    assert any("中" in piece or "我" in piece for row in slices for column in row for piece in column)
    if name == "windows":
        assert found.text_of_row.numpy().tolist().count(0) > 1
    elif name == "a text":
        assert [piece.strip() for piece in slices[0][0]][:2] == ["The", "quick"]


def test_a_byte_level_tokenizers_tokens_cover_a_text():
    backbone, tokenizer = decoder()
    preprocessor = prompt_preprocessor(backbone, tokenizer, 32, ("input",), TEMPLATE.join)
    slices, found = check(preprocessor, {"input": TEXTS})
    places, whole = found.offsets.to_list()[1], found.texts[0].numpy()[1].decode()
    assert whole == f"Say: {TEXTS[1]}!" and len(places) < 31  # nothing was cut
    assert {i for start, end in places for i in range(start, end)} == set(range(len(whole)))
    assert [
        len(row)
        for row in prompt_preprocessor(backbone, tokenizer, 8)
        .token_offsets({"prompt": tf.constant([TEXTS[0], ""])})
        .offsets.to_list()
    ] == [7, 1]  # cut at its start; an empty prompt is the token that begins a document


def test_inputs_of_an_encoder_with_a_decoder():
    preprocessor = seq2seq_preprocessor(*make_bart(), 12, 12, ("input",), TEMPLATE.join)
    slices, _ = check(preprocessor, {"input": ["the goal of a match", "😀"]})
    assert "".join(slices[0][0]).startswith("Say: the")


def test_markers_and_words_have_the_places_that_they_were_given_at(parts):
    backbone, tokenizer, ids = add_tokens(*parts, MARKERS, seed=0)
    preprocessor = relation_preprocessor(backbone, tokenizer, LENGTH, MARKERS, ids)
    slices, found = check(preprocessor, {"text": MARKED})
    read = preprocessor({"text": tf.constant(MARKED)})["token_ids"].numpy()
    for row in (0, 1):
        starts = {
            int(i): MARKED[row][start:end].strip() for i, (start, end) in zip(read[row], found.offsets.to_list()[row])
        }
        assert {i: starts[i] for i in ids} == dict(zip(ids, MARKERS))
    assert any(piece.strip() == "犬" or "犬".encode().decode() in piece for piece in slices[0][0])
    assert np.all(found.text_of_row.numpy() == np.arange(len(MARKED)))


def test_sentence_piece_tells_none_and_that_is_said():
    tokenizer = make_tokenizer("albert")
    backbone = BACKBONES["albert"](tokenizer.vocabulary_size())
    assert isinstance(tokenizer, keras_hub.tokenizers.SentencePieceTokenizer)
    with pytest.raises(UserError, match="SentencePiece, which gives no character offsets"):
        text_preprocessor(backbone, tokenizer, LENGTH).token_offsets({"text": tf.constant(["a"])})
