"""What every part of a config is."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the config: frozen, and every unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)
