"""Which classes are taken for which: the confusion matrix as SVG that stays readable from 2 to 200 classes."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

_LONGEST_LABEL = 24  # in widths of a Latin letter


def most_confused(matrix: Sequence[Sequence[int]], labels: Sequence[str], limit: int = 15) -> list[tuple]:
    """The pairs that are confused most often.

    Args:
        matrix: (c, c) counts, rows true, columns predicted.
        labels: c names.
        limit: how many pairs at most.

    Returns:
        (true label, predicted label, count, share of the true class), the most frequent first.
    """
    wrong = np.asarray(matrix) * (1 - np.eye(len(labels), dtype=int))
    support = np.asarray(matrix).sum(axis=1)
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    pairs = zip(*np.unravel_index(order, wrong.shape))
    return [
        (labels[true], labels[predicted], int(wrong[true, predicted]), float(wrong[true, predicted] / support[true]))
        for true, predicted in pairs
        if wrong[true, predicted]
    ]


def confusion_svg(matrix: Sequence[Sequence[int]], labels: Sequence[str]) -> Markup:
    """The matrix as a drawing: colour by the share of the true class, right and wrong answers in two colours.

    Counts stand in the cells up to 20 classes, labels at the columns up to 30, labels at the rows up to
    100; every cell that is not empty tells its labels and count when it is pointed at.

    Args:
        matrix: (c, c) counts, rows true, columns predicted.
        labels: c names.
    """
    counts = np.asarray(matrix)
    classes = len(labels)
    size = int(np.clip(820 // classes, 4, 46))
    font = min(12, max(size - 2, 7))
    short = [shortened(label) for label in labels]
    margin = 10 + int(max(map(text_width, short)) * font * 0.6) if classes <= 100 else 14
    left, top = margin + 16, (margin if classes <= 30 else 4) + 18
    width, height = left + classes * size + 2, top + classes * size + 2
    parts = [
        Markup('<svg class="confusion" role="img" viewBox="0 0 {0} {1}" width="{0}" height="{1}">').format(
            width, height
        ),
        Markup('<text x="{}" y="11" class="axis">predicted</text>').format(left),
        Markup('<text transform="translate(11 {}) rotate(-90)" text-anchor="end" class="axis">true</text>').format(top),
        Markup('<rect x="{}" y="{}" width="{}" height="{}" class="frame"/>').format(
            left, top, classes * size, classes * size
        ),
        *_names(short, left, top, size, font),
        *_cells(counts, labels, left, top, size, font),
        Markup("</svg>"),
    ]
    return Markup("\n").join(parts)


def text_width(text: str) -> int:
    """Width in Latin letters: Chinese, Japanese and Korean signs and emoji take two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def shortened(label: str) -> str:
    """The label, cut with an ellipsis where it is too wide for an axis."""
    if text_width(label) <= _LONGEST_LABEL:
        return label
    while text_width(label) > _LONGEST_LABEL - 1:
        label = label[:-1]
    return label + "…"


def _names(short: Sequence[str], left: int, top: int, size: int, font: int) -> list[Markup]:
    if len(short) > 100:
        return []
    rows = Markup('<text x="{}" y="{:.1f}" font-size="{}" text-anchor="end">{}</text>')
    columns = Markup('<text transform="translate({:.1f} {}) rotate(-90)" font-size="{}">{}</text>')
    names = []
    for index, label in enumerate(short):
        middle = (index + 0.5) * size + font * 0.35
        names.append(rows.format(left - 5, top + middle, font, label))
        if len(short) <= 30:
            names.append(columns.format(left + middle, top - 5, font, label))
    return names


def _cells(counts: np.ndarray, labels: Sequence[str], left: int, top: int, size: int, font: int) -> list[Markup]:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cell = Markup(
        '<rect x="{}" y="{}" width="{}" height="{}" class="{}" fill-opacity="{:.2f}"><title>{} → {}: {}</title></rect>'
    )
    number = Markup('<text x="{:.1f}" y="{:.1f}" font-size="{}" text-anchor="middle" class="{}">{}</text>')
    gap = 1 if size > 5 else 0
    cells = []
    for true, predicted in zip(*np.nonzero(counts)):
        x, y, count = left + predicted * size, top + true * size, int(counts[true, predicted])
        strength = 0.15 + 0.85 * float(shares[true, predicted]) ** 0.6  # a power below 1 keeps rare confusions visible
        look = "right" if true == predicted else "wrong"
        names = escape(labels[true]), escape(labels[predicted])
        cells.append(cell.format(x, y, size - gap, size - gap, look, strength, *names, count))
        if len(labels) <= 20:
            tone = "onfill" if strength > 0.6 else "plain"
            cells.append(number.format(x + size / 2, y + size / 2 + font * 0.35, font, tone, count))
    return cells
