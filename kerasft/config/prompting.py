"""The section `prompting` of a config: how a pre-trained model answers by label texts, before any training."""

from typing import TYPE_CHECKING, Literal, Optional, Union

from pydantic import Field, model_validator

from kerasft.config.data import LEAVE_ONE_OUT, Sources
from kerasft.config.peft_rows import PromptPoolConfig, RowsConfig
from kerasft.config.section import Section

if TYPE_CHECKING:
    from kerasft.config.schema import Config


KEYS = {
    "score": ("masked_lm", "causal_lm"),
    "temperature": ("embedding",),
    "entails": ("entailment",),
}  # what not every method has


class PromptingConfig(Section):
    """Labels are told by their texts; no labelled example is needed."""

    method: Literal["auto", "embedding", "masked_lm", "causal_lm", "entailment"] = Field(
        "auto",
        description="embedding: the label text nearest to the text; masked_lm: which label text fits at {mask}; "
        "causal_lm: which label text a decoder would go on with; entailment: which one a run that classifies pairs "
        "says to follow from the text; auto: what model.preset was made for.",
    )
    template: Union[None, str, list[str]] = Field(
        None,
        min_length=1,
        description="For masked_lm with {text} (and {text_pair}) and {mask}; for causal_lm with {text} and {label}; "
        "for entailment with {label}; for embedding one with {label} alone, or several, whose vectors are averaged. Or "
        "a file of it, such as configs/prompts/topic-cloze.txt. null: a plain one of the method's own.",
    )
    calibration: Literal["content_free", "prior", "none"] = Field(
        "none",
        description="content_free: probabilities are divided by their means over texts that say nothing; prior: log-"
        "probabilities lose their means over unlabelled; both are computed once, and no answer depends on other texts.",
    )
    content_free: list[str] = Field(
        ["", "N/A", "..."], min_length=1, description="The texts that say nothing, of calibration content_free."
    )
    unlabelled: Optional[Sources] = Field(
        None, description="Texts without labels, of calibration prior; columns as in data.columns."
    )
    score: Literal["sum", "mean"] = Field(
        "sum", description="Of a label text of several tokens: the sum of log-probabilities, or their mean."
    )
    demonstrations: int = Field(
        0, ge=0, description="How many rows of data.train stand in the prompt as examples, of method causal_lm."
    )
    choose: Literal["balance", "chance", "similarity"] = Field(
        "balance",
        description="Which rows these are: of each label in turn, or any, both by the seed; similarity: those whose "
        "tokens are most like the text's, so that each text has its own.",
    )
    entails: str = Field(
        "entailment",
        min_length=1,
        description="Of method entailment: the label of its run for what follows from a text.",
    )
    temperature: float = Field(0.05, gt=0, description="Cosines are divided by it, of method embedding.")

    @model_validator(mode="after")
    def _examples_of_a_decoder(self) -> "PromptingConfig":
        if self.demonstrations and self.method != "causal_lm":
            raise ValueError(
                f"demonstrations: {self.demonstrations} are for method causal_lm, not {self.method}; set that, or 0"
            )
        return self

    @model_validator(mode="after")
    def _keys_of_the_method(self) -> "PromptingConfig":
        """A key that means nothing to the method is a mistake; auto may take any of them."""
        for key, methods in KEYS.items():
            value = getattr(self, key)
            if self.method not in ("auto", *methods) and value != type(self).model_fields[key].default:
                raise ValueError(
                    f"{key}: {value} is for method {' or '.join(methods)}, not {self.method}; leave it out"
                )
        if self.choose != "balance" and not self.demonstrations:
            raise ValueError(f"choose: {self.choose} is of demonstrations, and there are none; set how many")
        if self.calibration != "content_free" and self.content_free != type(self).model_fields["content_free"].default:
            raise ValueError(f"content_free: is for calibration content_free, not {self.calibration}; leave it out")
        return self

    @model_validator(mode="after")
    def _one_template(self) -> "PromptingConfig":
        if isinstance(self.template, list) and self.method != "embedding":
            raise ValueError(f"template: several are for method embedding, not {self.method}; keep one, or set method")
        return self

    @model_validator(mode="after")
    def _texts_for_the_prior(self) -> "PromptingConfig":
        if (self.calibration == "prior") != (self.unlabelled is not None):
            raise ValueError(
                "calibration: prior and unlabelled belong together; set both, or leave both out"
                + (" (content_free needs no texts)" if self.calibration == "prior" else "")
            )
        return self


def prompting_problem(config: "Config") -> Optional[str]:
    """What keeps a model from answering without labelled examples, or from learning with none; None: nothing."""
    prompting, data = config.prompting, config.data
    if config.export.labels and (prompting is None or prompting.method not in ("auto", "embedding")):
        method = "no prompting" if prompting is None else f"prompting.method {prompting.method}"
        return f"export.labels: true is for prompting.method embedding, not for {method}; set that, or labels to false"
    if prompting is None and data.train == []:
        return "data.train: missing; add it: Training examples: a source or a list of them."
    if prompting is None:
        return None
    if not config.task.fits_head:
        return "prompting: is for text_classification with problem single_label; leave it null"
    if config.model.preset is None:
        return "prompting: asks a pre-trained model, and model.preset is null; name one"
    if config.training.fit_head and (problem := _held_head_problem(config)):
        return problem
    for key, own in (("pooling", ("auto", "unit")), ("random_features", (None,))):
        if (value := getattr(config.task, key, own[0])) not in own:
            return (
                f"task.{key}: {value} is for a model without prompting, which has its own; leave it {own[0] or 'null'}"
            )
    if data.train == [] and prompting.demonstrations:
        return f"prompting.demonstrations: {prompting.demonstrations} are rows of data.train, which is missing; name it"
    if prompting.demonstrations and "label" not in data.columns:
        return "data.columns: has no label, which rows of prompting.demonstrations need; add it, such as label: label"
    if problem := _soft_prompt_problem(config, prompting):
        return problem
    if not answers_untrained(config):
        if prompting.method in ("causal_lm", "entailment"):
            return (
                f"prompting.method: {prompting.method} answers without training; leave data.train out, set "
                "demonstrations, or train with embedding or masked_lm"
            )
        return None
    if getattr(config.task, "labels", None) is None:
        return "task.labels: missing; where nothing is trained nothing else names the labels"
    if data.shots is not None:
        return f"data.shots: {data.shots} are rows to train on, and nothing is trained; leave it null"
    return None


def _soft_prompt_problem(config: "Config", prompting: PromptingConfig) -> Optional[str]:
    """Why a prompt of `model.peft` can't stand before the texts; None: it can, or there is none."""
    peft = config.model.peft
    if not isinstance(peft, RowsConfig):
        return None
    if isinstance(peft, PromptPoolConfig) and prompting.method != "embedding":
        return "model.peft.method: prompt_pool is for prompting.method embedding alone; use prompt or p_tuning"
    if answers_untrained(config) and peft.start is None:
        return f"model.peft.method: {peft.method} is random before it is trained; name data.train, or set peft to null"
    if prompting.calibration != "none":
        return (
            f"prompting.calibration: {prompting.calibration} is measured before training, and model.peft.method "
            f"{peft.method} changes what is in front of each text; set it to none"
        )
    return None


def _held_head_problem(config: "Config") -> Optional[str]:
    """Why a head can't be fitted that is held to what label texts say; None: it can."""
    prompting, data = config.prompting, config.data
    if prompting is not None and prompting.method not in ("auto", "embedding"):
        return (
            f"training.fit_head: true fits the head of prompting.method embedding, not of {prompting.method}; set "
            "it to false"
        )
    if config.training.contrastive is not None:
        return "training.contrastive: moves the vectors that label texts stand for; set it, or prompting, to null"
    if data.shots is None and data.validation != LEAVE_ONE_OUT:
        return (
            "training.fit_head: true with prompting is for few rows, whose head is held to the label texts; set "
            "data.shots, or fit_head to false"
        )
    return None


def answers_untrained(config: "Config") -> bool:
    """Whether a run of this config trains nothing: its model answers by label texts, and perhaps by examples."""
    return config.prompting is not None and (config.data.train == [] or config.prompting.demonstrations > 0)


def shots_problem(config: "Config") -> Optional[str]:
    """Why few rows can't be learnt from, or validated on, as a config says; None: they can."""
    data, training, share = config.data, config.training, config.data.validation
    if data.shots is None and data.draws > 1:
        return f"data.draws: {data.draws} is for data.shots, which is null; set that, or draws to 1"
    if data.shots is not None and isinstance(share, float) and share * data.shots < 1:
        return (
            f"data.validation: a share of {share} of {data.shots} shots leaves labels without a row; write "
            f"{LEAVE_ONE_OUT} (with training.fit_head: true and training.steps: 0), or name a file"
        )
    if data.shots is not None and not config.task.fits_head:
        return (
            f"data.shots: {data.shots} rows of each label are for text_classification with problem single_label; "
            "use data.limit"
        )
    if problem := contrastive_problem(config):
        return problem
    few = data.shots is not None or data.validation == LEAVE_ONE_OUT
    fitted_last = training.fit_head and (training.steps == 0 or training.contrastive is not None)
    if training.self_training is not None and not (few and fitted_last):
        return (
            "training.self_training: is for the fitted head of few rows; set data.shots, training.fit_head: true and "
            "training.steps: 0 (or training.contrastive), or set it to null"
        )
    if data.validation == LEAVE_ONE_OUT and not fitted_last:
        return (
            f"data.validation: {LEAVE_ONE_OUT} is for a head that is fitted and does not train; set "
            "training.fit_head: true and training.steps: 0 (or training.contrastive), or name a file to validate on"
        )
    return None


def contrastive_problem(config: "Config") -> Optional[str]:
    """What `training.contrastive` can't go with, and the fix; None: nothing is wrong."""
    training = config.training
    if training.contrastive is None:
        return None
    if not training.fit_head:
        return "training.contrastive: trains no head; set training.fit_head: true, which is then fitted at the end"
    if training.objective is not None:
        return f"training.objective: {training.objective.name}, but training.contrastive is one; leave one of them null"
    if training.steps == 0:
        return "training.steps: 0 leaves training.contrastive nothing to do; set epochs or more steps"
    if config.data.shots == 1:
        return "data.shots: 1 leaves training.contrastive no two texts of a label; raise it, or set contrastive to null"
    for key in ("gradient_accumulation", "parallel_microbatches"):
        if (getattr(training, key) or 1) > 1:
            return f"training.{key}: training.contrastive compares all rows of a batch; set it to 1"
    if training.batch_size % training.contrastive.texts_per_label or config.data.batching == "pack":
        return (
            f"training.contrastive.texts_per_label: batches of {training.batch_size} are to be groups of "
            f"{training.contrastive.texts_per_label}; choose a training.batch_size that divides, and batching: auto"
        )
    return None
