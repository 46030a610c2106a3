"""Tokenizers of Hugging Face folders: from tokenizer.json, from older files, and what is refused by name."""

import json
import shutil
from pathlib import Path

import pytest
import tensorflow as tf
from tokenizers import Tokenizer

from kerasft.errors import UserError
from kerasft.models.presets.presets import load_backbone, load_tokenizer, resolve_preset, save_preset
from kerasft.models.tokenizers.encoder import clean, token_encoder

FOLDERS = Path(__file__).parents[2] / "fixtures" / "hugging_face"
TEXTS = [
    "Good  film\tCAFÉ!",
    "don't\u00a0x <mask> [MASK] <s>",
    "  ``nice'' 12 e\u0301",
    "",
    "film\n\nfilm 가 \U0001f600",
]


def copy(name: str, folder: Path) -> Path:
    return shutil.copytree(FOLDERS / name, folder / name)


def change(folder: Path, how, file: str = "tokenizer.json") -> Path:
    content = json.loads((folder / file).read_text(encoding="utf-8"))
    how(content)
    (folder / file).write_text(json.dumps(content), encoding="utf-8")
    return folder


def ids(folder: Path, texts=TEXTS) -> list[list[int]]:
    encoder = token_encoder(load_tokenizer(resolve_preset(str(folder))))
    return tf.function(lambda texts: encoder(clean(texts)), autograph=False)(tf.constant(texts)).to_list()


def library(folder: Path, texts=TEXTS) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]


@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2-relu", "llama-3"])
def test_ids_of_the_library_on_strange_texts(name):
    assert ids(FOLDERS / name) == library(FOLDERS / name)


@pytest.mark.parametrize("name", ["xlm-roberta", "albert"])
def test_sentence_pieces_from_tokenizer_json(name):
    texts = [text for text in TEXTS if "<" not in text and "[" not in text]  # KerasHub cuts spelt special tokens
    assert ids(FOLDERS / name, texts) == library(FOLDERS / name, texts)


def test_files_of_older_folders(tmp_path):
    folder = copy("bert", tmp_path)
    words = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "vocab.txt").write_text("\n".join(sorted(words, key=words.get)) + "\n\n", encoding="utf-8")
    wanted = ids(folder)
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    assert ids(folder) == wanted
    folder = copy("roberta", tmp_path)
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(map(" ".join, model["merges"])), encoding="utf-8")
    wanted = ids(folder, ["a good film", "don't 12"])
    (folder / "tokenizer.json").unlink()
    assert ids(folder, ["a good film", "don't 12"]) == wanted


def test_no_tokenizer_at_all(tmp_path):
    folder = copy("gpt2", tmp_path)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match="has no tokenizer: neither tokenizer.json nor vocab.json and merges.txt; put"):
        resolve_preset(str(folder))


def test_mask_that_takes_no_space_along(tmp_path):
    texts = ["a <mask>", "<mask>", "a  <mask> b"]
    assert ids(FOLDERS / "roberta", texts) == library(FOLDERS / "roberta", texts)
    folder = change(copy("roberta", tmp_path), lambda content: content["added_tokens"][-1].update(lstrip=True))
    assert ids(folder, texts) == library(folder, texts) != library(FOLDERS / "roberta", texts)
    save_preset(load_backbone(str(FOLDERS / "roberta")), load_tokenizer(str(folder)), str(tmp_path / "saved"))
    assert ids(tmp_path / "saved", texts) == library(folder, texts)


def test_added_tokens_are_words_of_the_vocabulary(tmp_path):
    new = {"content": "<e1>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    folder = copy("bert", tmp_path)
    rows = json.loads((folder / "config.json").read_text())["vocab_size"]
    change(folder, lambda content: content["added_tokens"].append({**new, "id": rows, "special": True}))
    with pytest.raises(UserError, match=f"its tokenizer has ids up to {rows}, and its token embedding {rows} rows"):
        resolve_preset(str(folder))
    change(folder, lambda content: content["model"]["vocab"].pop("film"))  # a place for it
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"] = {word: i for i, word in enumerate(content["model"]["vocab"])}
    content["added_tokens"][-1]["id"] = rows - 1
    (folder / "tokenizer.json").write_text(json.dumps(content))
    assert ids(folder, ["a<e1>b"]) == library(folder, ["a<e1>b"])


REFUSED = [
    ("bert", lambda c: c.update(normalizer={"type": "NFC"}), "its normalizer is NFC"),
    ("bert", lambda c: c.update(normalizer=None), "its normalizer is null"),
    ("bert", lambda c: c["normalizer"].update(clean_text=False), "clean_text: false"),
    ("bert", lambda c: c.update(pre_tokenizer={"type": "Whitespace"}), "its pre_tokenizer is Whitespace"),
    ("bert", lambda c: c["model"].update(max_input_chars_per_word=50), "max_input_chars_per_word is 50"),
    ("bert", lambda c: c["model"].update(type="WordLevel"), "its model is WordLevel"),
    ("bert", lambda c: c["model"]["vocab"].update(gap=500), "the token 'gap' has the id 500"),
    ("bert", lambda c: c["added_tokens"][0].update(single_word=True), "single_word"),
    ("bert", lambda c: c["added_tokens"][0].update(normalized=True), "normalized: true"),
    ("bert", lambda c: c["added_tokens"][0].update(id=3), "the added token '[PAD]' has the id 3"),
    ("roberta", lambda c: c.update(normalizer={"type": "NFC"}), "its normalizer is NFC"),
    ("roberta", lambda c: c["pre_tokenizer"].update(use_regex=False), "use_regex: false"),
    ("roberta", lambda c: c["model"].update(ignore_merges=True), "ignore_merges is True"),
    ("roberta", lambda c: c["model"].update(end_of_word_suffix="</w>"), "end_of_word_suffix is '</w>'"),
    ("roberta", lambda c: c["added_tokens"][4].update(rstrip=True), "rstrip"),
    ("llama-3", lambda c: c["pre_tokenizer"]["pretokenizers"][0].update(individual_digits=False), "numbers whole"),
    ("llama-3", lambda c: c["pre_tokenizer"]["pretokenizers"][0].update(type="Split"), "Split and ByteLevel"),
    ("xlm-roberta", lambda c: c.update(normalizer={"type": "NFC"}), "its normalizer is NFC"),
    ("xlm-roberta", lambda c: c["pre_tokenizer"]["pretokenizers"].pop(0), "its pre_tokenizer is Metaspace"),
    ("llama", lambda c: c["model"]["merges"].pop(0), "its merges"),
    ("llama", lambda c: c["model"].pop("vocab"), "are not what the library tokenizers writes"),
]


@pytest.mark.parametrize(("name", "how", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_what_is_not_done_is_refused_by_name(name, how, message, tmp_path):
    folder = change(copy(name, tmp_path), how)
    with pytest.raises(UserError, match="^model.preset: ") as error:
        resolve_preset(str(folder))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_vocabulary_that_contradicts(tmp_path):
    folder = copy("bert", tmp_path)
    words = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    lines = sorted(words, key=words.get)
    (folder / "vocab.txt").write_text("\n".join([*lines, "zulu"]), encoding="utf-8")
    with pytest.raises(UserError, match="vocab.txt has .* words and tokenizer.json"):
        resolve_preset(str(folder))
    lines[7] = "other"
    (folder / "vocab.txt").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UserError, match="vocab.txt, line 8, has 'other', and tokenizer.json has"):
        resolve_preset(str(folder))


@pytest.mark.parametrize("name", ["bert", "roberta", "albert", "llama"])
def test_more_words_than_vectors(name, tmp_path):
    """In every kind of tokenizer."""
    folder = copy(name, tmp_path)
    rows = json.loads((folder / "config.json").read_text())["vocab_size"]

    def longer(content):
        vocabulary = content["model"]["vocab"]
        vocabulary.append(["zulu", -9.0]) if isinstance(vocabulary, list) else vocabulary.update(zulu=rows)

    change(folder, longer)
    with pytest.raises(UserError, match=f"its tokenizer has ids up to {rows}, and its token embedding {rows} rows"):
        resolve_preset(str(folder))


def test_more_words_than_vectors_in_a_run(tmp_path):
    """KerasHub's form, where words were added by hand to what was saved."""
    for name in ("bert", "gpt2"):
        saved = tmp_path / name
        save_preset(load_backbone(str(FOLDERS / name)), load_tokenizer(str(FOLDERS / name)), str(saved))
        words, table = (saved / "assets" / "tokenizer" / f"vocabulary.{ending}" for ending in ("txt", "json"))
        if words.is_file():
            words.write_text(words.read_text(encoding="utf-8").rstrip("\n") + "\nzulu\n", encoding="utf-8")
        else:
            content = json.loads(table.read_text(encoding="utf-8"))
            table.write_text(json.dumps({**content, "zulu": len(content)}), encoding="utf-8")
        with pytest.raises(UserError, match="its tokenizer has ids up to"):
            resolve_preset(str(saved))


def test_numbers_of_rows_and_of_config_differ(tmp_path):
    folder = change(copy("bert", tmp_path), lambda config: config.update(vocab_size=200), "config.json")
    with pytest.raises(UserError, match="vocab_size of config.json is 200; take weights and config.json from the same"):
        resolve_preset(str(folder))
