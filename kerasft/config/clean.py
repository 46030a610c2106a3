"""The section `data.clean`: what is done with rows of train that teach nothing, or the wrong thing."""

from typing import Literal

from pydantic import Field

from kerasft.config.section import Section

Action = Literal["keep", "drop", "fail"]


class CleanConfig(Section):
    """Rows of train that are counted and reported (keep), removed and listed in cleaning.json (drop), or refused."""

    empty: Action = Field("keep", description="Rows with a text that is only white space.")
    leakage: Literal["keep", "drop_from_train", "fail"] = Field(
        "keep", description="Rows of train whose texts are also in validation or test, with the same answer or another."
    )
    conflicts: Literal["keep", "drop", "majority", "fail"] = Field(
        "keep",
        description="Rows with the same texts and different answers; symbols such as emoji count here. majority: "
        "rows with the most frequent answer stay; if there is no single most frequent answer, all go.",
    )
    duplicates: Action = Field("keep", description="All rows but one of those with the same texts and the same answer.")
