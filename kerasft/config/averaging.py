"""The section `training.averaging` of a config: a class for each kind; the key `name` tells them apart."""

import math
from typing import Annotated, Literal, Union

from pydantic import Field

from kerasft.config.section import Folder, Section


class SwaConfig(Section):
    """The mean of the weights of the last steps (Izmailov et al. 2018, arXiv:1803.05407)."""

    name: Literal["swa"] = Field(description="The kind.")
    share: float = Field(
        0.25, gt=0, le=1, description="The last share of all steps, whose weights are averaged; before it, none are."
    )

    def first_step(self, steps: int) -> int:
        """The number, from 0, of the first step whose weights are in the mean."""
        return min(math.floor((1.0 - self.share) * steps), steps - 1)


class SoupConfig(Section):
    """The mean with runs that began alike (Wortsman et al. 2022, arXiv:2203.05482)."""

    name: Literal["soup"] = Field(description="The kind.")
    runs: list[Folder] = Field(
        min_length=1,
        description="Folders of finished runs with the same model, task, seed and data; the best first, one is added "
        "if validation does not get worse.",
    )


# One more kind is one more class here.
AveragingConfig = Annotated[Union[SwaConfig, SoupConfig], Field(discriminator="name", description="The kind.")]
