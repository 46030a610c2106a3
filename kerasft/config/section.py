"""What every part of a config is, and kinds of value that several have."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict

from kerasft.paths import expand_home

# A folder on this machine or behind a URL; `~` is the home folder.
Folder = Annotated[str, AfterValidator(expand_home)]


class Section(BaseModel):
    """A part of the config: frozen, and every unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)

    @classmethod
    def defaults(cls) -> Self:
        """The section as it is where a config does not name it."""
        return cls.model_validate({})
