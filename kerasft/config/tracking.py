"""The section `training.tracking` of a config: programs that are told what a run does; `name` tells them apart."""

from typing import Annotated, Literal, Optional, Union

from pydantic import Field

from kerasft.config.section import Section


class MlflowConfig(Section):
    """MLflow, on a server or in files of this machine."""

    name: Literal["mlflow"] = Field(description="The program.")
    uri: Optional[str] = Field(
        None, min_length=1, description="A server, sqlite:///FILE or a folder; null: what MLFLOW_TRACKING_URI says."
    )
    experiment: str = Field("kerasft", min_length=1, description="The experiment that the run joins.")


class WandbConfig(Section):
    """Weights & Biases."""

    name: Literal["wandb"] = Field(description="The program.")
    project: str = Field("kerasft", min_length=1, description="The project that the run joins.")
    mode: Literal["offline", "online"] = Field(
        "offline",
        description="offline: to files in the run's folder, for `wandb sync`; online: to the server.",
    )


# One more program is one more class here.
Tracker = Annotated[Union[MlflowConfig, WandbConfig], Field(discriminator="name", description="The program.")]
