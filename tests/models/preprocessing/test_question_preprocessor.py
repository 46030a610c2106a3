"""Windows of question and context: those of `tokenizers`, and answers that survive the way to tokens and back."""

import json

import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from support.families import BACKBONES, byte_pair_arguments, train_byte_pair, train_wordpiece, wordpiece_vocabulary
from support.texts import MINILM, NASTY

from kerasft.data.sources.packages import fetch_package_path
from kerasft.errors import UserError
from kerasft.models.heads.answer_targets import CLOSES, OPENS, OUTSIDE, answer_targets
from kerasft.models.preprocessing.question_preprocessor import NOWHERE, question_preprocessor
from kerasft.models.presets.presets import load_tokenizer

FRAGMENTS = [
    "the",
    " ",
    "  ",
    "\n",
    "fox",
    "Café",
    "e\u0301",
    "北京",
    "，",
    "👨‍👩‍👧",
    "😀",
    "12,345",
    ".",
    "don't",
    "ß",
    "\u200b",
]
CONTEXTS = st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=40).map("".join)


@pytest.fixture(scope="module")
def theirs():
    return {"bert": train_wordpiece(), "roberta": train_byte_pair()}


@pytest.fixture(scope="module")
def preprocess(theirs):
    vocabulary = wordpiece_vocabulary(theirs["bert"])
    tokenizers = {
        "bert": keras_hub.models.BertTokenizer(vocabulary=vocabulary, lowercase=True, strip_accents=True),
        "roberta": keras_hub.models.RobertaTokenizer(
            **byte_pair_arguments(theirs["roberta"]), unsplittable_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        ),
    }
    made = {}

    def run(family, questions, contexts, max_length=24, stride=5, longest=8):
        key = (family, max_length, stride, longest)
        if key not in made:
            backbone = BACKBONES[family](tokenizers[family].vocabulary_size())
            made[key] = question_preprocessor(backbone, tokenizers[family], max_length, stride, longest)
        return made[key]({"question": questions, "context": contexts})

    return run


def numpy(features):
    return {name: value.numpy() for name, value in features.items()}


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_windows_are_those_of_tokenizers(preprocess, theirs, family):
    """Ids, segments and offsets of every window; only the last may start earlier, to be full."""
    questions = ["Who jumps over the dog?", "", "Wo ist die Straße?"]
    contexts = ["The quick brown fox jumps over the lazy dog, doesn't it? " * 4, "我们 naïve café 😀!" * 6, "fox"]
    found = numpy(preprocess(family, questions, contexts, max_length=32, stride=6, longest=20))
    tokenizer = theirs[family]
    tokenizer.enable_truncation(32, stride=6, strategy="only_second")
    windows = iter(range(len(found["token_ids"])))
    for question, context in zip(questions, contexts):
        whole = tokenizer.encode(question, context)
        encodings = [whole, *whole.overflowing]
        for number, encoding in enumerate(encodings):
            row = next(windows)
            size = int(found["padding_mask"][row].sum())
            context_tokens = [i for i, sequence in enumerate(encoding.sequence_ids) if sequence == 1]
            if number and number == len(encodings) - 1:  # theirs is short, ours full: the last tokens are the same
                assert size == 32
                theirs_ids = [encoding.ids[i] for i in context_tokens]
                ours = found["token_ids"][row][: size - 1].tolist()
                assert ours[len(ours) - len(theirs_ids) :] == theirs_ids
                continue
            assert found["token_ids"][row][:size].tolist() == encoding.ids
            if family == "bert":
                assert found["segment_ids"][row][:size].tolist() == encoding.type_ids
            for token in range(size):
                place = (found["starts"][row, token], found["ends"][row, token])
                if token not in context_tokens:
                    assert place == (NOWHERE, NOWHERE)
                    continue
                start, end = encoding.offsets[token]  # ours without the white space before
                stripped = context[start:end].lstrip()
                assert place == ((end - len(stripped), end) if stripped else (NOWHERE, NOWHERE))
            assert found["null"][row].tolist() == [True] + [False] * (found["null"].shape[1] - 1)
    assert next(windows, None) is None


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2"])
def test_a_decoder_says_no_answer_with_its_last_token(family, make_backbone, tiny_tokenizer):
    preprocessor = question_preprocessor(make_backbone(family), tiny_tokenizer(family), 24, 5, 8)
    found = numpy(preprocessor({"question": ["fox?", "dog"], "context": ["the quick brown fox", ""]}))
    last = found["padding_mask"].sum(-1) - 1
    assert found["null"].sum(-1).tolist() == [1, 1]
    assert found["null"].argmax(-1).tolist() == (last.tolist() if family == "gpt2" else [0, 0])


def test_questions_are_cut_and_contexts_take_what_is_left(preprocess):
    questions = ["fox " * 30, "fox"]
    found = numpy(preprocess("bert", questions, ["dog " * 40] * 2))
    assert found["cut"].tolist() == [True, False]
    assert found["lengths"].tolist() == [30 + 40 + 3, 1 + 40 + 3]
    segments = [(found["segment_ids"][row].argmax(), found["padding_mask"][row].sum()) for row in (0, -1)]
    assert segments == [(10, 24), (3, 24)]  # [CLS] 8 tokens [SEP], [CLS] 1 token [SEP]
    owned = [found["owned"][rows].sum() for rows in np.split(np.arange(len(found["owned"])), [found["windows"][0]])]
    assert owned == [40, 40]


def test_a_question_without_room_for_a_context(preprocess):
    with pytest.raises(UserError, match="task.max_question_length: 21 leaves no token .* use 10 or less"):
        preprocess("bert", ["a"], ["b"], longest=21)


_targets = tf.function(answer_targets, reduce_retracing=True, autograph=False)


def spans_of(features, starts, ends):
    """The stretch that each question's targets name, None where no window holds the answer; checks their form."""
    targets = _targets(features, tf.constant(starts, tf.int32), tf.constant(ends, tf.int32)).numpy()
    found, spans = numpy(features), []
    possible = (found["starts"] >= 0) | found["null"]
    assert ((targets != OUTSIDE) == possible).all()
    codes = np.where(targets == OUTSIDE, 0, targets)
    opens, closes = codes % CLOSES >= OPENS, codes >= CLOSES
    assert (opens.sum(-1) == 1).all() and (closes.sum(-1) == 1).all()
    rows = np.arange(len(codes))
    opening, closing = opens.argmax(-1), closes.argmax(-1)
    null = found["null"][rows, opening]
    assert (null == found["null"][rows, closing]).all() and (null | (opening <= closing)).all()
    places = np.stack([found["starts"][rows, opening], found["ends"][rows, closing]], axis=1)
    for held, each in zip(*(np.split(v, np.cumsum(found["windows"])[:-1]) for v in (~null, places))):
        here = {tuple(place) for place in each[held].tolist()}
        assert len(here) < 2  # every window that holds the answer says the same
        spans.append(here.pop() if here else None)
    return spans


def smallest_cover(features, text, start, end):
    """The tokens that overlap a stretch, by a plain loop."""
    found = numpy(features)
    rows = np.repeat(np.arange(len(found["windows"])), found["windows"]) == text
    tokens = sorted(zip(found["starts"][rows][found["owned"][rows]], found["ends"][rows][found["owned"][rows]]))
    inside = [(a, b) for a, b in tokens if a >= 0 and b > start and a < end]
    return (inside[0][0], max(b for _, b in inside)) if inside else None


@pytest.mark.parametrize("family", ["bert", "roberta"])
@settings(max_examples=25, deadline=None)
@given(contexts=st.lists(CONTEXTS, min_size=1, max_size=4), data=st.data())
def test_answers_of_any_text_survive(preprocess, family, contexts, data):
    starts, ends = [], []
    for context in contexts:
        start = data.draw(st.integers(0, len(context) - 1))
        end = data.draw(st.integers(start + 1, min(len(context), start + 12)))
        starts.append(start)
        ends.append(end)
    features = preprocess(family, ["the fox?"] * len(contexts), contexts)
    for text, span in enumerate(spans_of(features, starts, ends)):
        cover = smallest_cover(features, text, starts[text], ends[text])
        if span is None:  # no token, or more of them than one window is sure to hold
            continue
        assert span == cover  # the whole tokens that hold the answer, and no others


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_nasty_texts(preprocess, family):
    texts = [text.encode("utf-8", "surrogatepass") for text in NASTY] + [b"\xff\xfe abc \xc3"]
    pairs = [(texts[i], texts[-1 - i]) for i in range(len(texts))]
    found = numpy(preprocess(family, [q for q, _ in pairs], [c for _, c in pairs]))
    assert found["windows"].min() >= 1 and found["padding_mask"].sum(-1).max() <= 24
    text_of = np.repeat(np.arange(len(texts)), found["windows"])
    for (_, context), number in zip(pairs, range(len(texts))):
        size = len(context.decode("utf-8", "replace"))
        rows = text_of == number
        real = found["starts"][rows] >= 0
        assert (found["ends"][rows][real] <= size).all() and (found["starts"][rows] < found["ends"][rows])[real].all()


def shared_rows(folder, name):
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


# file -> answers, and how many of them begin or end inside a token of MiniLM's, such as "Japan" in "Japanese"
FILES = {
    "squad_small/train.jsonl": (3848, 11),
    "squad_small/validation.jsonl": (1261, 0),
    "squad_small/test.jsonl": (838, 1),
    "xquad/test.en.jsonl": (1190, 1),
    "xquad/test.zh.jsonl": (1190, 0),
}


@pytest.fixture(scope="module")
def minilm():
    """Windows of MiniLM's vocabulary; the backbone is a stand-in of its kind."""
    sizes = {"num_layers": 1, "num_heads": 1, "hidden_dim": 2, "intermediate_dim": 2, "max_sequence_length": 512}
    backbone = keras_hub.models.BertBackbone(vocabulary_size=30522, **sizes)
    return question_preprocessor(backbone, load_tokenizer(str(fetch_package_path(MINILM))), 384, 128, 64)


@pytest.mark.parametrize("name", FILES)
def test_every_answer_of_squad_and_xquad(shared_data, minilm, name):
    """Each becomes tokens of a window, and its own characters again; one that cuts a token becomes the whole token."""
    rows = [json.loads(line) for line in (shared_data / name).read_text(encoding="utf-8").splitlines()]
    exact, inside = 0, []
    for first in range(0, len(rows), 256):
        part = rows[first : first + 256]
        features = minilm({key: [row[key] for row in part] for key in ("question", "context")})
        for number in range(max(len(row["answers"]) for row in part)):  # every answer, not only the one that is learnt
            golds = [row["answers"][number] if number < len(row["answers"]) else None for row in part]
            starts = [gold["start"] if gold else -1 for gold in golds]
            ends = [gold["start"] + len(gold["text"]) if gold else -1 for gold in golds]
            for row, gold, span in zip(part, golds, spans_of(features, starts, ends)):
                if gold is None:
                    assert span is None
                elif span == (gold["start"], gold["start"] + len(gold["text"])):
                    exact += row["context"][span[0] : span[1]] == gold["text"]
                else:
                    inside.append((gold["text"], row["context"][span[0] : span[1]]))
    assert all(text in whole and len(whole) - len(text) < 8 for text, whole in inside)
    assert (exact + len(inside), len(inside)) == FILES[name], inside
