"""What `kerasft compress RUN key=value ...` takes: a section for each method, and keys of the config behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Optional, Union

from pydantic import Field, ValidationError, model_validator

from kerasft.config.data import Sources
from kerasft.config.mistakes import COMMAND_LINE, explain
from kerasft.config.section import Folder, Section
from kerasft.config.yaml_text import read_yaml
from kerasft.errors import UserError, UserErrors


class CompressConfig(Section):
    """Keys of every method."""

    method: Any  # of each class its own Literal
    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=200, description="Names the new run and what is exported."
    )


class VocabularyConfig(CompressConfig):
    """Keep only the tokens that a corpus uses; texts of kept tokens have the same logits as before."""

    method: Literal["vocabulary"] = Field(description="How the run becomes smaller.")
    corpus: Union[None, str, list[str]] = Field(
        None,
        description="Further texts whose tokens are kept, beside those of data.train: a source or a list of them, "
        "with the columns of data.columns or plain text.",
    )


class FeedForwardConfig(CompressConfig):
    """Remove hidden units of the feed-forward layers, and fit what stays to the old outputs by least squares."""

    method: Literal["feedforward"] = Field(description="How the run becomes smaller.")
    keep: float = Field(0.5, gt=0, lt=1, description="The share of hidden units that stays; rounded to 16 units.")
    rows: int = Field(512, ge=8, description="Training rows that the outputs are fitted on.")


class HeadsConfig(CompressConfig):
    """Remove attention heads, and fit what stays to the old outputs by least squares."""

    method: Literal["heads"] = Field(description="How the run becomes smaller.")
    keep: float = Field(0.5, gt=0, lt=1, description="The share of heads that stays in each layer, at least one.")
    rows: int = Field(512, ge=8, description="Training rows that the outputs are fitted on.")


class DropLayersConfig(CompressConfig):
    """Remove the transformer layers that change the logits least, one after the other."""

    method: Literal["drop_layers"] = Field(description="How the run becomes smaller.")
    layers: int = Field(ge=1, description="How many layers stay.")
    rows: int = Field(256, ge=8, description="Training rows that the logits are compared on.")


class QuantizeConfig(CompressConfig):
    """Store weights in fewer bits; they are widened to float32 when the model is loaded."""

    method: Literal["quantize"] = Field(description="How the run becomes smaller.")
    storage: Literal["float16", "int8", "int4"] = Field(
        "float16",
        description="float16: half the bytes; int8: about a quarter, a scale for each 32 numbers; int4: matrices of "
        "transformer layers in about a seventh, tables of tokens in int8.",
    )
    rounding: Literal["gptq", "awq", "nearest"] = Field(
        "gptq",
        description="Of int4: gptq moves weights to make up for those that were rounded, awq makes important ones "
        "larger first (Llama types), nearest rounds.",
    )
    rows: int = Field(128, ge=8, description="Of int4: training rows that gptq and awq look at.")

    @model_validator(mode="after")
    def _rounding_of_int4(self) -> "QuantizeConfig":
        for key in ("rounding", "rows"):
            if self.storage != "int4" and key in self.model_fields_set:
                raise ValueError(f"{key} is of storage=int4, and storage is {self.storage}; leave {key} out")
        return self


class DistilConfig(CompressConfig):
    """Train a smaller model to give what the run gives; keys of the config, such as training.epochs=5, change it."""

    method: Literal["distil"] = Field(description="How the run becomes smaller.")
    layers: Union[None, int, list[int]] = Field(
        None,
        description="How many transformer layers the student has, spread evenly over the teacher's, or which (0 is the "
        "lowest); null: all, of the run where teacher names another, or of model.preset=...; one of them is needed.",
    )
    teacher: Optional[Folder] = Field(
        None,
        description="Who teaches: another run of the same task and labels, the folder of an ensemble, or the address "
        "of a model on a server, http://HOST:8501/v1/models/NAME; null: the run itself.",
    )
    alpha: float = Field(0.9, ge=0, le=1, description="Share of the teacher's probabilities in the loss.")
    temperature: float = Field(2.0, gt=0, description="Logits are divided by it; more: unlikely classes count more.")
    hidden: float = Field(
        0.0, ge=0, description="Weight of how far the hidden states of a text are from the teacher's; 0: not compared."
    )
    relations: float = Field(
        0.0, ge=0, description="Weight of how far attention relations are from the teacher's (MiniLM); 0: not compared."
    )
    unlabelled: Optional[Sources] = Field(
        None, description="Texts without labels that the teacher answers, too; columns as in data.columns."
    )


class PruneWeightsConfig(CompressConfig):
    """Train on while a share of the weights becomes zero; keys of the config, such as training.epochs=5, change it."""

    method: Literal["prune_weights"] = Field(description="How the run becomes smaller.")
    sparsity: float = Field(0.5, gt=0, lt=1, description="Share of zeros in each matrix at the end.")
    by: Literal["magnitude", "movement"] = Field(
        "magnitude",
        description="What becomes zero: magnitude, the smallest weights; movement, those that training moves to zero.",
    )
    prune_from: float = Field(0.1, ge=0, lt=1, description="Share of the steps before the first zeros.")
    prune_until: float = Field(0.7, gt=0, le=1, description="Share of the steps after which masks stay.")


class AutoConfig(CompressConfig):
    """Take the steps that cost least, one after the other, as long as no more than max_loss is lost."""

    method: Literal["auto"] = Field(description="How the run becomes smaller.")
    max_loss: float = Field(
        0.5,
        ge=0,
        description="Points (of 100) of the headline score on validation that may be lost in all; percent, where a "
        "lower score is better.",
    )


METHODS: dict[str, type[CompressConfig]] = {
    "vocabulary": VocabularyConfig,
    "distil": DistilConfig,
    "quantize": QuantizeConfig,
    "feedforward": FeedForwardConfig,
    "heads": HeadsConfig,
    "drop_layers": DropLayersConfig,
    "prune_weights": PruneWeightsConfig,
    "auto": AutoConfig,
}
TRAINS = ("distil", "prune_weights")  # methods that take any key of the config, since they train
PLACES = ("output.", "export.")  # where a run and its export go: keys that every method takes


def read_compression(words: Sequence[str]) -> tuple[CompressConfig, list[str]]:
    """`key=value` of the command line -> the section of the method, and overrides of the config.

    A key with a dot in it, such as `training.epochs=5`, is of the config.

    Raises:
        UserError: a line for each thing that is wrong.
    """
    values: dict[str, Any] = {}
    overrides: list[str] = []
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key.strip():
            raise UserError(f"{COMMAND_LINE}: {word!r} is not KEY=VALUE; write for example method=vocabulary")
        if "." in key:
            overrides.append(word)
        else:
            values[key.strip()] = read_yaml(text, COMMAND_LINE).values
    if "max_loss" in values:  # which no other method has
        values.setdefault("method", "auto")
    method = values.get("method")
    if method not in METHODS:
        what = "missing" if method is None else f"{method!r} is none"
        raise UserError(f"{COMMAND_LINE}: method: {what}; choose one of {', '.join(METHODS)}")
    others = [word for word in overrides if method not in TRAINS and not word.strip().startswith(PLACES)]
    if others:
        raise UserError(
            f"{COMMAND_LINE}: {others[0]}: {method} does not train; of the config it takes keys of output and export "
            "alone; leave it out"
        )
    section = METHODS[method]
    try:
        return section.model_validate(values), overrides
    except ValidationError as error:
        lines = explain(error, section, values, lambda path: COMMAND_LINE, lambda path: 0)
        raise UserErrors(lines) from error


def describe_methods() -> str:
    """A line for each method, for the program's help."""
    return "; ".join(f"{name}: {(section.__doc__ or '').rstrip('.')}" for name, section in METHODS.items())
