"""The section `continual` of a config: a class for each method; the key `method` tells them apart."""

from typing import Annotated, Any, Literal, Optional, Union

from pydantic import Field, model_validator

from kerasft.config.data import Sources
from kerasft.config.section import Section


class _MethodConfig(Section):
    """Keys of every method."""

    method: Any  # of each class its own Literal
    stages: Union[None, int, list[Sources]] = Field(
        None,
        description="A number of stages, over which the classes of data.train are spread; or the sources of the "
        "stages that follow data.train, a source or a list of them each; null: continual.classes says how many, and "
        "without it all rows are one stage, which kerasft continue goes on from.",
    )
    classes: Optional[int] = Field(
        None, ge=1, description="Classes that are new in each stage; null: continual.stages says how many."
    )
    order: int = Field(
        0, ge=0, lt=2**31, description="Seed of the order in which classes come, where a number of them makes a stage."
    )
    baselines: bool = Field(
        False,
        description="Also train the two baselines: joint (all rows at once) and sequential (stage after stage, with "
        "nothing that keeps what was learnt).",
    )

    @model_validator(mode="after")
    def _readable_stages(self) -> "_MethodConfig":
        if isinstance(self.stages, int) and self.stages < 2:
            raise ValueError(f"stages: {self.stages} is no sequence; use 2 or more, or leave continual out")
        if isinstance(self.stages, list) and not self.stages:
            raise ValueError("stages: [] names no source; name one for each stage after data.train, or set null")
        if isinstance(self.stages, list) and self.classes is not None:
            raise ValueError("stages and classes: sources say themselves which classes they have; set classes: null")
        return self


class AnalyticConfig(_MethodConfig):
    """Random ReLU features of a frozen encoder, and one ridge regression by sums (RanPAC, arXiv:2307.02251)."""

    method: Literal["analytic"] = Field(description="The method.")
    features: int = Field(3000, ge=1, description="Random features; the sums are a square matrix of this side.")
    ridge: float = Field(
        1e-3, gt=0, description="Weight of the squared norm of the solution, in units of the features' mean square."
    )


class PrototypesConfig(_MethodConfig):
    """The nearest class mean of a frozen encoder's vectors (iCaRL's rule, arXiv:1611.07725, of all rows)."""

    method: Literal["prototypes"] = Field(description="The method.")


class _BufferConfig(_MethodConfig):
    """Keys of methods that keep rows."""

    rows_per_class: int = Field(5, ge=1, description="Rows of each class that the next stages learn from, too.")
    buffer: Literal["auto", "balanced", "reservoir", "herding"] = Field(
        "auto",
        description="Which rows are kept. balanced: as many of each class or type of entity, drawn by the seed; "
        "reservoir: each row seen with the same probability (Vitter 1985); herding: as many of each class, those whose "
        "mean is nearest to the class's (iCaRL, arXiv:1611.07725); auto: balanced where rows have classes or types, "
        "otherwise reservoir.",
    )
    rows: int = Field(500, ge=1, description="Rows that a reservoir keeps of all stages together.")


class ReplayConfig(_BufferConfig):
    """Kept rows of earlier stages among the new ones (experience replay, arXiv:1902.10486)."""

    method: Literal["replay"] = Field(description="The method.")
    share: float = Field(
        0.5, gt=0, lt=1, description="Share of the rows of an epoch that are kept ones, repeated as often as it takes."
    )


class DarkExperienceConfig(_BufferConfig):
    """Kept rows with the logits that the model had for them then (DER++, arXiv:2004.07211)."""

    method: Literal["der++"] = Field(description="The method.")
    alpha: float = Field(0.5, ge=0, description="Weight of the distance from the stored logits.")
    beta: float = Field(0.5, ge=0, description="Weight of the task's loss of kept rows.")


class LwfConfig(_MethodConfig):
    """The old classes' logits on new rows shall stay (learning without forgetting, arXiv:1606.09282)."""

    method: Literal["lwf"] = Field(description="The method.")
    strength: float = Field(1.0, ge=0, description="Weight of the distillation.")
    temperature: float = Field(2.0, gt=0, description="Logits are divided by it; its square multiplies the term.")


class EwcConfig(_MethodConfig):
    """Weights that mattered stay near their values (elastic weight consolidation, arXiv:1612.00796), online form."""

    method: Literal["ewc"] = Field(description="The method.")
    strength: float = Field(1000.0, ge=0, description="Lambda, the weight of the penalty.")
    decay: float = Field(
        1.0, ge=0, le=1, description="What the Fisher information of earlier stages is multiplied by at each stage."
    )
    fisher_rows: int = Field(500, ge=1, description="Training rows that a stage's Fisher information is the mean of.")
    fisher: Literal["model", "labels"] = Field(
        "model", description="Labels of these rows: drawn from the model's answers (the Fisher), or the rows' own."
    )


class L2SpConfig(_MethodConfig):
    """All weights stay near those that the stage starts from (L2-SP, arXiv:1802.01483)."""

    method: Literal["l2sp"] = Field(description="The method.")
    strength: float = Field(0.01, ge=0, description="Weight of the squared distance from the start.")


class OLoraConfig(_MethodConfig):
    """A LoRA adapter a stage, orthogonal to those before (O-LoRA, arXiv:2310.14152); with model.peft.method lora."""

    method: Literal["o_lora"] = Field(description="The method.")
    strength: float = Field(0.5, ge=0, description="Weight of the products of an adapter's A with the earlier ones.")


class PromptPoolConfig(_MethodConfig):
    """A pool of prompts on a frozen base, of which each text gets the nearest (L2P, arXiv:2112.08654)."""

    method: Literal["prompt_pool"] = Field(description="The method.")
    pool: int = Field(10, ge=1, description="Prompts, for all stages together.")
    tokens: int = Field(5, ge=1, le=1000, description="Rows of each prompt; chosen * tokens count in model.max_length.")
    chosen: int = Field(4, ge=1, description="Prompts before each text, at most pool.")
    strength: float = Field(0.5, ge=0, description="Weight of the distance of a text from the keys it chose.")

    @model_validator(mode="after")
    def _enough(self) -> "PromptPoolConfig":
        if self.chosen > self.pool:
            raise ValueError(f"chosen: {self.chosen} of {self.pool} prompts; use pool or less")
        return self


class AdaptersConfig(_MethodConfig):
    """Each task has an adapter and a head of its own on one frozen base (arXiv:1902.00751); with model.peft."""

    method: Literal["adapters"] = Field(description="The method.")


class NoneConfig(_MethodConfig):
    """Nothing keeps what was learnt: the sequential baseline."""

    method: Literal["none"] = Field(description="The method.")


class JointConfig(_MethodConfig):
    """Each stage trains anew on the rows of all stages so far: the baseline that forgets nothing, and costs most."""

    method: Literal["joint"] = Field(description="The method.")


# One more method is one more class here.
ContinualConfig = Annotated[
    Union[
        AnalyticConfig,
        PrototypesConfig,
        ReplayConfig,
        DarkExperienceConfig,
        LwfConfig,
        EwcConfig,
        L2SpConfig,
        OLoraConfig,
        PromptPoolConfig,
        AdaptersConfig,
        NoneConfig,
        JointConfig,
    ],
    Field(discriminator="method", description="The method."),
]
