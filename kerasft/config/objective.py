"""The section `training.objective` of a config: a class for each objective; the key `name` tells them apart."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Union

from pydantic import Field

from kerasft.config.section import Section


class FocalConfig(Section):
    """What the model already knows counts less (Lin et al. 2017, arXiv:1708.02002)."""

    name: Literal["focal"] = Field(description="The objective.")
    gamma: float = Field(
        2.0, ge=0, description="A loss is multiplied by (1 - probability of the truth) ** gamma; 0: the task's loss."
    )


class RDropConfig(Section):
    """Two passes with different dropout shall agree (Liang et al. 2021, arXiv:2106.14448)."""

    name: Literal["rdrop"] = Field(description="The objective.")
    alpha: float = Field(1.0, ge=0, description="Weight of how far the two passes differ; 0: the task's loss.")


class _AdversarialConfig(Section):
    """Keys of objectives that search for perturbations of the token embeddings."""

    name: Any  # of each class its own Literal
    epsilon: float = Field(
        1.0, ge=0, description="The largest L2 norm of the perturbation of a whole text; 0: the task's loss."
    )


class FgmConfig(_AdversarialConfig):
    """The loss also where the embeddings are moved along their gradient (Miyato et al. 2016, arXiv:1605.07725)."""

    name: Literal["fgm"] = Field(description="The objective.")
    alpha: float = Field(1.0, ge=0, description="Weight of the perturbed text's loss; 0: the task's loss.")


class PgdConfig(_AdversarialConfig):
    """As fgm, with several smaller steps to the perturbation (Madry et al. 2017, arXiv:1706.06083)."""

    name: Literal["pgd"] = Field(description="The objective.")
    alpha: float = Field(1.0, ge=0, description="Weight of the perturbed text's loss; 0: the task's loss.")
    steps: int = Field(3, ge=1, description="How many steps lead to the perturbation.")
    step_size: float = Field(0.3, gt=0, description="L2 norm of a step.")


class FreeLBConfig(_AdversarialConfig):
    """Weights learn at each step to the perturbation (FreeLB, Zhu et al. 2019, arXiv:1909.11764)."""

    name: Literal["freelb"] = Field(description="The objective.")
    steps: int = Field(2, ge=1, description="How many passes; the loss is their mean.")
    step_size: float = Field(0.1, gt=0, description="L2 norm of a step.")
    start: float = Field(
        0.05, ge=0, description="The first perturbation is drawn; its L2 norm is at most this. 0: none at first."
    )


class SmartConfig(Section):
    """The output shall not change where the embeddings do (Jiang et al. 2019, arXiv:1911.03437)."""

    name: Literal["smart"] = Field(description="The objective.")
    weight: float = Field(1.0, ge=0, description="Weight of how far the two outputs differ; 0: the task's loss.")
    steps: int = Field(1, ge=1, description="How many steps lead to the perturbation.")
    step_size: float = Field(1e-3, gt=0, description="The largest change of a number in one step.")
    epsilon: float = Field(1e-5, gt=0, description="The largest perturbation of a number.")
    start: float = Field(1e-5, gt=0, description="Standard deviation of the first perturbation, which is drawn.")


class NeftuneConfig(Section):
    """Noise on the token embeddings of what a decoder learns from (Jain et al. 2023, arXiv:2310.05914)."""

    name: Literal["neftune"] = Field(description="The objective.")
    alpha: float = Field(
        5.0, ge=0, description="Noise is uniform up to alpha / root of (tokens of the row * width); 0: the task's loss."
    )


# One more objective is one more class here.
ObjectiveConfig = Annotated[
    Union[FocalConfig, RDropConfig, FgmConfig, PgdConfig, FreeLBConfig, SmartConfig, NeftuneConfig],
    Field(discriminator="name", description="What is minimised."),
]

_ADVERSARIAL = ("fgm", "pgd", "freelb")
_ALL = ("focal", "rdrop", "smart", *_ADVERSARIAL)

# Task -> its section -> the objectives that it takes. A task that is not here takes none.
TAKEN: dict[str, Callable[[Any], tuple[str, ...]]] = {
    "text_classification": lambda task: _ALL[1:] if task.problem == "regression" else _ALL,
    "relation_extraction": lambda task: _ALL,
    # The probabilities of a chain are those of whole paths, which are not compared here.
    "token_classification": lambda task: _ADVERSARIAL if task.crf else _ALL,
    "question_answering": lambda task: _ALL[1:],
    "text_generation": lambda task: ("neftune",),
}
# Objective -> keys of a config that it can't go with: the value that is refused, and why with the fix.
REFUSED: dict[str, dict[str, tuple[Any, str]]] = {
    "focal": {
        "training.label_smoothing": (
            None,  # any but the default
            "focal reads the probability of one truth, and label_smoothing spreads it; keep one of the two",
        )
    },
    "rdrop": {
        "model.dropout": (0.0, "rdrop compares two draws of dropout, and without any they are the same; set it above 0")
    },
    "smart": {
        "training.precision": (
            "mixed_bfloat16",
            "smart's perturbations are too small for bfloat16; set float32, or take rdrop",
        )
    },
}
