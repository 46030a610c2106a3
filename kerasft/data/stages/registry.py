"""All stages, in the order in which they run."""

from __future__ import annotations

from kerasft.data.stages.base import Stage
from kerasft.data.stages.conflicts import Conflicts
from kerasft.data.stages.corrections import Corrections
from kerasft.data.stages.duplicates import Duplicates
from kerasft.data.stages.empty import Empty
from kerasft.data.stages.held_out import HeldOut
from kerasft.data.stages.languages import Languages
from kerasft.data.stages.leakage import Leakage
from kerasft.data.stages.mitigate import Mitigate
from kerasft.data.stages.near_duplicates import NearDuplicates
from kerasft.data.stages.normalise import Normalise
from kerasft.data.stages.redact import Redact
from kerasft.data.stages.sample import Sample
from kerasft.data.stages.shots import Shots

# Shares are drawn before train is cleaned, so that a run with `data.clean` and one without are measured on the same
# rows; test comes first, so that it is the same whatever is validated on. Shots are all that there is to learn from, so
# a share of validation is one of them. Corrections come next, as they are about rows as they were read; then what
# changes texts, so that those are compared as they will be learnt. Conflicts are counted before copies go.
# What mitigates comes last: its rows are neither copies nor leaks.
STAGES: tuple[Stage, ...] = (
    Sample(),
    HeldOut("test"),
    Shots(),
    HeldOut("validation"),
    Corrections(),
    Normalise(),
    Redact(),
    Empty(),
    Languages(),
    Leakage(),
    Conflicts(),
    Duplicates(),
    NearDuplicates(),
    Mitigate(),
)
