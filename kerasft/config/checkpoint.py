"""The section `training.checkpoint` of a config."""

from typing import Optional

from pydantic import Field

from kerasft.config.section import Folder, Section


class CheckpointConfig(Section):
    """When the whole training state is written."""

    every_steps: Optional[int] = Field(
        None,
        ge=1,
        description="null: after each evaluation, and on Ctrl-C, SIGTERM and SIGHUP; a number adds more checkpoints.",
    )
    every_minutes: Optional[float] = Field(
        None, gt=0, description="The longest time without a checkpoint; null: no such limit."
    )
    keep: int = Field(2, ge=1, description="How many of the newest checkpoints stay on disk.")
    dir: Optional[Folder] = Field(
        None,
        min_length=1,
        description="A folder, such as gs://BUCKET/FOLDER, that survives the machine: checkpoints go to DIR/NAME; "
        "null: to the run's folder.",
    )
