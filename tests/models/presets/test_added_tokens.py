"""Tokens of a task's own, in every family whose tokenizer can take them."""

import numpy as np
import pytest
import tensorflow as tf
from keras.ops import convert_to_numpy
from support.families import BACKBONES, make_tokenizer
from support.rarely import rarely

from kerasft.errors import UserError
from kerasft.models.presets.added_tokens import add_tokens
from kerasft.models.presets.presets import load_backbone, load_tokenizer, save_preset
from kerasft.models.tokenizers.encoder import clean, token_encoder

TOKENS = ("<e1>", "</e1>", "<e2>", "</e2>")
MARKED = "The <e1>quick fox</e1> jumps<e2>dog</e2>."


def make(family, spare=0):
    tokenizer = make_tokenizer(family)
    return BACKBONES[family](tokenizer.vocabulary_size() + spare), tokenizer


def encode(tokenizer, text):
    encoder = token_encoder(tokenizer)
    return tf.function(lambda texts: encoder(clean(texts)), autograph=False)(tf.constant([text])).to_list()[0]


def vectors(backbone):
    return convert_to_numpy(backbone.token_embedding.embeddings)


@pytest.mark.parametrize("family", ["bert", "gpt2", *rarely("distil_bert", "electra", "roberta", "llama3")])
def test_new_tokens_are_found_whole_and_old_ids_and_weights_stay(family):
    backbone, tokenizer = make(family)
    grown, with_tokens, ids = add_tokens(backbone, tokenizer, TOKENS, seed=0)
    rows = tokenizer.vocabulary_size()
    assert ids == [rows, rows + 1, rows + 2, rows + 3]
    found = encode(with_tokens, MARKED)
    assert [i for i in found if i in ids] == ids
    assert found[found.index(ids[0]) + 1 : found.index(ids[1])] == encode(tokenizer, "quick fox")
    assert encode(with_tokens, "The quick brown fox.") == encode(tokenizer, "The quick brown fox.")

    table, new = vectors(backbone), vectors(grown)
    assert new.shape == (rows + 4, table.shape[1])
    np.testing.assert_array_equal(new[:rows], table)
    assert len(backbone.weights) == len(grown.weights)
    for old, weight in zip(backbone.weights, grown.weights):
        part = tuple(slice(size) for size in old.shape)
        np.testing.assert_array_equal(convert_to_numpy(weight)[part], convert_to_numpy(old))


@pytest.mark.parametrize("family", ["bert", "llama3", *rarely("distil_bert", "electra", "roberta", "gpt2")])
def test_tokens_that_no_text_spells_have_no_limit_and_change_no_text(family):
    backbone, tokenizer = make(family)
    tokens = [f"[PROMPT{place}]" for place in range(100)]
    _, with_tokens, ids = add_tokens(backbone, tokenizer, tokens, seed=0, in_texts=False)
    assert ids == list(range(tokenizer.vocabulary_size(), tokenizer.vocabulary_size() + 100))
    for text in ("the [PROMPT3] fox", "[PROMPT99]"):
        assert encode(with_tokens, text) == encode(tokenizer, text)


def test_new_vectors_lie_near_the_mean_and_differ():
    backbone, tokenizer = make("bert")
    grown, _, ids = add_tokens(backbone, tokenizer, TOKENS, seed=0)
    table, new = vectors(backbone), vectors(grown)[ids]
    assert (np.abs(new - table.mean(0)) < 0.5 * table.std(0)).all()
    assert len(np.unique(new, axis=0)) == 4
    again, _, _ = add_tokens(backbone, tokenizer, TOKENS, seed=0)
    np.testing.assert_array_equal(vectors(again)[ids], new)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_saved_and_loaded_they_are_the_same(family, tmp_path):
    grown, tokenizer, ids = add_tokens(*make(family), TOKENS, seed=0)
    save_preset(grown, tokenizer, str(tmp_path))
    loaded, again = load_backbone(str(tmp_path)), load_tokenizer(str(tmp_path))
    assert encode(again, MARKED) == encode(tokenizer, MARKED)
    np.testing.assert_array_equal(vectors(loaded), vectors(grown))
    # a run that starts from it finds its tokens there, and nothing is drawn anew
    third, _, same = add_tokens(loaded, again, TOKENS, seed=1)
    assert third is loaded and same == ids


def test_spare_rows_are_used_before_the_table_grows():
    backbone, tokenizer = make("bert", spare=3)
    before = vectors(backbone).copy()
    grown, _, ids = add_tokens(backbone, tokenizer, TOKENS, seed=0)
    assert vectors(grown).shape[0] == len(before) + 1
    assert ids[0] == tokenizer.vocabulary_size() < len(before)
    assert np.abs(vectors(grown)[ids] - before[: ids[0]].mean(0)).max() < before.std()
    np.testing.assert_array_equal(vectors(backbone), before)  # the one that was given is left as it is
    roomy, tokenizer = make("bert", spare=9)
    before = vectors(roomy).copy()
    same_size, _, ids = add_tokens(roomy, tokenizer, TOKENS, seed=0)
    assert vectors(same_size).shape == before.shape and (vectors(same_size)[ids] != before[ids]).all()
    np.testing.assert_array_equal(vectors(roomy), before)


def test_sentence_piece_is_refused():
    with pytest.raises(UserError, match="model.preset: a AlbertTokenizer takes no tokens .*WordPieceTokenizer"):
        add_tokens(*make("albert"), TOKENS, seed=0)


def test_under_a_strategy_every_replica_has_the_new_rows(mirrored):
    backbone, tokenizer = make("bert")
    expected, _, ids = add_tokens(backbone, tokenizer, TOKENS, seed=0)
    with mirrored.scope():
        backbone_there = BACKBONES["bert"](tokenizer.vocabulary_size())
        backbone_there.set_weights(backbone.get_weights())
        grown, _, _ = add_tokens(backbone_there, tokenizer, TOKENS, seed=0)
    for copy in grown.token_embedding.embeddings.value.values:
        np.testing.assert_array_equal(copy.numpy()[ids], vectors(expected)[ids])
