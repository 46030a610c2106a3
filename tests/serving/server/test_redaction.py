"""What is redacted of a text, and what of it stays."""

import numpy as np
import pytest
from tensorflow.core.example.example_pb2 import Example

from kerasft.serving.server.redaction import MOST_CHARACTERS, MOST_TEXTS, redact, redacted_texts


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("mail anna@example.com now", "mail [email] now"),
        ("<a.b+c@sub.example.co.uk>,x@y.de", "<[email]>,[email]"),
        ("\u5f20\u4e09@\u4f8b\u5b50.\u4e2d\u56fd", "[email]"),
        ("call +49 (170) 123-4567 today", "call [phone] today"),
        ("(555) 123-4567", "[phone]"),
        ("13912345678", "[phone]"),
        ("\u7535\u8bdd\uff1a13912345678\u3002", "\u7535\u8bdd\uff1a[phone]\u3002"),
        ("555.123.4567", "[phone]"),
        ("id 11010519491231002X!", "id [id]!"),
        ("110105194912310021", "[id]"),
        ("ssn 078-05-1120", "ssn [id]"),
        ("card 4111-1111-1111-1111.", "card [id]."),
        ("DE89 3704 0044 0532 0130 00", "[id]"),
        ("GB82WEST12345698765432", "[id]"),
        ("\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669", "[phone]"),
    ],
)
def test_what_tells_who_somebody_is(text, redacted):
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "oil fell 3.5% to 71.20",
        "in 2024, 1820 people",
        "a @ b",
        "version 2.20.0",
        "@anna said so",
        "12 34",
        "3.14159",
    ],
)
def test_what_does_not_stays(text):
    assert redact(text) == text


def test_a_long_text_takes_no_long_time():
    for text in ("1" * 100_000, "a" * 100_000 + "@", "1 " * 50_000, "DE89 " * 20_000, "a@" * 50_000, "(" * 100_000):
        redact(text)


def test_of_a_long_text_no_half_of_an_address_is_shown_and_not_all_is_looked_at():
    address = b"a" * 64 + b"@" + b"b" * 255 + b".org "
    for before in range(0, 330, 7):
        text = b"x " * (before // 2) + address * 40
        (row,) = redacted_texts({"text": np.array([text], object)})
        assert not {"aa", "bb"} & set(row["text"].replace("x ", "").split("[email]")) and "bbb" not in row["text"]
    (row,) = redacted_texts({"text": np.array(["\u6cb9".encode() * 100_000], object)})
    assert row["text"] == "\u6cb9" * MOST_CHARACTERS


def test_of_a_row_of_many_texts_some_are_shown():
    example = Example()
    for number in range(5000):
        example.features.feature[f"f{number}"].bytes_list.value.append(b"a")
    (row,) = redacted_texts({"inputs": np.array([example.SerializeToString()], object)})
    assert len(row) == MOST_TEXTS
