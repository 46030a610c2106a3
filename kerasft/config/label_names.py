"""Names of labels in a config, as data may hold them."""

from typing import Annotated

from pydantic import AfterValidator


def _name(name: str) -> str:
    """A name that data may hold: there it has no white space at its edges."""
    if name != name.strip():
        raise ValueError(f"{name!r} has white space at its edge, which names in data lose; write {name.strip()!r}")
    if not name:
        raise ValueError("'' is no name; give one, or remove it")
    return name


def _different(names: list[str]) -> list[str]:
    """Names of which none stands twice."""
    first_index: dict[str, int] = {}
    for index, name in enumerate(map(_name, names)):
        same = name.lower() if name.lower() in ("true", "false") else name  # which programs write in capitals or not
        if same in first_index:
            raise ValueError(
                f"{name[:60]!r} is there twice, as item {first_index[same] + 1} and {index + 1}; remove one"
            )
        first_index[same] = index
    return names


Name = Annotated[str, AfterValidator(_name)]
Names = Annotated[list[str], AfterValidator(_different)]
