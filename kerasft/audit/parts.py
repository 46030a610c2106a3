"""The parts of an audit in their order. One more is one more function, and a section of the page."""

from __future__ import annotations

from collections.abc import Callable

from kerasft.audit.answers import attacks, calibration, robustness, slices
from kerasft.audit.explanations import faithfulness, shortcuts
from kerasft.audit.figures import Figures
from kerasft.audit.language import pairs, questions
from kerasft.audit.mitigation import mitigation
from kerasft.audit.people import bias
from kerasft.audit.subject import Subject

_ALL = (robustness, slices, calibration, faithfulness, shortcuts, attacks, bias, mitigation, pairs, questions)
PARTS: dict[str, Callable[[Subject], Figures]] = {part.__name__: part for part in _ALL}
