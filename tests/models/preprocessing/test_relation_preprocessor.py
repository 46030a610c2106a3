"""Marked texts in graph: markers stay markers, long texts are cut around the entities, broken ones are told apart."""

import numpy as np
import pytest
import tensorflow as tf
from support.families import BACKBONES, SENTENCES, make_tokenizer

from kerasft.models.preprocessing.preprocessor import text_preprocessor
from kerasft.models.preprocessing.relation_preprocessor import relation_preprocessor, well_marked
from kerasft.models.presets.added_tokens import add_tokens

TOKENS = ("<e1>", "</e1>", "<e2>", "</e2>")
MAX_LENGTH = 16


@pytest.fixture(scope="module", params=["bert", "roberta"])
def parts(request):
    tokenizer = make_tokenizer(request.param)
    return add_tokens(BACKBONES[request.param](tokenizer.vocabulary_size()), tokenizer, TOKENS, seed=0)


@pytest.fixture(scope="module")
def preprocess(parts):
    made = relation_preprocessor(parts[0], parts[1], MAX_LENGTH, TOKENS, parts[2])

    def rows(*texts):
        features = made({"text": tf.constant(texts)})
        return [
            ids[mask > 0].tolist() for ids, mask in zip(*(features[n].numpy() for n in ("token_ids", "padding_mask")))
        ]

    return rows


def whole(parts, text):
    made = text_preprocessor(parts[0], parts[1], 32)
    features = made({"text": tf.constant([text])})
    return features["token_ids"].numpy()[0].tolist()


def test_a_text_that_fits_is_whole_and_its_words_keep_the_space_before_them(parts, preprocess):
    found = preprocess("The <e1>quick</e1> brown <e2>fox</e2> jumps")[0]
    assert [i for i in found if i in parts[2]] == parts[2]
    without = [i for i in found if i not in parts[2]]
    assert without == whole(parts, "The quick brown fox jumps")


def test_spaces_around_markers_make_no_difference(preprocess):
    one, other = preprocess("The <e1>quick</e1> brown <e2>fox</e2>", "The  <e1> quick</e1> brown  <e2>  fox</e2>")
    assert one == other


def place_of(ids, parts):
    return [ids.index(marker) for marker in parts[2]]


@pytest.mark.parametrize("before, between, after", [(30, 1, 0), (0, 1, 30), (30, 1, 30), (0, 40, 0), (9, 40, 30)])
def test_long_texts_are_cut_around_the_entities(parts, preprocess, before, between, after):
    text = f"{'the ' * before}a lazy <e1>fox</e1> dog {'the ' * between}lazy <e2>fox</e2> dog{' the' * after}"
    found = preprocess(text)[0]
    assert len(found) == MAX_LENGTH
    first, end, second, last = place_of(found, parts)
    fox, left = whole(parts, "a fox")[2:-1], whole(parts, "a lazy")[-2]
    right = whole(parts, "a dog")[2]
    for opening, closing in ((first, end), (second, last)):
        assert found[opening + 1 : closing] == fox
        assert (found[opening - 1], found[closing + 1]) == (left, right)  # the nearest neighbours are there


def test_of_two_entities_far_apart_the_middle_goes(preprocess):
    def text(between):
        return f"quick <e1>the</e1> {'the ' * between}<e2>the</e2> fox"

    shorter = next(row for between in range(16) if len(row := preprocess(text(between))[0]) == MAX_LENGTH)
    assert preprocess(text(40))[0] == shorter


def test_entities_longer_than_the_room_keep_their_markers_and_beginnings(parts, preprocess):
    text = f"<e1>lazy {'the ' * 40}</e1> and <e2>dog {'the ' * 40}</e2>"
    found = preprocess(text)[0]
    assert len(found) == MAX_LENGTH
    first, end, second, last = place_of(found, parts)
    assert end - first > 1 and last - second > 1
    assert well_marked(tf.constant([found]), parts[2]).numpy().tolist() == [True]


def test_texts_without_markers_are_cut_at_their_end_and_rows_do_not_mix(parts, preprocess):
    plain = "the " * 40
    marked = f"{plain}<e1>fox</e1> {plain}<e2>dog</e2>"
    together = preprocess(plain, marked, "", SENTENCES[2], marked)
    assert together == [preprocess(text)[0] for text in (plain, marked, "", SENTENCES[2], marked)]
    assert together[0] == whole(parts, "the " * 40)[: MAX_LENGTH - 1] + together[0][-1:]


def test_broken_markers_are_told_apart_after_the_cut_too(parts, preprocess):
    texts = {
        "a <e1>fox</e1> by a <e2>dog</e2>": True,
        "<e2>fox</e2><e1>dog</e1>": True,
        "a fox by a dog": False,
        "": False,
        "a <e1>fox</e1> by a <e2>dog": False,
        f"a <e1>fox</e1> by a <e2>dog</e2> {'the ' * 40} <e1>": False,
        "<e1></e1> <e2>dog</e2>": False,
        "<e1>a <e2>fox</e1> dog</e2>": False,
        "</e1>fox<e1> <e2>dog</e2>": False,
    }
    rows = preprocess(*texts)
    padded = np.zeros((len(rows), MAX_LENGTH), np.int32)
    for row, ids in enumerate(rows):
        padded[row, : len(ids)] = ids
    assert dict(zip(texts, well_marked(tf.constant(padded), parts[2]).numpy().tolist())) == texts
