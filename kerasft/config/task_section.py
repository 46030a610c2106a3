"""What every section `task` has: what the other sections of a config may ask of it."""

from typing import ClassVar

from kerasft.config.section import Section


class TaskSection(Section):
    """The section of one task. A task's own keys are fields; what other sections must know of it is below."""

    # Whether a batch may be a number of tokens: `training.tokens_per_batch`.
    batches_of_tokens: ClassVar[bool] = False
    # Keys of this section whose number is at most half of `model.max_length`; defaults follow a preset's positions.
    half_at_most: ClassVar[tuple[str, ...]] = ()

    # Whether answers are texts that a model writes, which `serving.filters` may look at.
    writes: ClassVar[bool] = False

    @property
    def ragged(self) -> bool:
        """Whether rows of the model differ in length, so that a number of tokens is not a number of rows."""
        return False

    @property
    def grows(self) -> bool:
        """Whether its rows have one label each, a class that the model has a logit for, and classes may be added."""
        return False

    @property
    def grows_types(self) -> bool:
        """Whether its rows have spans whose types the model has logits for, and types may be added."""
        return False

    @property
    def calibrates(self) -> bool:
        """Whether `evaluation.calibrate` has logits to divide: those of one label a text."""
        return False

    @property
    def fits_head(self) -> bool:
        """Whether `training.fit_head` has a head to fit: that of one label a text."""
        return False
