"""What an audit looks at, and how much of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, get_args

from kerasft.config.mitigate import Method
from kerasft.errors import UserError


@dataclass(frozen=True)
class AuditSettings:
    """The numbers that a user can give.

    Attributes:
        rows: of the split, at most; a sample by the seed.
        explained: rows whose explanations are measured; hundreds of passes of the model each.
        group: a column of the data with a group of people; None: texts are grouped by word lists alone.
        pairs: a file of sentences about two groups, in CrowS-Pairs' or StereoSet's form, for language models.
        questions: a file of questions about people in BBQ's form, for question_answering.
        words: a YAML file of word lists, {ASPECT: {GROUP: [WORDS]}}, instead of those that come with the program.
        mitigate: methods of `data.mitigate`, with which the run is trained once more, to be held beside it.
        split: `test`, or `validation`.
        seed: of all draws.
    """

    rows: int = 1000
    explained: int = 48
    group: str | None = None
    pairs: str | None = None
    questions: str | None = None
    words: str | None = None
    mitigate: tuple[str, ...] = ()
    split: str = "test"
    seed: int = 0

    def __post_init__(self):
        for name in ("rows", "explained"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name}: {getattr(self, name)} is too few; use 1 or more")
        object.__setattr__(self, "mitigate", tuple(dict.fromkeys(self.mitigate)))
        if unknown := [name for name in self.mitigate if name not in get_args(Method)]:
            raise UserError(f"--mitigate {unknown[0]}: there are {', '.join(get_args(Method))}")

    def digest(self, **beside: Any) -> str:
        """Of the settings and what else the figures depend on."""
        text = json.dumps(dataclasses.asdict(self) | beside, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
