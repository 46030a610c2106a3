"""Values of JSON schemas that hold no others, strings and numbers among them, as languages of `automaton`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kerasft.models.constraints.automaton import Language, Ranges, characters, either, literal, repeated, sequence
from kerasft.models.constraints.numbers import DIGIT, LARGEST, MOST_DIGITS, integers
from kerasft.models.constraints.patterns import TOP, Pattern, PatternError

BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_FRACTION = sequence(literal("."), repeated(DIGIT, 1, MOST_DIGITS))
_ESCAPES = ('\\"', "\\\\", "\\b", "\\f", "\\n", "\\r", "\\t")


class SchemaError(ValueError):
    """A schema is wrong, or has what is not taken."""


def check_keys(keys: set[str], taken: Sequence[str], place: str) -> None:
    """Raises SchemaError for a key that is none of these."""
    if unknown := sorted(keys - set(taken)):
        raise SchemaError(f"{place}: {unknown[0]} is not taken here; leave it out")


def some(options: Any, place: str) -> Sequence[Any]:
    """A list of one or more. Raises SchemaError."""
    if not isinstance(options, list) or not options:
        raise SchemaError(f"{place}: is a list of one or more")
    return options


def fixed_values(values: Any, keys: set[str], schema: Mapping[str, Any], place: str, key: str) -> Language:
    """JSON values as they are; `type` beside them has to hold for each."""
    check_keys(keys, (key, "type"), place)
    types = schema.get("type")
    if not (
        types is None
        or isinstance(types, str)
        or (isinstance(types, list) and all(isinstance(each, str) for each in types))
    ):
        raise SchemaError(f"{place}: the type beside it, {json.dumps(types)}, is no name of a type")
    for value in some(values, place):
        if types is not None and not any(_is(value, each) for each in ([types] if isinstance(types, str) else types)):
            raise SchemaError(f"{place}: {json.dumps(value)} is not of the type beside it, {json.dumps(types)}")
    return either(literal(json.dumps(value, ensure_ascii=False)) for value in values)


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    kinds = {"string": str, "integer": int, "number": (int, float), "array": list, "object": dict, "null": type(None)}
    return name in kinds and isinstance(value, kinds[name])


def counts(schema: Mapping[str, Any], low: str, high: str, place: str) -> tuple[int, int | None]:
    """How many at least and at most, by two keys; None: without end. Raises SchemaError."""
    least, most = schema.get(low, 0), schema.get(high)
    for key, count in ((low, least), (high, most)):
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 0):
            raise SchemaError(f"{place}/{key}: {json.dumps(count)} is no count")
    if most is not None and most < least:
        raise SchemaError(f"{place}: {low} is {least} and {high} {most}: nothing is allowed")
    return least, most


def _bounds(schema: Mapping[str, Any], place: str) -> tuple[int, int]:
    """The least and the most, as whole numbers."""
    least, most = -LARGEST, LARGEST
    for key in BOUNDS:
        bound = schema.get(key)
        if bound is None:
            continue
        if isinstance(bound, bool) or not isinstance(bound, (int, float)) or bound != int(bound):
            raise SchemaError(f"{place}/{key}: {json.dumps(bound)}; only whole numbers are taken")
        shift = int(key.startswith("exclusive"))
        if key.endswith("inimum"):
            least = max(least, int(bound) + shift)
        else:
            most = min(most, int(bound) - shift)
    if least > most:
        raise SchemaError(f"{place}: there is no number from its minimum to its maximum")
    return least, most


def integer(schema: Mapping[str, Any], place: str) -> Language:
    """Whole numbers within the bounds."""
    return integers(*_bounds(schema, place))


def number(schema: Mapping[str, Any], place: str) -> Language:
    """Whole numbers within the bounds; and, one smaller, those with a fraction: 2.5 lies between 2 and 3."""
    least, most = _bounds(schema, place)
    parts = [integers(least, most)]
    if most > max(least, 0):  # 0.5 to most
        parts.append(sequence(integers(max(least, 0), most - 1), _FRACTION))
    if least < min(most, 0):  # -0.5 to least
        low, high = max(0, -most), -least - 1
        parts.append(sequence(literal("-"), integers(low, high), _FRACTION))
    return either(parts)


def string(schema: Mapping[str, Any], place: str) -> Language:
    """Texts in quotes, of some length or by a pattern, which as JSON Schema has it may match anywhere."""
    least, most = counts(schema, "minLength", "maxLength", place)
    if "pattern" not in schema:
        inside = repeated(_in_string([(0, TOP)]), least, most)
        return sequence(literal('"'), inside, literal('"'))
    if "minLength" in schema or "maxLength" in schema:
        raise SchemaError(f"{place}: has a length beside its pattern; say it in the pattern, such as ^[a-z]{{1,9}}$")
    if not isinstance(schema["pattern"], str):
        raise SchemaError(f"{place}/pattern: {json.dumps(schema['pattern'])} is no text; put it in quotes")
    try:
        pattern = Pattern(schema["pattern"], _in_string)
    except PatternError as error:
        raise SchemaError(f"{place}/pattern: {error}") from error
    anything = repeated(_in_string([(0, TOP)]), 0, None)
    before, behind = (literal("") if bound else anything for bound in (pattern.from_start, pattern.to_end))
    return sequence(literal('"'), before, pattern.language, behind, literal('"'))


def _in_string(ranges: Ranges) -> Language:
    """A character of some ranges as it stands in a string of JSON."""
    plain, escaped = [], []
    for first, last in ranges:
        for code in range(first, min(last, 0x1F) + 1):
            escaped.append(json.dumps(chr(code))[1:-1])
        for low, high in ((0x20, 0x21), (0x23, 0x5B), (0x5D, TOP)):  # what lies between is " and \
            if max(first, low) <= min(last, high):
                plain.append((max(first, low), min(last, high)))
        escaped += [escape for code, escape in ((0x22, '\\"'), (0x5C, "\\\\")) if first <= code <= last]
    if (0, TOP) in ranges:
        escaped = list(_ESCAPES)  # of the characters that need one those that have a short one
    parts = [characters(plain)] if plain else []
    return either([*parts, *map(literal, escaped)])


def array(item: Language, least: int, most: int | None) -> Language:
    """So many items in brackets."""
    if most == 0:
        return literal("[]")
    rest = repeated(sequence(literal(", "), item), max(least - 1, 0), None if most is None else most - 1)
    full = sequence(literal("["), item, rest, literal("]"))
    return full if least else either([literal("[]"), full])
