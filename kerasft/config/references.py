"""`${training.epochs}` in a config: a value that stands under another key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from kerasft.errors import UserError

KeyPath = tuple[Any, ...]

# An odd number of backslashes before ${ makes it plain text.
_OPENING = re.compile(r"(\\*)\$\{")
_PLAIN = re.compile(r"[\w.\-\[\]]+\}")


def resolve_references(values: dict[str, Any], where: Callable[[KeyPath], str]) -> dict[str, Any]:
    """The same values with every `${a.b}` replaced by what stands there.

    Resolvers such as `${oc.env:HOME}` are refused: a config must mean the same on every machine.

    Args:
        where: path of a key -> the file and line it stands in, for errors.

    Raises:
        UserError: a reference is not plain, leads nowhere or leads back to itself.
    """
    texts = [(path, text) for path, text in _texts(values, ()) if "${" in text]
    if not texts:
        return values
    for path, text in texts:
        for opening in _OPENING.finditer(text):
            if len(opening[1]) % 2 == 0 and not _PLAIN.match(text, opening.end()):
                raise UserError(
                    f"{where(path)}: {_dotted(path)}: {text!r} is not a plain reference; "
                    "write ${section.key}, or \\${ for the characters themselves"
                )
    from omegaconf import OmegaConf  # 0.1 s that most configs need not pay
    from omegaconf.errors import OmegaConfBaseException

    try:
        node = OmegaConf.create(values)
    except OmegaConfBaseException as error:
        path, text = texts[0]
        raise UserError(f"{where(path)}: {_dotted(path)}: {text!r}: {_first_line(error)}") from error
    for path, text in texts:
        _put(values, path, _resolved(node, path, text, where))
    return values


def escape_references(values: Any) -> Any:
    """Plain values -> the same values written so that `resolve_references` leaves `${` in texts alone."""
    if isinstance(values, dict):
        return {key: escape_references(value) for key, value in values.items()}
    if isinstance(values, list):
        return [escape_references(value) for value in values]
    if isinstance(values, str):
        return _OPENING.sub(lambda match: match[1] * 2 + r"\${", values)
    return values


def _resolved(node: Any, path: KeyPath, text: str, where: Callable[[KeyPath], str]) -> Any:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        for part in path:
            node = node[part]
        return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    except (OmegaConfBaseException, RecursionError) as error:
        fix = "write ${section.key} of a key in this file"
        raise UserError(f"{where(path)}: {_dotted(path)}: {text!r}: {_first_line(error)}; {fix}") from error


def _put(values: Any, path: KeyPath, value: Any) -> None:
    for part in path[:-1]:
        values = values[part]
    values[path[-1]] = value


def _texts(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
    elif isinstance(value, str):
        yield path, value


def _dotted(path: KeyPath) -> str:
    return ".".join(str(part) for part in path)


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0]
