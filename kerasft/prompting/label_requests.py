"""Labels that a request names itself: the signature `labels` of an export, and how a request writes them."""

from __future__ import annotations

from collections.abc import Sequence

from kerasft.errors import UserError
from kerasft.quoting import quoted

SIGNATURE = "labels"  # and its input, beside the text
BETWEEN = "\n"  # labels of a row


def labels_text(labels: Sequence[str]) -> str:
    """Labels as a row of the input `labels`. Raises UserError: one has a line break."""
    for label in labels:
        if BETWEEN in label:
            raise UserError(f"--labels: {quoted(label)} has a line break, which stands between labels; write a space")
    return BETWEEN.join(labels)


def label_list(labels: str) -> list[str]:
    """`--labels` of a command -> names. Raises UserError: there are fewer than two, or one is there twice."""
    names = [name.strip() for name in labels.split(",")]
    if len(set(names)) < max(2, len(names)) or not all(names):
        raise UserError(f"--labels: {labels!r} are not two different labels or more; write for example --labels a,b")
    return names
