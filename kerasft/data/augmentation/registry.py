"""Which class is which method of `augment`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasft.config.augment import AugmentConfig
from kerasft.config.schema import Config
from kerasft.data.augmentation.base import Augmenter, Protected
from kerasft.data.augmentation.case import Case
from kerasft.data.augmentation.delete import Delete
from kerasft.data.augmentation.homophones import Homophones
from kerasft.data.augmentation.mentions import Mentions
from kerasft.data.augmentation.punctuation import Punctuation
from kerasft.data.augmentation.swap import Swap
from kerasft.data.augmentation.synonyms import Synonyms
from kerasft.data.augmentation.typos import Typos
from kerasft.data.augmentation.words import word_bounds
from kerasft.data.augmentation.written import BackTranslation, MaskedLM, Paraphrase
from kerasft.errors import UserError

if TYPE_CHECKING:
    from kerasft.tasks.base import Task
    from kerasft.tasks.base.augmentable import Augmentable

AUGMENTERS: dict[str, type[Augmenter]] = {
    kind.name: kind
    for kind in (
        Typos, Case, Punctuation, Delete, Swap, Synonyms, Mentions, Homophones, MaskedLM, BackTranslation, Paraphrase,
    )
}  # fmt: skip
LEAST_LETTERS = 4  # of a word of a label's name that stays: shorter ones, such as `of`, stand everywhere


def check_augment(config: Config, task: Augmentable) -> None:
    """Raises UserError where `augment` asks for what this task's rows can't be given, or for a file that is none."""
    section = config.augment
    if section is None:
        return
    if not task.augmentable:
        raise UserError(
            f"augment: not for {config.task.name}, whose rows are filled with texts one after the other; leave it out"
        )
    if section.balance is not None and not task.has_classes:
        raise UserError(f"augment.balance: not for {config.task.name} as it is set here: a row has no one class; null")
    if section.balance is not None and config.training.class_weights == "balanced":
        raise UserError(
            "augment.balance: together with training.class_weights: balanced rare classes count twice; keep one of them"
        )
    if section.mixup is not None and not task.mixes_vectors:
        raise UserError(f"augment.mixup: not for {config.task.name}, whose rows have not one vector each; leave it out")
    if section.mixup is not None and config.training.objective is not None:
        raise UserError("augment.mixup: not together with training.objective; keep one of them")
    for name, method in section.methods().items():
        AUGMENTERS[name].check(method, config, task)


def create_augmenters(section: AugmentConfig, task: Task) -> list[Augmenter]:
    """The methods that a config asks for, for a task that has learnt its labels."""
    protected = protected_words(section, task)
    return [AUGMENTERS[name](method, protected) for name, method in section.methods().items()]


def protected_words(section: AugmentConfig, task: Task) -> Protected:
    """The words of `augment.protect`, and those of the names of a task's labels."""
    names = task.state.get("labels", ())
    labels = {word for name in names for word in _words(str(name).replace("_", " ")) if len(word) >= LEAST_LETTERS}
    always = {word for each in section.protect for word in _words(each)}
    return Protected(frozenset(always), frozenset(labels))


def _words(text: str) -> list[str]:
    return [text[slice(*bounds)].casefold() for bounds in word_bounds(text)]
