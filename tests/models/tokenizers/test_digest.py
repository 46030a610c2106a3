"""Two tokenizers are known apart by anything that makes their tokens differ."""

import keras_hub

from kerasft.models.tokenizers.digest import tokenizer_digest


def test_a_tokenizer_is_known_by_all_that_it_does():
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]
    plain = {"vocabulary": words, "lowercase": True}
    changes = [
        {},
        {"lowercase": False},
        {"vocabulary": [*words[:-2], "b", "a"]},
        {"strip_accents": True},
        {"split_on_cjk": False},
        {"special_tokens": ["a"]},
    ]
    found = [tokenizer_digest(keras_hub.models.BertTokenizer(**plain | change)) for change in changes]
    assert len(set(found)) == len(changes)
    assert found[0] == tokenizer_digest(keras_hub.models.BertTokenizer(**plain))
