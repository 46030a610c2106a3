"""Lists of synonyms as they are read, and what they make of a text."""

import numpy as np
import pytest

from kerasft.config.augment import SynonymsConfig
from kerasft.data.augmentation.lexicons import read_synonyms
from kerasft.data.augmentation.marked_text import MarkedText
from kerasft.data.augmentation.synonyms import Synonyms
from kerasft.errors import UserError

SENSES = """begin%2:30:00:: 00345761 1 86
start%2:30:00:: 00345761 1 64
commence%2:30:00:: 00345761 1 0
start%1:11:00:: 07325190 1 60
i%1:27:00:: 14641397 1 3
bank%1:17:01:: 09213565 1 25
bank%1:14:00:: 08420278 2 20
depository%1:14:00:: 08420278 1 4
nice%3:00:00:: 01586342 1 9
pleasant%3:00:00:: 01586342 1 5
"""
DATA = {
    "verb": "00345761 30 v 03 begin 0 commence 0 start 1 001 @ 00126264 v 0000 | take the first step\n",
    "noun": "14641397 27 n 02 iodine 0 I 0 000 | a gas\n08420278 14 n 02 depository 0 bank 1 000 | an institution\n"
    "09213565 17 n 01 bank 0 000 | sloping land\n07325190 11 n 01 start 0 000 | the beginning\n",
    "adj": "01586342 00 a 02 nice(p) 0 pleasant(a) 0 000 | pleasing\n",
    "adv": "  1 This software and database is being provided to you, the LICENSEE\n",
}


@pytest.fixture
def wordnet(tmp_path):
    """A folder with a few lines of WordNet 3.0."""
    (tmp_path / "index.sense").write_text(SENSES)
    for part, lines in DATA.items():
        (tmp_path / f"data.{part}").write_text(lines)
    return tmp_path


def test_of_wordnet_the_clear_senses_count(wordnet):
    words = read_synonyms(str(wordnet), "k")
    # Uses of `commence` were not counted, the most frequent sense of `bank` has no other word, `i` is a symbol there.
    assert words == {
        "begin": ("start",), "commence": ("begin", "start"), "start": ("begin",), "depository": ("bank",),
        "nice": ("pleasant",), "pleasant": ("nice",),
    }  # fmt: skip


def test_lists_of_a_line_for_each_group(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text(
        "Aa01A01= 人 士 人物\nAa01A02# 人 别的\nAa01A03@ 单独\nbig large\ncar, motor car\n", encoding="utf-8"
    )
    words = read_synonyms(str(file), "k")
    assert words["人"] == ("士", "人物") and "别的" not in words and "单独" not in words
    assert words["big"] == ("large",) and words["car"] == ("motor car",)


@pytest.mark.parametrize(
    "content, message", [(None, "is not there"), (b"one\n", "has no synonyms"), (b"\xff\xfe\x00", "is not in UTF-8")]
)
def test_a_list_that_is_none(tmp_path, content, message):
    file = tmp_path / "words.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=f"k: .*{message}"):
        read_synonyms(str(file), "k")


def test_a_folder_without_wordnet(tmp_path):
    with pytest.raises(UserError, match="no folder of WordNet: it lacks index.sense"):
        read_synonyms(str(tmp_path), "k")


def test_synonyms_have_the_capitals_of_their_word(wordnet):
    section = SynonymsConfig(source=str(wordnet), words=1.0)
    edits = Synonyms(section).edits(MarkedText("Begin a NICE day"), np.random.default_rng(0))
    assert MarkedText("Begin a NICE day").edited(edits).text == "Start a PLEASANT day"


def test_the_longest_word_of_a_list_is_taken_where_no_spaces_are_written(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("商店 店铺\n大商店 百货\n", encoding="utf-8")
    text = MarkedText("在大商店买")
    edits = Synonyms(SynonymsConfig(source=str(file))).edits(text, np.random.default_rng(0))
    assert text.edited(edits).text == "在百货买"
