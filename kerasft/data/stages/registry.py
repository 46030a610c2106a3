"""All stages, in the order in which they run."""

from __future__ import annotations

from kerasft.data.stages.base import Stage
from kerasft.data.stages.conflicts import Conflicts
from kerasft.data.stages.duplicates import Duplicates
from kerasft.data.stages.empty import Empty
from kerasft.data.stages.held_out import HeldOut
from kerasft.data.stages.leakage import Leakage
from kerasft.data.stages.sample import Sample
from kerasft.data.stages.shots import Shots

# Shares are drawn before train is cleaned, so that a run with `data.clean` and one without are measured on the same
# rows; test comes first, so that it is the same whatever is validated on. Shots are all that there is to learn from, so
# a share of validation is one of them. Conflicts are counted before copies go.
STAGES: tuple[Stage, ...] = (
    Sample(),
    HeldOut("test"),
    Shots(),
    HeldOut("validation"),
    Empty(),
    Leakage(),
    Conflicts(),
    Duplicates(),
)
