"""`kerasft config`: shows a config with every default, or what a config may hold."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from kerasft.config.load import config_json_schema, dump_config, load_config
from kerasft.config.schema import Config
from kerasft.config.sections import discriminator, sections
from kerasft.config.spelling import suggest_key
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, run_program
from kerasft.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """`kerasft config CONFIG [key=value ...]`, `--schema` or `--keys`; returns the exit code."""
    parser = Parser("config", "Prints the resolved config with every default.", "my.yaml", suggest_key)
    parser.add_argument("config", nargs="?", help="a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for example training.epochs=1")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of a config file instead")
    parser.add_argument("--keys", action="store_true", help="print every key as Markdown tables instead")
    args = parser.parse_intermixed_args(argv)
    return run_program(lambda: show(args.config, args.overrides, args.schema, args.keys))


def show(config: str | None, overrides: Sequence[str], schema: bool, keys: bool) -> int:
    """Prints one of the three; the exit code.

    Raises:
        UserError: none of them is asked for, or more than one, or the config is not valid.
    """
    if [config is not None, schema, keys].count(True) != 1:
        raise UserError("kerasft config: give a CONFIG, --schema or --keys, one of them")
    terminal = Terminal()
    if schema:
        terminal.result(json.dumps(config_json_schema(), indent=2, ensure_ascii=False))
    elif keys:
        terminal.result(key_tables())
    else:
        terminal.result(dump_config(load_config(str(config), overrides)).rstrip("\n"))
    return 0


def key_tables() -> str:
    """Every key of a config with type, default and meaning, as Markdown: a table for each section."""
    parts = []
    for path, model in (all_sections := sections(Config)):
        title = f"## `{path}`" if path else "## Top level"
        if sum(other == path for other, _ in all_sections) > 1:
            key = discriminator(model)
            title += f" with `{key}: {get_args(model.model_fields[key].annotation)[0]}`"
        parts.append("\n".join([title, "", inspect.cleandoc(model.__doc__ or ""), "", *_rows(model)]))
    return "\n\n".join(parts)


def _rows(model: type[BaseModel]) -> Iterator[str]:
    schema = model.model_json_schema()
    yield "| key | type | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for key, node in schema["properties"].items():
        default = model.model_fields[key].get_default()
        if default is PydanticUndefined:
            text = "required"
        elif isinstance(default, BaseModel):
            text = "its own"
        else:
            text = f"`{json.dumps(default)}`"
        section = next((schema["$defs"][name] for name in _references(node)), {})
        meaning = node.get("description") or section.get("description", "")
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in (f"`{key}`", _form(node), text, meaning)) + " |"


def _form(node: dict[str, Any]) -> str:
    """A JSON Schema node in words."""
    if "anyOf" in node:
        return " or ".join(_form(inner) for inner in node["anyOf"])
    if "$ref" in node or "oneOf" in node:
        return "section"
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if "const" in node:
        return f"`{node['const']}`"
    if node["type"] == "array":
        return f"list of {_form(node['items'])}s"
    if node["type"] == "object":
        values = node["additionalProperties"]
        return "mapping" if values is True else f"text: {_form(values)} mapping"
    kind = str(node["type"])
    words = {"string": "text", "integer": "whole number", "boolean": "`true`, `false`", "null": "`null`"}
    limits = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    signs = [f"{sign} {node[name]:.12g}" for name, sign in limits.items() if name in node]
    return " ".join([words.get(kind, kind), ", ".join(signs)]).strip()


def _references(node: dict[str, Any]) -> Iterator[str]:
    if "$ref" in node:
        yield node["$ref"].rsplit("/", 1)[-1]
    for inner in node.get("anyOf", ()):
        yield from _references(inner)
