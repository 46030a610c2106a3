"""YAML text <-> plain Python values, with the line each key stands on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from kerasft.errors import UserError

KeyPath = tuple[Any, ...]

_NUMBER = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
# YAML 1.2's core types. PyYAML's own are YAML 1.1's, where 1e-4 is a text and an unquoted label `no` is false.
_TYPES = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]{1,300}", list("-+0123456789")),
    ("float", _NUMBER, list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[Any]] = {}


class _Dumper(yaml.SafeDumper):
    """Quotes what either version of YAML would not read as a text, so any other reader agrees."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, data: str) -> yaml.ScalarNode:
        # Between single quotes PyYAML writes Unicode's line breaks as they are, and reads them as newlines.
        return self.represent_scalar(_TEXT, data, style='"' if set(data) & set("\x85\u2028\u2029") else None)


for _name, _pattern, _first in _TYPES:
    _tag, _regexp = f"tag:yaml.org,2002:{_name}", re.compile(rf"(?:{_pattern})\Z")
    _Loader.add_implicit_resolver(_tag, _regexp, _first)
    _Dumper.add_implicit_resolver(_tag, _regexp, _first)
_MERGE, _TEXT = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:str"
_Dumper.add_representer(str, _Dumper.represent_text)


def _whole_number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    """PyYAML itself reads 010 as octal."""
    return int(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


@dataclass(frozen=True)
class Document:
    """What a YAML text says.

    Args:
        values: mappings, lists and scalars, nothing shared between them.
        lines: path of a key -> the line it stands on, from 1.
    """

    values: Any
    lines: dict[KeyPath, int]


def read_yaml(text: str, file: str) -> Document:
    """YAML text -> its values.

    Args:
        file: what errors call the text: a file's name or `command line`.

    Raises:
        UserError: it is no YAML, a key stands twice, or it contains itself.
    """
    loader = None
    try:
        tag = next((token for token in yaml.scan(text) if isinstance(token, yaml.TagToken)), None)
        if tag is not None:
            raise UserError(f"{file}:{tag.start_mark.line + 1}: YAML tags (!) are not read; put the text in quotes")
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return Document(None, {})
        _check(root, file, (), ())
        values = loader.construct_document(root)
    except yaml.YAMLError as error:
        raise UserError(_syntax_error(error, text, file)) from error
    except RecursionError as error:
        raise UserError(f"{file}: sections or lists are nested too deep; write it flatter") from error
    finally:
        if loader is not None:
            loader.dispose()
    # After construction: only then are the keys that `<<` merges in where they take effect.
    return Document(_unshared(values), dict(_lines(root, ())))


def write_yaml(values: Any) -> str:
    """Plain values -> YAML text in the same key order; `read_yaml` gives the same values back."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=4096)


def _syntax_error(error: yaml.YAMLError, text: str, file: str) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:  # a character that YAML forbids: ReaderError has a position only
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1
        return f"{file}:{line}: character U+{ord(text[position]):04X} is not allowed in YAML; remove it"
    where = f"{file}:{mark.line + 1}"
    problem = getattr(error, "problem", None) or "not YAML"
    if "'\\t'" in problem:
        return f"{where}: a tab; indent with spaces"
    if "expected a single document" in (getattr(error, "context", None) or ""):
        return f"{where}: a second document begins; keep one and remove the line ---"
    return f"{where}: not YAML: {problem}; put texts with : # [ {{ or quotes in them in quotes"


def _check(node: yaml.Node, file: str, path: KeyPath, above: tuple[yaml.Node, ...]) -> None:
    """Refuses what PyYAML lets pass: a key that stands twice in one mapping, an anchor inside itself."""
    if node in above:
        raise UserError(f"{file}:{node.start_mark.line + 1}: the anchor contains itself; write the value out")
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _check(item, file, (*path, index), (*above, node))
    elif isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            dotted = ".".join(str(part) for part in (*path, key.value))
            if not isinstance(key, yaml.ScalarNode):
                raise UserError(f"{file}:{line}: a key is a list or a section; put texts with brackets in quotes")
            if key.value in first:
                raise UserError(f"{file}:{line}: {dotted}: is there twice, first in line {first[key.value]}; keep one")
            first[key.value] = line
            if key.tag != _MERGE:  # keys are names: a label called 1 or true is a text like the others
                key.tag = _TEXT
            _check(value, file, (*path, key.value), (*above, node))


def _lines(node: yaml.Node, path: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*path, index), item.start_mark.line + 1
            yield from _lines(item, (*path, index))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*path, key.value), key.start_mark.line + 1
            yield from _lines(value, (*path, key.value))


def _unshared(value: Any) -> Any:
    """A copy in which an anchor's uses are values of their own, so one of them can be overridden alone."""
    if isinstance(value, dict):
        return {key: _unshared(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unshared(item) for item in value]
    return value
