"""The objective `distillation` of a config, and what it can't go with."""

from typing import TYPE_CHECKING, Literal, Optional

from pydantic import Field

from kerasft.config.data import Sources
from kerasft.config.section import Folder, Section
from kerasft.paths import is_address

if TYPE_CHECKING:
    from kerasft.config.schema import Config

# Tasks whose texts a teacher can answer without labels: those with a `Task.unlabelled`.
TEACHABLE = ("text_classification", "token_classification")
# Tasks whose teacher runs in each step.
IN_EACH_STEP = ("text_generation", "seq2seq")
# Tasks whose answers, as a server gives them, hold all that a student learns: those with a `Task.logits_of`.
SERVED = ("text_classification", "relation_extraction", "text_embedding")


class DistillationConfig(Section):
    """Learn what a trained run says, beside the truth (Hinton et al. 2015, arXiv:1503.02531)."""

    name: Literal["distillation"] = Field(description="The objective.")
    teacher: Folder = Field(
        description="The folder of a run of the same task with the same labels, or of an ensemble; or the address of a "
        "model on a server, http://HOST:8501/v1/models/NAME."
    )
    token_file: Optional[Folder] = Field(
        None, description="Where teacher is a server: the file that has its bearer token on its first line."
    )
    ca: Optional[Folder] = Field(
        None, description="Where teacher is a server: PEM file of the authority that signed its certificate."
    )
    alpha: float = Field(
        0.9, ge=0, le=1, description="Share of the teacher in the loss; the task's loss has the rest. 0: the task's."
    )
    temperature: float = Field(
        2.0, gt=0, description="Logits are divided by it; the higher, the more the unlikely classes count."
    )
    hidden: float = Field(
        0.0,
        ge=0,
        description="Weight of the squared distance between the vectors that both heads read; 0: not compared.",
    )
    relations: float = Field(
        0.0,
        ge=0,
        description="Weight of how far the relations between queries, keys and values of tokens are from the teacher's "
        "(arXiv:2012.15828); the teacher then runs in each step. 0: not compared.",
    )
    unlabelled: Optional[Sources] = Field(
        None,
        description="Texts without labels, for which the teacher alone answers: a source or a list of them; columns as "
        "in data.columns.",
    )


def distillation_problem(config: "Config") -> Optional[str]:
    """What keeps a run from its teacher, or from texts without labels, and the fix; None: nothing."""
    objective = config.training.objective
    if not isinstance(objective, DistillationConfig):
        return None
    if config.augment is not None and config.augment.methods() and config.task.name not in IN_EACH_STEP:
        return (
            "augment: changes the rows of train, and training.objective.teacher answers them as they are, once before "
            "the first step; set one of the two to null"
        )
    return _server_problem(config, objective) or _unlabelled_problem(config, objective)


def _server_problem(config: "Config", objective: DistillationConfig) -> Optional[str]:
    if not is_address(objective.teacher):
        given = [key for key in ("token_file", "ca") if getattr(objective, key) is not None]
        return f"training.objective.{given[0]}: is for a teacher on a server; leave it null" if given else None
    if config.task.name not in SERVED:
        return (
            f"training.objective.teacher: {objective.teacher} is a server, whose answers for {config.task.name} lack "
            "the probabilities behind them; name the folder of a run"
        )
    if objective.ca is not None and not objective.teacher.startswith(("https://", "grpcs://")):
        return f"training.objective.ca: {objective.teacher} has no certificate; write https:// or grpcs://, or null"
    for key in ("hidden", "relations"):
        if getattr(objective, key):
            return f"training.objective.{key}: {objective.teacher} is a server, which gives answers alone; set it to 0"
    return None


def _unlabelled_problem(config: "Config", objective: DistillationConfig) -> Optional[str]:
    if objective.unlabelled is None:
        return None
    key = "training.objective.unlabelled"
    if config.task.name not in TEACHABLE:
        return f"{key}: is for {' and '.join(TEACHABLE)}, not for {config.task.name}; leave it null"
    if config.training.fit_head:
        return f"{key}: a fitted head learns from labels; set training.fit_head to false"
    return None
