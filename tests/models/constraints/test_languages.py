"""Regular expressions and schemas as automata: what they take is what Python's re and jsonschema take."""

import json
import random
import re

import jsonschema
import numpy as np
import pytest

from kerasft.config.constraint import ConstraintConfig
from kerasft.errors import UserError
from kerasft.models.constraints.automaton import TooLarge, automaton, repeated, utf8_ranges
from kerasft.models.constraints.held_tokens import NEVER, fewest_tokens, held_tokens
from kerasft.models.constraints.language import constraint_automaton, constraint_tokens
from kerasft.models.constraints.numbers import DIGIT, integers
from kerasft.models.constraints.patterns import Pattern, PatternError
from kerasft.models.constraints.schemas import SchemaError, schema_language

PATTERNS = [
    "a(b|c)*d?",
    "[^a-c]+",
    r"\d{2,3}-\w+",
    ".*",
    r"\$\{x\}|[]a-]",
    r"(?:ab|a)(c|bcd){1,}",
    r"\u00e9|\x41\t",
    "",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_takes_what_python_takes(pattern):
    language, draw = automaton(Pattern(pattern).language), random.Random(0)
    texts = ["".join(draw.choices("abcd-12_é\t\n${x}]A😀", k=draw.randint(0, 6))) for _ in range(800)]
    for text in [*texts, "12-a", "abcbcd", "${x}", "é", "A\t", ""]:
        assert language.accepts(text.encode()) == bool(re.fullmatch(pattern, text)), text


@pytest.mark.parametrize(
    "pattern", ["a**", "a+?", "(?=a)", "(a", "a)", r"\bx", "[b-a]", "a{", "*", "a^b", "^a|b$", "(?i)a", r"\1", "[a"]
)
def test_what_a_pattern_may_not_have(pattern):
    with pytest.raises(PatternError):
        Pattern(pattern)


def test_numbers_between_bounds():
    draw = random.Random(0)
    for _ in range(40):
        least = draw.randint(-1500, 1500)
        most = draw.randint(least, 2000)
        language = automaton(integers(least, most))
        for number in [least, most, least - 1, most + 1, *(draw.randint(-3000, 3000) for _ in range(20))]:
            assert language.accepts(str(number).encode()) == (least <= number <= most)
        assert not language.accepts(b"-0") and not language.accepts(b"007")


def test_every_character_has_its_bytes():
    for first, last in [(0, 0x10FFFF), (0x7F, 0x80), (0x7FE, 0x801), (0xD700, 0xE010), (0xFFF0, 0x10005)]:
        spans = utf8_ranges(first, last)
        for code in {first, last, (first + last) // 2, 0x80, 0x800, 0xFFFF, 0x10000}:
            if 0xD800 <= code <= 0xDFFF:
                continue
            spelt = chr(code).encode()
            found = [s for s in spans if len(s) == len(spelt) and all(a <= b <= c for b, (a, c) in zip(spelt, s))]
            assert len(found) == int(first <= code <= last)


PERSON = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "maxItems": 3},
        "rate": {"type": ["number", "null"], "minimum": -2, "maximum": 3},
        "code": {"type": "string", "pattern": "^[A-Z]{2}\\d$"},
    },
    "required": ["age"],
    "$defs": {"tag": {"enum": ["a", 'b"c', 3, None]}},
}


def test_a_schema_takes_valid_texts_alone():
    language = automaton(schema_language(PERSON))
    for value in [
        {"name": 'Jö "x"\\', "age": 130, "tags": ["a", 'b"c', 3, None][:3], "rate": -1.5, "code": "AB1"},
        {"age": 0},
        {"age": 7, "rate": None},
        {"age": 7, "tags": [], "rate": 3},
    ]:
        jsonschema.validate(value, PERSON)
        assert language.accepts(json.dumps(value, ensure_ascii=False).encode()), value
    for value in [
        {"age": 131},
        {"name": "x"},
        {"name": "x" * 13, "age": 1},
        {"age": 1, "rate": 3.5},
        {"age": 1, "a": 2},
    ]:
        assert not language.accepts(json.dumps(value).encode()), value


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({}, "#: has no type"),
        ({"type": "text"}, "#/type: "),
        ({"type": "string", "format": "date"}, "#: format is not taken"),
        ({"type": "object", "properties": {"a": {"type": "array"}}}, "#/properties/a: an array without items"),
        ({"type": "object", "required": ["b"]}, '#/required: "b"'),
        ({"type": "integer", "minimum": 2.5}, "#/minimum: 2.5"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "#: there is no number"),
        ({"type": "string", "pattern": "a(?=b)"}, "#/pattern: "),
        ({"enum": [1], "type": "string"}, "#/enum: 1"),
        ({"$ref": "#/$defs/x"}, '#/$ref: "#/$defs/x" leads nowhere'),
        (
            {"$defs": {"x": {"type": "array", "items": {"$ref": "#/$defs/x"}}}, "$ref": "#/$defs/x"},
            "which is not taken",
        ),
        ({"oneOf": [{"type": "null"}]}, "#: has no type"),
    ],
)
def test_what_a_schema_may_not_have_is_named_with_its_place(schema, place):
    with pytest.raises(SchemaError) as error:
        schema_language(schema)
    assert place in str(error.value)


def test_a_language_that_is_too_large(monkeypatch):
    monkeypatch.setattr("kerasft.models.constraints.automaton.MOST_PARTS", 500)
    with pytest.raises(TooLarge):
        automaton(repeated(repeated(DIGIT, 0, 20), 0, 200))
    with pytest.raises(UserError, match="task.decoding.constraint: too large"):
        constraint_automaton(ConstraintConfig(regex="(.{10}){500}"))


SPELT = [b"", b"re", b"fund", b"refund", b"r", b"e", b" ", b"<end>", b"f"]
ORDINARY = np.array([False, True, True, True, True, True, True, False, True])


def test_tokens_and_how_many_of_them_an_answer_needs():
    held = held_tokens(constraint_automaton(ConstraintConfig(labels=["refund", "ref"])), SPELT, ORDINARY, opening=True)

    def after(*tokens: int, start: int = 0) -> int:
        state = held.starts[start]
        for token in tokens:
            state = held.jumps[state, held.columns[token]]
        return int(state)

    dead = len(held.distances) - 1
    assert [int(held.distances[after(*tokens)]) for tokens in ((), (1,), (1, 8), (3,), (4,))] == [1, 1, 0, 0, 2]
    assert after(7) == after(0) == after(6) == dead and held.distances[dead] == NEVER
    assert held.complete[after(3)] and not held.complete[after(1)]
    assert held.complete[after(1, 8)]  # no token goes on with "und"
    assert after(6, 3, start=1) == after(3) and after(6, 6, start=1) == dead  # a space where a text opens
    assert fewest_tokens(b"refund", SPELT, ORDINARY) == 1 and fewest_tokens(b"re re", SPELT, ORDINARY) == 3


def test_what_a_vocabulary_can_not_write_is_said():
    def tokens(most: int, **constraint):
        constraint_tokens(ConstraintConfig(**constraint), SPELT, ORDINARY, False, most)

    tokens(1, labels=["refund"])
    with pytest.raises(UserError, match="max_new_tokens: 1, but 're re' of task.decoding.constraint takes 3 tokens"):
        tokens(1, labels=["refund", "re re"])
    with pytest.raises(UserError, match="can't write 'x'"):
        tokens(9, labels=["refund", "x"])
    with pytest.raises(UserError, match="the shortest answer"):
        tokens(2, regex="(re){3,}")
    with pytest.raises(ValueError, match="give one of labels, regex, json_schema, choices"):
        ConstraintConfig(labels=["a"], regex="a")
