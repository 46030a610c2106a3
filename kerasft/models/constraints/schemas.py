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

from kerasft.models.constraints.automaton import Language, Parts, either, literal, sequence
from kerasft.models.constraints.json_values import (
    BOUNDS,
    SchemaError,
    array,
    check_keys,
    counts,
    fixed_values,
    integer,
    number,
    some,
    string,
)

NOTES = frozenset(
    "title description default examples deprecated readOnly writeOnly $schema $id $comment $defs definitions".split()
)
_KEYS = {
    "string": ("minLength", "maxLength", "pattern"),
    "integer": BOUNDS,
    "number": ("minimum", "maximum"),
    "boolean": (),
    "null": (),
    "array": ("items", "minItems", "maxItems"),
    "object": ("properties", "required", "additionalProperties"),
}
MOST_DEEP = 32


def schema_language(schema: Any) -> Language:
    """The texts that a schema allows, as far as they are written. Raises SchemaError, which names the place."""
    return _Schema(schema).language(schema, "#", 0)


class _Schema:
    """A whole schema, which `$ref` is looked up in."""

    def __init__(self, whole: Any):
        self._whole = whole
        self._known: dict[str, Language] = {}  # reference -> what it means, looked up once

    def language(self, schema: Any, place: str, depth: int) -> Language:
        if not isinstance(schema, Mapping):
            raise SchemaError(f"{place}: {json.dumps(schema)} says nothing of what to write; name a type")
        if depth > MOST_DEEP:
            raise SchemaError(f"{place}: is more than {MOST_DEEP} deep, or holds itself, which is not taken")
        keys = set(schema) - NOTES
        if "$ref" in keys:
            check_keys(keys, ("$ref",), place)
            return self._referred(schema["$ref"], place, depth)
        if "anyOf" in keys:
            check_keys(keys, ("anyOf",), place)
            options = some(schema["anyOf"], f"{place}/anyOf")
            return either(
                self.language(each, f"{place}/anyOf/{index}", depth + 1) for index, each in enumerate(options)
            )
        for key in ("const", "enum"):
            if key in keys:
                listed = [schema[key]] if key == "const" else schema[key]
                return fixed_values(listed, keys, schema, f"{place}/{key}", key)
        if "type" not in keys:
            raise SchemaError(f"{place}: has no type (nor enum, const, anyOf or $ref); name one of {', '.join(_KEYS)}")
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if unknown := [each for each in types if not isinstance(each, str) or each not in _KEYS]:
            raise SchemaError(f"{place}/type: {json.dumps(unknown[0])} is none of {', '.join(_KEYS)}")
        check_keys(keys, ("type", *(key for each in types for key in _KEYS[each])), place)
        return either(self._of_type(each, schema, place, depth) for each in some(types, f"{place}/type"))

    def _of_type(self, name: str, schema: Mapping[str, Any], place: str, depth: int) -> Language:
        if name == "object":
            return self._object(schema, place, depth)
        if name == "array":
            if "items" not in schema:
                raise SchemaError(f"{place}: an array without items; say what they are")
            item = self.language(schema["items"], f"{place}/items", depth + 1)
            return array(item, *counts(schema, "minItems", "maxItems", place))
        plain: dict[str, Callable[[Mapping[str, Any], str], Language]] = {
            "string": string,
            "integer": integer,
            "number": number,
        }
        if name in plain:
            return plain[name](schema, place)
        return literal("null") if name == "null" else either([literal("true"), literal("false")])

    def _object(self, schema: Mapping[str, Any], place: str, depth: int) -> Language:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        if (
            not isinstance(properties, Mapping)
            or not isinstance(required, list)
            or not all(isinstance(name, str) for name in required)
        ):
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

    def _referred(self, reference: Any, place: str, depth: int) -> Language:
        target = self._target(reference, place)
        if reference not in self._known:
            self._known[reference] = self.language(target, reference, depth + 1)
        return self._known[reference]

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
