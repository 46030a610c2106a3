"""The section `training.objective` of a config: a class for each objective; the key `name` tells them apart."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Union

from pydantic import Field

from kerasft.config.distillation import DistillationConfig
from kerasft.config.section import Section

EPSILON = "The largest L2 norm of the perturbation of a whole text (a token of MiniLM has about 1); 0: the task's loss."


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


class FgmConfig(Section):
    """The loss also where the embeddings are moved along their gradient (Miyato et al. 2016, arXiv:1605.07725)."""

    name: Literal["fgm"] = Field(description="The objective.")
    epsilon: float = Field(0.1, ge=0, description=EPSILON)
    alpha: float = Field(1.0, ge=0, description="Weight of the perturbed text's loss; 0: the task's loss.")


class PgdConfig(Section):
    """As fgm, with several smaller steps to the perturbation (Madry et al. 2017, arXiv:1706.06083)."""

    name: Literal["pgd"] = Field(description="The objective.")
    epsilon: float = Field(0.3, ge=0, description=EPSILON)
    alpha: float = Field(1.0, ge=0, description="Weight of the perturbed text's loss; 0: the task's loss.")
    steps: int = Field(3, ge=1, description="How many steps lead to the perturbation.")
    step_size: float = Field(0.1, gt=0, description="L2 norm of a step.")


class FreeLBConfig(Section):
    """Weights learn at each step to the perturbation (FreeLB, Zhu et al. 2019, arXiv:1909.11764)."""

    name: Literal["freelb"] = Field(description="The objective.")
    epsilon: float = Field(1.0, ge=0, description=EPSILON)
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


class SupervisedContrastiveConfig(Section):
    """Texts of one label shall be near each other (Gunel et al. 2020, arXiv:2011.01403)."""

    name: Literal["supervised_contrastive"] = Field(description="The objective.")
    weight: float = Field(
        0.5, ge=0, lt=1, description="Share of the contrastive loss; the task's loss has the rest. 0: the task's loss."
    )
    temperature: float = Field(0.3, gt=0, description="Cosines of two texts are divided by it.")


class MixoutConfig(Section):
    """Units of layers go back to their first weights at random (Lee et al. 2020, arXiv:1909.11299)."""

    name: Literal["mixout"] = Field(description="The objective.")
    share: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="Share of what a linear layer reads that meets the first weights; 0: the task's loss.",
    )


class ContrastiveConfig(Section):
    """Steps that draw the vectors of a label's texts together and others apart, before a head is fitted to them."""

    temperature: float = Field(0.1, gt=0, description="Cosines of two texts are divided by it.")
    texts_per_label: int = Field(
        4, ge=2, description="How many texts of a label stand together in a batch, which is made of such groups."
    )


# One more objective is one more class here.
ObjectiveConfig = Annotated[
    Union[
        FocalConfig,
        RDropConfig,
        FgmConfig,
        PgdConfig,
        FreeLBConfig,
        SmartConfig,
        NeftuneConfig,
        SupervisedContrastiveConfig,
        MixoutConfig,
        DistillationConfig,
    ],
    Field(discriminator="name", description="What is minimised."),
]

_ADVERSARIAL = ("fgm", "pgd", "freelb")
_ALL = ("focal", "rdrop", "smart", "mixout", *_ADVERSARIAL, "distillation")
_OF_A_TEXT = {
    "single_label": (*_ALL, "supervised_contrastive"),
    "multi_label": _ALL,
    "regression": ("rdrop", "smart", "mixout", *_ADVERSARIAL, "distillation"),
}

# Task -> its section -> the objectives that it takes. A task that is not here takes none.
TAKEN: dict[str, Callable[[Any], tuple[str, ...]]] = {
    "text_classification": lambda task: _OF_A_TEXT[task.problem],
    "relation_extraction": lambda task: (*_ALL, "supervised_contrastive"),
    # The probabilities of a chain are those of whole paths, which are not compared here.
    "token_classification": lambda task: ("mixout", *_ADVERSARIAL) if task.crf else _ALL,
    "question_answering": lambda task: ("rdrop", "smart", "mixout", *_ADVERSARIAL, "distillation"),
    "text_embedding": lambda task: ("mixout", "distillation"),
    "text_generation": lambda task: ("rdrop", "neftune", "mixout", "distillation"),
    "seq2seq": lambda task: ("rdrop", "mixout", "distillation"),
}

# Objectives that compare the rows of a batch, which parts of it would not see.
COMPARE_ROWS = ("supervised_contrastive",)
_PARTS = "it compares all rows of a batch, which parts of it would not see; set it to 1"

# Objective -> keys of a config that it can't go with: whether a value is refused, and why with the fix.
REFUSED: dict[str, dict[str, tuple[Callable[[Any], bool], str]]] = {
    "focal": {
        "training.label_smoothing": (
            lambda share: share > 0,
            "it reads the probability of one truth, and label_smoothing spreads it; keep one of the two",
        )
    },
    "rdrop": {
        "model.dropout": (
            lambda rate: rate == 0,
            "it compares two draws of dropout, and without any they are the same; set it above 0",
        )
    },
    "smart": {
        "training.precision": (
            lambda precision: precision != "float32",
            "its perturbations are too small for bfloat16; set float32, or take rdrop",
        )
    },
    "mixout": {
        "model.peft": (
            lambda peft: peft is not None,
            "it draws the backbone's weights back to where they began, and with peft they stay there; set one to null",
        ),
        "model.trainable": (
            lambda which: which == "head",
            "it is about the weights of the backbone, which do not train; set it to all",
        ),
    },
    "supervised_contrastive": {
        "training.gradient_accumulation": (lambda parts: parts > 1, _PARTS),
        "training.parallel_microbatches": (lambda parts: (parts or 1) > 1, _PARTS),
    },
}
