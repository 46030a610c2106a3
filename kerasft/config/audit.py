"""The section `audit`: how `kerasft audit-labels` finds labels that may be wrong."""

from pydantic import Field

from kerasft.config.section import Section


class AuditConfig(Section):
    """How labels are audited; a training does not read it."""

    folds: int = Field(
        5, ge=2, le=100, description="Models, each of which judges the part of the rows that it did not learn from."
    )
    frozen: bool = Field(
        False,
        description="For text_classification with one label: fit only a head to the vectors of the unchanged preset, "
        "which takes minutes instead of one training for each fold. It is so in any case where the recipe trains "
        "only a fitted head (model.trainable: head with training.fit_head: true).",
    )
    neighbours: int = Field(
        50,
        ge=0,
        le=1000,
        description="Nearest rows, by the vectors of the unchanged preset, whose labels are compared with a row's own; "
        "for text_classification with labels. 0: none.",
    )
