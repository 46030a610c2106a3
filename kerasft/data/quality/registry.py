"""Checks of every task's data, in the order in which they are told; a task adds its own (`Task.checks`)."""

from __future__ import annotations

from kerasft.data.quality.base import Check
from kerasft.data.quality.blanks import Blanks
from kerasft.data.quality.broken import Assumed, BrokenRows
from kerasft.data.quality.characters import Characters
from kerasft.data.quality.encoded import Encodings
from kerasft.data.quality.labels import Labels
from kerasft.data.quality.languages import LanguagesOfTexts
from kerasft.data.quality.likeness import Likeness
from kerasft.data.quality.pairs import IdenticalSides
from kerasft.data.quality.personal import PersonalData
from kerasft.data.quality.repeats import Repeats
from kerasft.data.quality.sizes import Sizes

CHECKS: tuple[type[Check], ...] = (
    Sizes,
    Assumed,
    Encodings,
    BrokenRows,
    Blanks,
    Characters,
    LanguagesOfTexts,
    Labels,
    Repeats,
    Likeness,
    IdenticalSides,
    PersonalData,
)
