"""JSON schemas (draft 2020-12) as languages of `automaton`: every text of the language is valid by its schema.

A language has not all that a schema allows: no properties that it does not name, its properties in their order, one
space behind `:` and `,` as Python's json writes them, numbers of at most 15 digits without an exponent. What a text
could break without the language knowing (`multipleOf`, `uniqueItems`, `format`, `not`, `oneOf`, `allOf`, recursion ...)
is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kerasft.models.constraints.automaton import (
    Language,
    Parts,
    Ranges,
    characters,
    either,
    literal,
    repeated,
    sequence,
)
from kerasft.models.constraints.numbers import DIGIT, LARGEST, MOST_DIGITS, integers
from kerasft.models.constraints.patterns import TOP, Pattern, PatternError

NOTES = frozenset(
    "title description default examples deprecated readOnly writeOnly $schema $id $comment $defs definitions".split()
)
_KEYS = {
    "string": ("minLength", "maxLength", "pattern"),
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    "number": ("minimum", "maximum"),
    "boolean": (),
    "null": (),
    "array": ("items", "minItems", "maxItems"),
    "object": ("properties", "required", "additionalProperties"),
}
MOST_DEEP = 32
_FRACTION = sequence(literal("."), repeated(DIGIT, 1, MOST_DIGITS))
_ESCAPES = ('\\"', "\\\\", "\\b", "\\f", "\\n", "\\r", "\\t")


class SchemaError(ValueError):
    """A schema is wrong, or has what is not taken."""


def schema_language(schema: Any) -> Language:
    """The texts that a schema allows, as far as they are written. Raises SchemaError, which names the place."""
    return _Schema(schema).language(schema, "#", 0)


class _Schema:
    """A whole schema, which `$ref` is looked up in."""

    def __init__(self, whole: Any):
        self._whole = whole

    def language(self, schema: Any, place: str, depth: int) -> Language:
        if not isinstance(schema, Mapping):
            raise SchemaError(f"{place}: {json.dumps(schema)} says nothing of what to write; name a type")
        if depth > MOST_DEEP:
            raise SchemaError(f"{place}: is more than {MOST_DEEP} deep, or holds itself, which is not taken")
        keys = set(schema) - NOTES
        if "$ref" in keys:
            _check_keys(keys, ("$ref",), place)
            return self.language(self._target(schema["$ref"], place), place, depth + 1)
        if "anyOf" in keys:
            _check_keys(keys, ("anyOf",), place)
            options = _some(schema["anyOf"], f"{place}/anyOf")
            return either(
                self.language(each, f"{place}/anyOf/{index}", depth + 1) for index, each in enumerate(options)
            )
        for key in ("const", "enum"):
            if key in keys:
                return _values([schema[key]] if key == "const" else schema[key], keys, schema, f"{place}/{key}", key)
        if "type" not in keys:
            raise SchemaError(f"{place}: has no type (nor enum, const, anyOf or $ref); name one of {', '.join(_KEYS)}")
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if unknown := [each for each in types if each not in _KEYS]:
            raise SchemaError(f"{place}/type: {json.dumps(unknown[0])} is none of {', '.join(_KEYS)}")
        _check_keys(keys, ("type", *(key for each in types for key in _KEYS[each])), place)
        return either(self._of_type(each, schema, place, depth) for each in _some(types, f"{place}/type"))

    def _of_type(self, name: str, schema: Mapping[str, Any], place: str, depth: int) -> Language:
        if name == "object":
            return self._object(schema, place, depth)
        if name == "array":
            if "items" not in schema:
                raise SchemaError(f"{place}: an array without items; say what they are")
            item = self.language(schema["items"], f"{place}/items", depth + 1)
            return _array(item, *_counts(schema, "minItems", "maxItems", place))
        plain: dict[str, Callable[[Mapping[str, Any], str], Language]] = {
            "string": _string,
            "integer": _integer,
            "number": _number,
        }
        if name in plain:
            return plain[name](schema, place)
        return literal("null") if name == "null" else either([literal("true"), literal("false")])

    def _object(self, schema: Mapping[str, Any], place: str, depth: int) -> Language:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        if not isinstance(properties, Mapping) or not isinstance(required, Sequence):
            raise SchemaError(f"{place}: properties are an object and required is a list of their names")
        if missing := [name for name in required if name not in properties]:
            raise SchemaError(
                f"{place}/required: {json.dumps(missing[0])} is none of its properties; describe it there"
            )
        members = [
            (
                sequence(
                    literal(f"{json.dumps(name, ensure_ascii=False)}: "),
                    self.language(each, f"{place}/properties/{name}", depth + 1),
                ),
                name in required,
            )
            for name, each in properties.items()
        ]
        return sequence(literal("{"), _members(members), literal("}"))

    def _target(self, reference: Any, place: str) -> Any:
        target = self._whole
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise SchemaError(f"{place}/$ref: {json.dumps(reference)} is not within this schema (#/$defs/NAME)")
        for step in reference[2:].split("/"):
            step = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, Mapping) or step not in target:
                raise SchemaError(f"{place}/$ref: {json.dumps(reference)} leads nowhere")
            target = target[step]
        return target


def _check_keys(keys: set[str], taken: Sequence[str], place: str) -> None:
    if unknown := sorted(keys - set(taken)):
        raise SchemaError(f"{place}: {unknown[0]} is not taken here; leave it out")


def _some(options: Any, place: str) -> Sequence[Any]:
    if not isinstance(options, list) or not options:
        raise SchemaError(f"{place}: is a list of one or more")
    return options


def _values(values: Any, keys: set[str], schema: Mapping[str, Any], place: str, key: str) -> Language:
    """JSON values as they are; `type` beside them has to hold for each."""
    _check_keys(keys, (key, "type"), place)
    types = schema.get("type")
    for value in _some(values, place):
        if types is not None and not any(_is(value, each) for each in ([types] if isinstance(types, str) else types)):
            raise SchemaError(f"{place}: {json.dumps(value)} is not of the type beside it, {json.dumps(types)}")
    return either(literal(json.dumps(value, ensure_ascii=False)) for value in values)


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    kinds = {"string": str, "integer": int, "number": (int, float), "array": list, "object": dict, "null": type(None)}
    return name in kinds and isinstance(value, kinds[name])


def _counts(schema: Mapping[str, Any], low: str, high: str, place: str) -> tuple[int, int | None]:
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
    for key in _KEYS["integer"]:
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


def _integer(schema: Mapping[str, Any], place: str) -> Language:
    return integers(*_bounds(schema, place))


def _number(schema: Mapping[str, Any], place: str) -> Language:
    """Whole numbers within the bounds; and, one smaller, those with a fraction: 2.5 lies between 2 and 3."""
    least, most = _bounds(schema, place)
    parts = [integers(least, most)]
    if most > max(least, 0):  # 0.5 to most
        parts.append(sequence(integers(max(least, 0), most - 1), _FRACTION))
    if least < min(most, 0):  # -0.5 to least
        low, high = max(0, -most), -least - 1
        parts.append(sequence(literal("-"), integers(low, high), _FRACTION))
    return either(parts)


def _string(schema: Mapping[str, Any], place: str) -> Language:
    least, most = _counts(schema, "minLength", "maxLength", place)
    if "pattern" not in schema:
        inside = repeated(_in_string([(0, TOP)]), least, most)
        return sequence(literal('"'), inside, literal('"'))
    if "minLength" in schema or "maxLength" in schema:
        raise SchemaError(f"{place}: has a length beside its pattern; say it in the pattern, such as ^[a-z]{{1,9}}$")
    try:
        pattern = Pattern(str(schema["pattern"]), _in_string)
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


def _array(item: Language, least: int, most: int | None) -> Language:
    if most == 0:
        return literal("[]")
    rest = repeated(sequence(literal(", "), item), max(least - 1, 0), None if most is None else most - 1)
    full = sequence(literal("["), item, rest, literal("]"))
    return full if least else either([literal("[]"), full])


def _members(members: Sequence[tuple[Language, bool]]) -> Language:
    """Members of an object in their order, those that are not required or not, with commas between them."""

    def put(parts: Parts, start: int) -> int:
        bare, behind = start, None  # before any member; behind one
        for language, required in members:
            entry = parts.state()
            parts.silent[bare].append(entry)
            if behind is not None:
                parts.silent[literal(", ")(parts, behind)].append(entry)
            end = language(parts, entry)
            if not required:
                following = parts.state()
                parts.silent[end].append(following)
                if behind is not None:
                    parts.silent[behind].append(following)
                behind = following
            else:
                behind, bare = end, parts.state()  # no way leads to the new one: a member stands already
        end = parts.state()
        parts.silent[bare].append(end)
        if behind is not None:
            parts.silent[behind].append(end)
        return end

    return put
