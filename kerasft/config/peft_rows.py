"""Keys of methods that put rows of the vocabulary before every text."""

from typing import Any, Literal, Optional

from pydantic import Field, model_validator

from kerasft.config.section import Folder, Section

PROMPT_IDS = "prompt_ids"  # in a task's state: the ids of a soft prompt, which stand before every text


class RowsConfig(Section):
    """Keys of methods that put rows of the vocabulary before every text."""

    method: Any  # of each class its own Literal
    tokens: int = Field(20, ge=1, le=1000, description="Rows; they count in model.max_length.")
    start: Optional[Folder] = Field(
        None, min_length=1, description="A folder with an adapter to start from, of this preset; null: a new one."
    )

    @property
    def rows(self) -> int:
        """How many stand before every text."""
        return self.tokens


class PromptConfig(RowsConfig):
    """Rows of the vocabulary before every text (Lester et al. 2021, arXiv:2104.08691)."""

    method: Literal["prompt"] = Field(description="The method.")


class PTuningConfig(RowsConfig):
    """The same, made by a network while they train (Liu et al. 2021, arXiv:2103.10385)."""

    method: Literal["p_tuning"] = Field(description="The method.")
    hidden: int = Field(128, ge=1, description="Width of that network.")


class PromptPoolConfig(RowsConfig):
    """Prompts of which each text gets those with the nearest keys (L2P, Wang et al. 2022, arXiv:2112.08654)."""

    method: Literal["prompt_pool"] = Field(
        description="The method. Keys learn with continual.method prompt_pool, and stay as they were drawn without it."
    )
    tokens: int = Field(5, ge=1, le=1000, description="Rows of each prompt; chosen * tokens count in model.max_length.")
    pool: int = Field(10, ge=1, description="Prompts.")
    chosen: int = Field(4, ge=1, description="Prompts before each text, at most pool.")

    @property
    def rows(self) -> int:
        return self.chosen * self.tokens

    @model_validator(mode="after")
    def _enough(self) -> "PromptPoolConfig":
        if self.chosen > self.pool:
            raise ValueError(f"chosen: {self.chosen} of {self.pool} prompts; use pool or less")
        return self
