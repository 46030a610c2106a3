"""The sections of a config, as its classes declare them: which there are, which keys and which values they have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from kerasft.config.schema import Config

KeyPath = tuple[Any, ...]
Sections = list[tuple[str, type[BaseModel]]]


def sections(model: type[BaseModel]) -> Sections:
    """The dotted path and class of a config class and of every section below it, in the schema's order.

    One that several tasks have, such as task.decoding, is there once.
    """
    return list(dict.fromkeys(_sections(model, "")))


def _sections(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    yield path, model
    for key, field in model.model_fields.items():
        for inner in section_classes(field.annotation):
            yield from _sections(inner, f"{path}.{key}".lstrip("."))


def chosen_sections(model: type[BaseModel], values: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """`sections` without the forms of a section that its key `name` or `method` rules out."""
    all_sections = sections(model)
    for path, section in all_sections:
        at = values
        for part in path.split(".") if path else ():
            at = at.get(part) if isinstance(at, dict) else None
        several = sum(other == path for other, _ in all_sections) > 1
        key = discriminator(section)
        name = at.get(key) if isinstance(at, dict) else None
        if not several or name in get_args(section.model_fields[key].annotation):
            yield path, section


def discriminator(section: type[BaseModel]) -> str:
    """The key that tells the forms of a section apart."""
    return "method" if "method" in section.model_fields else "name"


def section_classes(annotation: Any) -> Iterator[type[BaseModel]]:
    """The classes of sections that a key's type allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    else:
        for inner in get_args(annotation):
            yield from section_classes(inner)


def describe(path: KeyPath, all_sections: Sections) -> str:
    """What a key says of itself; a section, in its docstring. Empty where there is no such key."""
    section = ".".join(str(part) for part in path[:-1])
    for at, inner in all_sections:
        if path and at == section and path[-1] in inner.model_fields:
            field = inner.model_fields[path[-1]]
            return field.description or next((m.__doc__ or "" for m in section_classes(field.annotation)), "")
    return ""


def literals(key: str) -> list[str]:
    """Dotted key -> the names that it can have, of every task; empty where it is not one of a few names."""
    section, _, name = key.rpartition(".")
    fields = [inner.model_fields.get(name) for at, inner in sections(Config) if at == section]
    return list(dict.fromkeys(value for field in fields if field for value in _literals(field.annotation)))


def _literals(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for inner in get_args(annotation):
            yield from _literals(inner)
