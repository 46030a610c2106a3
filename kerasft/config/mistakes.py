"""What pydantic finds wrong with a config -> a line a mistake: the place, the key, the value, the fix.

Pydantic's own sentences speak of Python's types, so none of them is passed on.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from kerasft.config.sections import KeyPath, Sections, chosen_sections, describe, literals
from kerasft.config.spelling import nearest_key, nearest_value
from kerasft.config.yaml_text import write_yaml

COMMAND_LINE = "command line"
_SECTION = "a section of keys"
# Beginning of pydantic's error type -> what the key wants.
_WANTED = {
    "int_": "a whole number",
    "float_": "a number",
    "finite_number": "a finite number",
    "bool_": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": _SECTION,
    "model_": _SECTION,
}
_LIMITS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}
_LENGTHS = ("string_too_short", "string_too_long", "too_short", "too_long")


def explain(
    error: ValidationError,
    model: type[BaseModel],
    values: Any,
    where: Callable[[KeyPath], str],
    order: Callable[[KeyPath], int],
) -> list[str]:
    """All that is wrong, a line a mistake.

    Args:
        error: what validating `values` against `model` raised.
        values: the values as given, mappings and lists.
        where: path of a key -> where it was written, such as `train.yaml:12` or `command line`.
        order: path of a key -> its position; mistakes are told in this order, missing keys last.
    """
    groups: dict[KeyPath, list[Any]] = {}
    for each in error.errors(include_url=False):
        path = _key_path(each["loc"], values, each["type"])
        path += (_tag(each),) if each["type"].startswith("union_tag") else ()
        groups.setdefault(path, []).append(each)
    # A wrong item of a list is told once, at the item: not again for each other form the key could have.
    paths = [path for path in groups if not any(other[: len(path)] == path and other != path for other in groups)]
    paths.sort(key=lambda path: (groups[path][0]["type"] == "missing", order(path)))
    all_sections = list(chosen_sections(model, values))
    # A key that is there under a wrong name is not told as missing, too.
    unknown = [path for path in paths if groups[path][0]["type"] == "extra_forbidden"]
    corrections = {(*path[:-1], near) for path in unknown if (near := _near(path, all_sections))}
    paths = [path for path in paths if path not in corrections or groups[path][0]["type"] != "missing"]
    return [_line(path, groups[path], all_sections, where(path)) for path in paths]


def _line(path: KeyPath, errors: list[Any], all_sections: Sections, where: str) -> str:
    message = _message(path, errors, all_sections, where == COMMAND_LINE)
    return ": ".join(part for part in (where, _dotted(path), message) if part)


def excerpt(value: Any) -> str:
    """A value as an error shows it: on one line, 60 characters at most."""
    # Scalars as YAML writes them; what JSON does not know is a number such as nan anyway.
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 60 else text[:57] + "..."


def _key_path(loc: tuple[Any, ...], values: Any, kind: str) -> KeyPath:
    """Pydantic's location without the names of union members, which are no keys of the file."""
    path: list[Any] = []
    for position, part in enumerate(loc):
        is_key = isinstance(values, dict) and part in values
        if is_key or (isinstance(values, list) and isinstance(part, int) and part < len(values)):
            values = values[part]
            path.append(part)
        elif kind == "missing" and position == len(loc) - 1:
            path.append(part)
    return tuple(path)


def _tag(error: Any) -> str:
    """The key whose value chooses the form of a section, of an error about it."""
    return error["ctx"]["discriminator"].strip("'")


def _message(path: KeyPath, errors: list[Any], all_sections: Sections, on_command_line: bool) -> str:
    first = errors[0]
    kind, value, context = first["type"], first["input"], first.get("ctx", {})
    description = describe(path, all_sections)
    if kind == "extra_forbidden":
        return _unknown(path, all_sections)
    if kind == "missing":
        return f"missing; add it{': ' + description if description else ''}"
    if kind.startswith("union_tag"):
        tag = value.get(_tag(first)) if isinstance(value, dict) else value
        names = re.findall(r"'([^']*)'", context.get("expected_tags", ""))
        if not names:
            return f"missing; add it, one of {', '.join(literals(_dotted(path)))}"
        return _not_one_of(tag, names)
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return _not_one_of(value, re.findall(r"'([^']*)'", context["expected"]))
    if kind in _LIMITS:
        name, word = _LIMITS[kind]
        return f"{excerpt(value)} is out of range; write a number {word} {context[name]:g}"
    if kind in _LENGTHS:
        return f"{excerpt(value)} {_wrong_length(value, context)}"
    forms = [text for each in errors for prefix, text in _WANTED.items() if each["type"].startswith(prefix)]
    if forms:
        kinds = " or ".join(dict.fromkeys(forms))
        return f"{excerpt(value)} is not {kinds}{_fix(path, value, forms, all_sections, on_command_line)}"
    return f"{excerpt(value)} does not fit" + (f": {description}" if description else "")


def _wrong_length(value: Any, limits: Mapping[str, int]) -> str:
    """What is said of a text, a list or a section that is too short or too long."""
    unit = {str: "character", dict: "key"}.get(type(value), "item")
    limit = f"{limits['min_length']} or more" if "min_length" in limits else f"{limits['max_length']} at most"
    if not value:
        return f"is empty; write {limits.get('min_length', 1)} {unit} or more"
    return f"has {len(value)} {unit}{'s' if len(value) > 1 else ''}; write {limit}"


def _not_one_of(value: Any, names: list[str]) -> str:
    near = nearest_value(value, names)
    return f"{excerpt(value)} is not one of {', '.join(names)}" + (f"; did you mean {near}?" if near else "")


def _fix(path: KeyPath, value: Any, forms: list[str], all_sections: Sections, on_command_line: bool) -> str:
    """What to write instead of a value of another kind."""
    scalar = not isinstance(value, (dict, list)) and value is not None
    if _SECTION in forms and scalar:
        return _as_section(path, value, all_sections, on_command_line)
    if "a text" in forms and isinstance(value, (bool, int, float)):
        text = json.dumps(value)
        return f"; put it in quotes: {_dotted(path)}='\"{text}\"'" if on_command_line else "; put it in quotes"
    if "a list" in forms and scalar:
        return f"; write [{write_yaml(value).split(chr(10))[0]}]"
    return ""


def _as_section(path: KeyPath, value: Any, all_sections: Sections, on_command_line: bool) -> str:
    """A value where a section belongs -> the key of that section which is meant: adam -> {name: adam}."""
    at = _dotted(path)
    fields = {
        key: field for section, inner in all_sections if section == at for key, field in inner.model_fields.items()
    }
    required = [key for key, field in fields.items() if field.is_required()]
    key = next((key for key in ("name", "method", "preset", "train", "dir", *required) if key in fields), None)
    # which of the forms of a section is meant is not known before it has a name
    key = {"task": "name", "model.peft": "method", "training.objective": "name"}.get(at, key)
    if key is None or isinstance(value, bool):
        description = describe(path, all_sections)
        return f"; it has the keys {', '.join(fields)}" if fields else f"; {description}" if description else ""
    text = nearest_value(value, literals(f"{at}.{key}")) or value
    if on_command_line:
        return f"; write {at}.{key}={text}"
    return f"; write {path[-1]}: {{{key}: {text}}}"


def _near(path: KeyPath, all_sections: Sections) -> str | None:
    """The key of the same section that an unknown one is a slip for."""
    near = difflib.get_close_matches(str(path[-1]), _keys(path, all_sections), 1)
    return near[0] if near else None


def _keys(path: KeyPath, all_sections: Sections) -> list[str]:
    """Those that may stand where the last of a path does."""
    section = _dotted(path[:-1])
    return list(dict.fromkeys(name for at, inner in all_sections if at == section for name in inner.model_fields))


def _unknown(path: KeyPath, all_sections: Sections) -> str:
    key, section = str(path[-1]), _dotted(path[:-1])
    elsewhere = [at or "the top level" for at, inner in all_sections if at != section and key in inner.model_fields]
    if elsewhere:
        return f"unknown key; {key} stands under {' and '.join(dict.fromkeys(elsewhere))}"
    near = _near(path, all_sections) or nearest_key(key)
    if near and near != _dotted(path):  # another form of the section has it
        return f"unknown key; did you mean {near}?"
    return f"unknown key; there are {', '.join(_keys(path, all_sections))}"


def _dotted(path: KeyPath) -> str:
    return ".".join(str(part) for part in path)
