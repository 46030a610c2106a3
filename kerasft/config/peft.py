"""The section `model.peft` of a config: a class for each method; the key `method` tells them apart."""

from typing import Annotated, Any, Literal, Union

from pydantic import Field, model_validator

from kerasft.config.peft_rows import PromptConfig, PromptPoolConfig, PTuningConfig
from kerasft.config.peft_targets import MethodConfig, TargetsConfig


class PairsConfig(TargetsConfig):
    """Keys of methods with pairs of thin matrices."""

    method: Any  # of each class its own Literal
    rank: int = Field(8, ge=1, description="Columns of A and rows of B.")
    alpha: float = Field(16.0, gt=0, description="The output of a pair is multiplied by alpha / rank; see scaling.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout rate of A's input.")
    scaling: Literal["rank", "sqrt"] = Field(
        "rank", description="rank: alpha / rank; sqrt: alpha / the root of rank (arXiv:2312.03732)."
    )
    b_rate: float = Field(
        1.0, gt=0, description="The learning rate of B is this many times that of A (LoRA+, arXiv:2402.12354: 16)."
    )


class LoraConfig(PairsConfig):
    """Low-rank pairs added to linear layers (Hu et al. 2021, arXiv:2106.09685)."""

    method: Literal["lora"] = Field(description="The method.")


class DoraConfig(PairsConfig):
    """Low-rank pairs, and the length of each column of a kernel (Liu et al. 2024, arXiv:2402.09353)."""

    method: Literal["dora"] = Field(description="The method.")


class PissaConfig(PairsConfig):
    """Pairs that begin with a kernel's largest singular values (Meng et al. 2024, arXiv:2404.02948)."""

    method: Literal["pissa"] = Field(description="The method.")


class QloraConfig(PairsConfig):
    """Pairs beside kernels that are kept in few bits (Dettmers et al. 2023, arXiv:2305.14314)."""

    method: Literal["qlora"] = Field(description="The method.")
    quantization: Literal["nf4", "int8"] = Field(
        "nf4",
        description="How the frozen linear layers of the transformer layers are kept: nf4, 4 bits a number in blocks "
        "of 64; int8, 8 bits a number with a scale for each output.",
    )
    double_quantization: bool = Field(True, description="Of nf4: the scales of its blocks are kept in 8 bits, too.")

    @property
    def packing(self) -> str:
        """How the base is kept: adapters of another one are not of the same base."""
        plain = self.quantization == "nf4" and not self.double_quantization
        return f"{self.quantization} (double_quantization: false)" if plain else self.quantization


class AdaloraConfig(TargetsConfig):
    """Pairs whose ranks a budget settles while they train (Zhang et al. 2023, arXiv:2303.10512)."""

    method: Literal["adalora"] = Field(description="The method.")
    rank: int = Field(12, ge=1, description="Values of each layer at first.")
    target_rank: int = Field(8, ge=1, description="Values a layer has at the end, on average over the layers.")
    alpha: float = Field(16.0, gt=0, description="The output of a layer's values is multiplied by alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout rate of what is read.")
    allocate_from: float = Field(0.1, ge=0, lt=1, description="Share of the steps before the budget begins to fall.")
    allocate_until: float = Field(
        0.7, gt=0, le=1, description="Share of the steps after which the values that stay are settled."
    )
    allocate_every: int = Field(1, ge=1, description="Steps from one choice of the values that stay to the next.")
    orthogonality: float = Field(
        0.1, ge=0, description="Weight of the penalty for columns and rows that are not orthogonal."
    )

    @model_validator(mode="after")
    def _falls(self) -> "AdaloraConfig":
        if self.target_rank > self.rank:
            raise ValueError(f"target_rank: {self.target_rank} is more than rank, {self.rank}; use that or less")
        if self.allocate_until <= self.allocate_from:
            raise ValueError(
                f"allocate_until: {self.allocate_until} is not after allocate_from, {self.allocate_from}; make it more"
            )
        return self


class AdapterConfig(MethodConfig):
    """Small networks behind or beside layers of the backbone, which stay in the served model."""

    method: Literal["adapter"] = Field(description="The method.")
    style: Literal["pfeiffer", "houlsby", "parallel"] = Field(
        "pfeiffer",
        description="pfeiffer: after each feed-forward part (arXiv:2005.00247); houlsby: after attention, too, and "
        "normalisation trains (arXiv:1902.00751); parallel: beside each feed-forward part (arXiv:2110.04366).",
    )
    width: int = Field(48, ge=1, description="Numbers between the two layers of an adapter.")
    activation: Literal["relu", "gelu", "silu", "tanh"] = Field("relu", description="Between the two layers.")
    scale: float = Field(1.0, gt=0, description="What an adapter's output is multiplied by; for parallel, 4 is usual.")


class PrefixConfig(MethodConfig):
    """Keys and values that every token attends to (Li & Liang 2021, arXiv:2101.00190)."""

    method: Literal["prefix"] = Field(description="The method.")
    tokens: int = Field(20, ge=1, le=1000, description="Keys, and values, before those of each self-attention.")
    reparameterize: bool = Field(
        False, description="A network makes them while they train, which steadies training; it is not saved."
    )
    hidden: int = Field(256, ge=1, description="Width of that network.")


class VeraConfig(TargetsConfig):
    """One frozen random pair for all layers, and two vectors a layer (Kopiczko et al. 2023, arXiv:2310.11454)."""

    method: Literal["vera"] = Field(description="The method.")
    rank: int = Field(256, ge=1, description="Columns of the shared A and rows of the shared B.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout rate of A's input.")
    d_start: float = Field(0.1, gt=0, description="First value of the vector between A and B.")


class Ia3Config(MethodConfig):
    """Keys, values and what the second feed-forward layer reads, rescaled (Liu et al. 2022, arXiv:2205.05638)."""

    method: Literal["ia3"] = Field(description="The method.")


class BitfitConfig(MethodConfig):
    """All biases, also those of normalisation (Ben Zaken et al. 2021, arXiv:2106.10199)."""

    method: Literal["bitfit"] = Field(description="The method.")


class LayernormConfig(MethodConfig):
    """Scale and offset of every normalisation (Zhao et al. 2023, arXiv:2312.11420)."""

    method: Literal["layernorm"] = Field(description="The method.")


class PruningConfig(TargetsConfig):
    """All weights train, and a share of those of linear layers becomes zero (arXiv:1710.01878, arXiv:2005.07683)."""

    method: Literal["pruning"] = Field(description="The method.")
    sparsity: float = Field(0.5, gt=0, lt=1, description="Share of zeros in each matrix at the end.")
    by: Literal["magnitude", "movement"] = Field(
        "magnitude",
        description="What becomes zero: magnitude, the smallest weights; movement, those that training moves to zero.",
    )
    prune_from: float = Field(0.1, ge=0, lt=1, description="Share of the steps before the first zeros.")
    prune_until: float = Field(0.7, gt=0, le=1, description="Share of the steps after which masks stay.")
    every: int = Field(10, ge=1, description="Steps from one choice of masks to the next.")

    @model_validator(mode="after")
    def _in_order(self) -> "PruningConfig":
        if self.prune_from >= self.prune_until:
            raise ValueError(f"prune_from: {self.prune_from} is not before prune_until, {self.prune_until}")
        return self


# One more method is one more class here.
PeftConfig = Annotated[
    Union[
        LoraConfig,
        BitfitConfig,
        LayernormConfig,
        Ia3Config,
        AdapterConfig,
        DoraConfig,
        AdaloraConfig,
        VeraConfig,
        PissaConfig,
        QloraConfig,
        PrefixConfig,
        PromptConfig,
        PTuningConfig,
        PruningConfig,
        PromptPoolConfig,
    ],
    Field(discriminator="method", description="The method."),
]
